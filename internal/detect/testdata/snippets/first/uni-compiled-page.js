"use strict";
const common_vendor = require("../../common/vendor.js");
const _sfc_main = {
  data() { return { place: "" }; },
  onLoad() {
    common_vendor.index.getLocation({ type: "gcj02", success: (res) => { this.place = res.latitude + "," + res.longitude; } });
  }
};
wx.createPage(_sfc_main);
