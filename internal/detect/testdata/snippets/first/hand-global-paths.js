globalThis.wx && globalThis.wx.getLocation({ success: log })
window.navigator.geolocation.watchPosition(log)
self['navigator'].bluetooth.requestDevice({ acceptAllDevices: true }).then(log)
function log(x) { console.log(x) }
