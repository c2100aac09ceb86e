const recorder = wx.getRecorderManager()
recorder.onStop(({ tempFilePath, duration }) => {
  if (duration < 800) return wx.showToast({ title: 'Too short', icon: 'none' })
  getApp().upload(tempFilePath)
})
module.exports = { start: () => recorder.start({ duration: 60000, format: 'mp3' }), stop: () => recorder.stop() }
