Page({
  onLoad() {
    my.getRunData({ countDate: '2026-01-01', success: r => this.post(r.response) })
    my.onUserCaptureScreen(() => this.setData({ tip: true }))
  },
  help() { my.makePhoneCall({ number: '95188' }) },
  post() {},
})
