"use strict";
function promisify(name, fn) { return function (options = {}) { return new Promise((resolve, reject) => fn(Object.assign({}, options, { success: resolve, fail: reject }))) } }
function initUni(api, protocols, platform = wx) {
  return new Proxy({}, {
    get(target, key) {
      if (key in target) return target[key];
      return promisify(key, platform[key]);
    }
  });
}
var index = initUni({}, {});
index.getLocation({ type: "wgs84" }).then(r => index.setStorageSync("p", r));
index.chooseImage({ count: 1 });
