(function (api, report) {
  api.getLocation({ success: function (r) { report('l', r) } })
  api.getUserInfo({ success: function (r) { report('u', r.userInfo.nickName) } })
})(wx, function (k, v) { wx.setStorageSync(k, v) })
