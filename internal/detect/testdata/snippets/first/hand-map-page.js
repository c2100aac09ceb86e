const store = require('../../utils/store')
Page({
  data: { latitude: 0, longitude: 0, markers: [] },
  onLoad() {
    wx.getLocation({
      type: 'gcj02',
      success: res => this.setData({ latitude: res.latitude, longitude: res.longitude }),
      fail: err => console.warn('no place', err.errMsg),
    })
  },
  pick() {
    wx.chooseLocation({ success: ({ name, address }) => store.set('place', { name, address }) })
  },
})
