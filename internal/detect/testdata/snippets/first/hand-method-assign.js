const host = {}
host.video = wx.chooseVideo
Object.keys(host).forEach(k => console.log(k))
host.video({ sourceType: ['camera'], maxDuration: 15, success: r => console.log(r.size) })
