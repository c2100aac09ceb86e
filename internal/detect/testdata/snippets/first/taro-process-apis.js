const needPromiseApis = new Set(['getLocation', 'chooseAddress', 'showToast'])
function processApis(taro, global) {
  const keys = Object.keys(global)
  keys.forEach(key => {
    if (needPromiseApis.has(key)) taro[key] = options => new Promise((resolve, reject) => global[key](Object.assign({}, options, { success: resolve, fail: reject })))
    else taro[key] = global[key]
  })
}
const Taro = {}
processApis(Taro, wx)
Taro.getLocation({ type: 'gcj02' }).then(() => Taro.chooseAddress())
