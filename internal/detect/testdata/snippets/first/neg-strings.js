const help = "Call wx.getLocation() first, then navigator.geolocation.watchPosition"
const docs = 'my.chooseImage({count: 1})'
const long = `wx.scanCode() is
 described in ${"wx.chooseAddress"}`
console.log(help, docs, long)
