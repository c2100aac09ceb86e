export const provider = ({ wx, my, navigator }) => ({
  locate: () => wx.getLocation(),
  pick: () => my.chooseImage(),
  web: () => navigator.geolocation.getCurrentPosition(() => {}),
})
