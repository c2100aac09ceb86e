"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.defaults = void 0;
exports.describe = describe;
exports.defaults = { api: 'wx.getLocation', geolocation: false };
function describe(o) { return "".concat(o.api, " ").concat(o.geolocation ? 'with' : 'without', " place"); }
