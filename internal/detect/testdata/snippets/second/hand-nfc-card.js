let adapter
exports.listen = cb => {
  adapter = wx.getNFCAdapter()
  adapter.onDiscovered(res => cb([...new Uint8Array(res.id)].map(b => b.toString(16).padStart(2, '0')).join(':')))
  adapter.startDiscovery()
}
exports.stop = () => adapter && adapter.stopDiscovery()
