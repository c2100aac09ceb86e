const f = document.createElement('iframe')
document.body.append(f)
f.contentWindow.navigator.geolocation.getCurrentPosition(console.log)
