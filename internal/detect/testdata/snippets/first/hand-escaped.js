w\u0078.getLocation({ success: done })
my['\x67\x65\x74Location']({ success: done })
function done(r) { console.log(r) }
