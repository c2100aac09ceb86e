const html = '<script>wx.getLocation()<\/script>' + "<button onclick='navigator.geolocation.x()'>"
document.body.insertAdjacentText('beforeend', html)
