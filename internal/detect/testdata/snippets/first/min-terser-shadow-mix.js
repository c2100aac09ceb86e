function a(n){return n.getLocation()}function b(){return wx.chooseAddress({})}module.exports={a:a,b:b,c:function(){return b().getLocation}};
