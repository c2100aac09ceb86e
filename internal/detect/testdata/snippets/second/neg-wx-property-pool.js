const a = { host: wx }
const b = { host: { getLocation: () => [1, 2] } }
a.host.showToast({ title: 'x' })
b.host.getLocation()
