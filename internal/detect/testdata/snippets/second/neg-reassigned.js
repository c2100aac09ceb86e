let api = wx
api.showToast({ title: 'a' })
api = { getLocation() {} }
api.getLocation()
