Page({
  data: { link: 'https://shop.example/invite?code=1' },
  copy() {
    wx.setClipboardData({ data: this.data.link })
      .then(() => wx.showToast({ title: 'Copied' }))
  },
  onShareAppMessage() { return { title: 'Join', path: '/pages/index/index' } },
})
