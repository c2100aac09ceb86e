Page({
  title() { wx.chooseInvoiceTitle({ success: t => this.setData({ title: t.title, tax: t.taxNumber }) }) },
  invoice() { wx.chooseInvoice({ success: ({ invoiceInfo }) => this.setData({ invoices: JSON.parse(invoiceInfo) }) }) },
  keep() { wx.addPhoneContact({ firstName: 'Service', mobilePhoneNumber: '4001234567' }) },
})
