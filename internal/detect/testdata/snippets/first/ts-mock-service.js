"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.FakeApi = void 0;
exports.use = use;
var FakeApi = /** @class */ (function () {
    function FakeApi() {
    }
    FakeApi.prototype.getLocation = function () { return Promise.resolve({ latitude: 0, longitude: 0 }); };
    FakeApi.prototype.chooseImage = function () { return Promise.resolve({ tempFilePaths: [] }); };
    return FakeApi;
}());
exports.FakeApi = FakeApi;
function use(wx) { return Promise.all([wx.getLocation(), wx.chooseImage()]); }
