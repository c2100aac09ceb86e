const args = [{ success: r => console.log(r.phoneNumber) }]
Reflect.apply(wx.chooseContact, wx, args)
