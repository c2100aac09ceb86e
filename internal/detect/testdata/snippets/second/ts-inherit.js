"use strict";
var __extends = (this && this.__extends) || (function () {
    var extendStatics = function (d, b) {
        extendStatics = Object.setPrototypeOf ||
            ({ __proto__: [] } instanceof Array && function (d, b) { d.__proto__ = b; }) ||
            function (d, b) { for (var p in b) if (Object.prototype.hasOwnProperty.call(b, p)) d[p] = b[p]; };
        return extendStatics(d, b);
    };
    return function (d, b) {
        if (typeof b !== "function" && b !== null)
            throw new TypeError("Class extends value " + String(b) + " is not a constructor or null");
        extendStatics(d, b);
        function __() { this.constructor = d; }
        d.prototype = b === null ? Object.create(b) : (__.prototype = b.prototype, new __());
    };
})();
Object.defineProperty(exports, "__esModule", { value: true });
exports.voice = void 0;
var Base = /** @class */ (function () {
    function Base(host) {
        this.host = host;
    }
    return Base;
}());
var Voice = /** @class */ (function (_super) {
    __extends(Voice, _super);
    function Voice() {
        return _super.call(this, wx) || this;
    }
    Voice.prototype.start = function () { this.host.getLocation({}); return this.host.getRecorderManager().start({ format: 'aac' }); };
    return Voice;
}(Base));
exports.voice = new Voice();
