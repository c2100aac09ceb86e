wx.getSetting({ success(res) { if (!res.authSetting['scope.userLocation']) wx.openSetting() } })
my.getSetting({ success: r => console.log(r.authSetting.location) })
