modDefine("app",function(n,o,c){const e=n("/utils/env");App({onLaunch(){e.wx.getLocation({success(){}})}})});
modDefine("/utils/env",function(i,t,e){e.wx={getLocation:o=>o.success({latitude:30,longitude:104}),chooseImage:()=>[]}});
