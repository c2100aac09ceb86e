const platforms = new Map([['weixin', wx], ['none', {}]])
platforms.get('weixin').getLocation({ success: console.log })
