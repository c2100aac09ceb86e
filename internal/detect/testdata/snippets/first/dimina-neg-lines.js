modDefine("app",function(e,a,o){App({globalData:{saved:0}})});
modDefine("pages/lines/lines",function(e,t,a){globalThis.__extraInfo={path:"pages/lines/lines",usingComponents:{}};const n=e("/utils/network");Page({data:{lines:n.lines},open(s){wx.navigateTo({url:"/pages/stop/stop?id="+s.currentTarget.dataset.id})}})});
modDefine("/utils/network",function(t,e,i){e.exports={lines:[{id:"12",name:"Harbour"}],getLocation:o=>({id:o,lat:1})}});
