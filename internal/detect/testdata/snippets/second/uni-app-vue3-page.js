"use strict";
const common_vendor = require("../../common/vendor.js");
const common_assets = require("../../common/assets.js");
const _sfc_main = /* @__PURE__ */ common_vendor.defineComponent({
  __name: "index",
  setup(__props) {
    const place = common_vendor.ref("");
    function pick() { common_vendor.index.chooseLocation({ success: (r) => { place.value = r.name; } }); }
    common_vendor.onLoad(() => { common_vendor.index.getLocation({ type: "gcj02" }).then((r) => common_vendor.index.__f__("log", "at pages/index/index.vue:12", r)); });
    return (_ctx, _cache) => ({ a: common_vendor.t(place.value), b: common_vendor.o(pick), c: common_assets._imports_0 });
  }
});
wx.createPage(_sfc_main);
