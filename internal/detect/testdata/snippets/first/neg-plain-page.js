const app = getApp()
Page({
  data: { list: [], page: 1, loading: false },
  onLoad() { this.load() },
  onReachBottom() { this.load() },
  load() {
    if (this.data.loading) return
    this.setData({ loading: true })
    wx.request({
      url: app.api + '/goods?page=' + this.data.page,
      success: ({ data }) => this.setData({ list: this.data.list.concat(data), page: this.data.page + 1 }),
      complete: () => this.setData({ loading: false }),
    })
  },
  open(e) { wx.navigateTo({ url: `/pages/item/item?id=${e.currentTarget.dataset.id}` }) },
})
