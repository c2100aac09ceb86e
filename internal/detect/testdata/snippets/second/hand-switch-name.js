function pick(kind) {
  let method
  switch (kind) {
    case 'video': method = 'chooseVideo'; break
    default: method = 'chooseImage'
  }
  return wx[method]({ count: 1 })
}
module.exports = pick
