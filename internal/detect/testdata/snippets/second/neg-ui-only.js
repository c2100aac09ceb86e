wx.showToast({ title: 'Hello' }); wx.setNavigationBarTitle({ title: 'Home' }); wx.vibrateShort()
wx.createSelectorQuery().select('#map').boundingClientRect(r => wx.pageScrollTo({ scrollTop: r.top })).exec()
my.showLoading(); my.hideLoading(); my.navigateTo({ url: '/a' }); wx.stopLocationUpdate; wx.offLocationChange()
