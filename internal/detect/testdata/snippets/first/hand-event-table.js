const actions = { near: 'getLocation', scan: 'scanCode', call: 'makePhoneCall' }
Page({
  run(e) {
    const action = actions[e.currentTarget.dataset.action]
    wx[action]({ phoneNumber: '10086', success: this.done })
  },
  done() {},
})
