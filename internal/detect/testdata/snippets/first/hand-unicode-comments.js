// 获取用户的位置，仅用于显示附近的门店
Page({
  data: { 标题: '附近门店', 列表: [] },
  /** 页面加载 */
  onLoad() { wx.getLocation({ type: 'gcj02', success: r => this.加载(r) }) },
  加载({ latitude, longitude }) { this.setData({ 列表: [{ latitude, longitude, 名称: '“总店”' }] }) },
})
