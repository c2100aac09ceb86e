function adapter() {
  wx.getLocation()
  wx.chooseImage()
  if (false) { var wx = null }
}
function my() {}
my.getLocation = 1
console.log(my.getLocation)
