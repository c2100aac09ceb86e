function f() {
  wx.getLocation()
  let wx = { getLocation() {} }
}
class wxWrapper { getLocation() { return this.inner.getLocation() } }
new wxWrapper()
