const promisify = fn => options => new Promise((resolve, reject) => fn({ ...options, success: resolve, fail: reject }))
const getLocation = promisify(wx.getLocation)
const chooseAddress = promisify(wx.chooseAddress)
module.exports = { getLocation, chooseAddress }
