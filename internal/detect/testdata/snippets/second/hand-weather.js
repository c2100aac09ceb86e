const KEY = 'city'
const cached = () => wx.getStorageSync(KEY)
async function city() {
  const old = cached()
  if (old && Date.now() - old.at < 36e5) return old.name
  const [e, place] = await wx.getLocation({ type: 'wgs84' }).then(p => [null, p], err => [err])
  if (e) return 'Beijing'
  return new Promise(done => wx.request({
    url: `https://geo.example/rev?ll=${place.latitude},${place.longitude}`,
    success: ({ data: { name } }) => { wx.setStorage({ key: KEY, data: { name, at: Date.now() } }); done(name) },
  }))
}
module.exports = { city }
