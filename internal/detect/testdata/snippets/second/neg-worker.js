self.onmessage = ({ data: { kind, my } }) => { if (kind === 'getLocation') postMessage(my.getLocation) }
addEventListener('message', e => e.data.navigator.geolocation)
