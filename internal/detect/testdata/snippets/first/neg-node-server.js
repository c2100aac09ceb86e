const http = require('http')
const geo = require('geoip-lite')
http.createServer((req, res) => {
  const location = geo.lookup(req.socket.remoteAddress)
  res.end(JSON.stringify({ location, camera: false, contacts: [] }))
}).listen(8080)
