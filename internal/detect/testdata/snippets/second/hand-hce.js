wx.getHCEState({ success: start })
function start() {
  wx.startHCE({ aid_list: ['F222222222'], success() { wx.onHCEMessage(m => m.messageType === 1 && answer(m.data)) } })
}
function answer() { wx.sendHCEMessage({ data: new ArrayBuffer(2) }) }
