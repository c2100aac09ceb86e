const calls = [/wx\.getLocation\(/, /my.chooseImage/g, /[/]wx.scanCode/]
export const suspicious = text => calls.some(c => c.test(text)) || /navigator.geolocation.watchPosition(x)/i.exec(text)
