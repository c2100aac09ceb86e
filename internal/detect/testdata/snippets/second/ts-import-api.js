"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.where = void 0;
var platform_1 = require("./platform");
var where = function () { return platform_1.wx.getLocation({ type: 'gcj02' }); };
exports.where = where;
