let a, b
a = wx
b = a
function go() { return b.getLocation({}) }
go()
