function demo() {
  const wx = createSandbox()
  const navigator = { geolocation: { getCurrentPosition: cb => cb({ coords: {} }) } }
  wx.getLocation()
  navigator.geolocation.getCurrentPosition(console.log)
}
demo()
