export default {
  permission: { 'scope.userLocation': { desc: 'shows shops near you' } },
  requiredPrivateInfos: ['getLocation', 'chooseAddress'],
  apis: ['wx.getLocation', 'wx.chooseImage', 'my.getLocation'],
}
