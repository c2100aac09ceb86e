function parse(a){for(var o,e=[],n=/\b(wx|my)\.([a-z]\w+)\s*\(/gi;o=n.exec(a);)e.push(o[1]+"."+o[2]);return e}exports.names=parse("wx.getLocation(); my.scan()").concat(["navigator.geolocation"]);
