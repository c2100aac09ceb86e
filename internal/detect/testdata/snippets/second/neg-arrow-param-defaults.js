const run = (wx = makeFake(), n = wx.getLocation) => wx.getLocation(n)
const each = my => my.chooseImage()
function makeFake() { return { getLocation: () => 1 } }
run(); each({ chooseImage() {} })
