var api = require('./api.js')
function pay(order, done) {
  api.post('/orders/' + order.id + '/pay').then(function (p) {
    wx.requestPayment({
      timeStamp: p.timeStamp,
      nonceStr: p.nonceStr,
      package: p.package,
      signType: 'MD5',
      paySign: p.paySign,
      complete: done
    })
  })
}
Component({
  methods: {
    scan: function () {
      var that = this
      wx.scanCode({ onlyFromCamera: true, success: function (r) { that.triggerEvent('code', r.result) } })
    },
    pay: function (e) { pay(e.currentTarget.dataset.order, this.refresh.bind(this)) },
    refresh: function () {}
  }
})
