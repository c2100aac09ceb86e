const safe = Object.create(wx)
safe.login = () => Promise.reject(new Error('off'))
safe.chooseAddress({ success: console.log })
