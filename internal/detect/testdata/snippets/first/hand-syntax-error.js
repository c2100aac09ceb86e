Page({
  onLoad() {
    this.setData({ a: 1,, })
    wx.getLocation({ success: r => this.setData(r) })
  }
