export default {
  pick() { my.chooseImage({ count: 3, success: r => this.upload(r.apFilePaths) }) },
  scan() { my.scan({ type: 'qr', success: r => { my.setClipboard({ text: r.code }) } }) },
  pay(tradeNO) { my.tradePay({ tradeNO, success: ({ resultCode }) => resultCode === '9000' && this.paid() }) },
  upload() {}, paid() {},
}
