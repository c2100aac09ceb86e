try { risky() } catch (wx) { wx.getLocation && wx.getLocation() }
for (const my of lists) my.chooseImage(my.getLocation())
for (let wx = 0; wx < 3; wx++) console.log(wx.scanCode)
