(function (wx, my, window) { wx.getLocation(); my.scan(); window.navigator.geolocation.x })(fake.wx, fake.my, fake.window)
