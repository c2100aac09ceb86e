var out = (function wx(n) { return n ? wx.getLocation : wx(n + 1) })(0)
const o = { my() { return 1 }, get wx() { return 2 } }
o.my.getLocation; o.wx.getLocation
