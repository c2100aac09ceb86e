function call(name, options) {
  return new Promise((resolve, reject) => wx[name]({ ...options, success: resolve, fail: reject }))
}
exports.where = () => call('getLocation', { type: 'wgs84' })
exports.friend = () => call('chooseContact')
