Page({
  onShow() {
    wx.startCompass()
    wx.onCompassChange(this.turn = r => this.setData({ angle: Math.round(r.direction) }))
  },
  onHide() { wx.stopCompass(); wx.offCompassChange(this.turn) },
})
