export const remind = async (title, at) => {
  await wx.requestSubscribeMessage({ tmplIds: ['t1'] })
  return wx.addPhoneCalendar({ title, startTime: at / 1000 | 0, alarm: 'true' })
}
