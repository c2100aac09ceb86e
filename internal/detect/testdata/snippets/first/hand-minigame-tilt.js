import Ball from './ball'
const ball = new Ball()
wx.startDeviceMotionListening({ interval: 'game' })
wx.onDeviceMotionChange(function (res) { ball.ax = res.gamma / 90; ball.ay = res.beta / 90 })
const camera = wx.createCameraContext && wx.createCameraContext()
GameGlobal.requestAnimationFrame(function loop() { ball.step(); GameGlobal.requestAnimationFrame(loop) })
