const host = { api: wx, name: 'wechat' }
const { api } = host
api.getLocation({ success: console.log })
host.api.getClipboardData({ success: console.log })
