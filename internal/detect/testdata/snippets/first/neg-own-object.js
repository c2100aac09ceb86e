const map = { getLocation() { return { lat: 1, lng: 2 } }, chooseImage: () => 'cover.png' }
const store = { wx: { appid: 'wx123', getLocation: true }, my: { order: 1 } }
console.log(map.getLocation(), store.wx.getLocation, store.my.order, map.chooseImage())
