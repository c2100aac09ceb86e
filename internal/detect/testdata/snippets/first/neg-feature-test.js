export const can = {
  location: wx.canIUse('getLocation'),
  camera: typeof wx.createCameraContext === 'function',
  geo: 'geolocation' in navigator,
  media: !!(navigator.mediaDevices),
  push: 'PushManager' in window,
}
