export class Pool{wx=new Map;my={chooseImage:1};run(e){return this.wx.get("getLocation"),this.my.chooseImage+e.geolocation.length}}
