modDefine('app', function(require, module, exports) {
App({});

});
modDefine('pages/scan/scan', function(require, module, exports) {
var import_keep = require("../../utils/keep");
globalThis.__extraInfo = { "path": "pages/scan/scan", "usingComponents": {} };
Page({ data: { last: "" }, scan() {
  wx.scanCode({ success: (r) => {
    this.setData({ last: r.result });
    (0, import_keep.keep)(r.result);
  } });
} });

});
modDefine('/utils/keep', function(require, module, exports) {
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);
var stdin_exports = {};
__export(stdin_exports, {
  keep: () => keep
});
module.exports = __toCommonJS(stdin_exports);
const keep = (text) => {
  wx.setClipboardData({ data: text });
};

});
