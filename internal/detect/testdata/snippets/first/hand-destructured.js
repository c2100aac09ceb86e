const { chooseImage, getUserProfile: profile, showToast } = wx
Page({
  avatar() { chooseImage({ count: 1, sizeType: ['compressed'], success: r => this.setData({ src: r.tempFilePaths[0] }) }) },
  login() { profile({ desc: 'shows your name', success: r => this.setData(r.userInfo) }) },
  done() { showToast({ title: 'ok' }) },
})
