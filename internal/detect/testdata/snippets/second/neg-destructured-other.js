const { getLocation, chooseImage } = require('./fake')
const { geolocation } = window.settings
const { wx } = window.mocks
getLocation(); chooseImage(); geolocation.watchPosition(); wx.scanCode()
