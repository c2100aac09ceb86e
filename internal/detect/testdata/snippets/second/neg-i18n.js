module.exports = {
  'permission.wx.getLocation': '需要您的位置', 'permission.my.scan': '扫一扫',
  help: '调用 wx.getLocation() 时弹出', code: `navigator.clipboard.readText()`,
}
