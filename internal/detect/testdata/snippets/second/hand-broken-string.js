var a = 'unterminated
wx.getLocation({ success: console.log })
