const RE = /(['"`])(?:\\.|(?!\1).)*\1|wx\.getLocation\(|[/*]{2}/g, half = total / 2 / count
if (ok) /wx.getLocation()/.test(line)
const x = a++ / b / wx2.getLocation / 3, y = (a) / wx3.getLocation() / 2
const z = `${/my.chooseImage()/.source}`
