const KEY = 'cart.v2'
module.exports.read = () => { try { return wx.getStorageSync(KEY) || [] } catch (e) { return [] } }
module.exports.write = items => wx.setStorage({ key: KEY, data: items })
module.exports.clear = () => my.removeStorageSync && my.removeStorageSync({ key: KEY })
