const known=["getLocation","chooseImage","scanCode"].map(e=>"wx."+e);exports.lint=e=>known.filter(n=>e.includes(n)).map(e=>({rule:"sensitive",message:`${e} needs a declaration`}));
