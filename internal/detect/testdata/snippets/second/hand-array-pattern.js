const [api, scan] = [wx, wx.scanCode]
api.getLocation({ success: () => scan({}) })
