delete wx.getLocation
delete window.Notification
void typeof wx.scanCode
