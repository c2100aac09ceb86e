beforeEach(() => {
  wx.getLocation = jest.fn(o => o.success({ latitude: 1, longitude: 2 }))
  wx.chooseImage = jest.fn()
  global.navigator.geolocation = { getCurrentPosition: jest.fn() }
})
