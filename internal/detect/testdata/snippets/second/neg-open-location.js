// Opens a map at a place that is known; asks for nothing.
exports.open = shop => wx.openLocation({ latitude: shop.lat, longitude: shop.lng, name: shop.name, scale: 18 })
exports.preview = urls => wx.previewImage({ urls, current: urls[0] })
exports.openMy = shop => my.openLocation({ longitude: shop.lng, latitude: shop.lat })
