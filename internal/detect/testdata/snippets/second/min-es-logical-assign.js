let t;export const join=(i,n)=>(t??=wx,t.getWifiList(),t.connectWifi({SSID:i,password:n}));
