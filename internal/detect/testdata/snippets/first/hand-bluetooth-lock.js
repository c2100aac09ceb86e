const SERVICE = '0000FFF0-0000-1000-8000-00805F9B34FB'
class Lock {
  async open() {
    await wx.openBluetoothAdapter({ mode: 'central' })
    const device = await this.find()
    await wx.createBLEConnection({ deviceId: device.deviceId, timeout: 8000 })
    const value = new Uint8Array([0x55, 0x01, 0x0a]).buffer
    await wx.writeBLECharacteristicValue({ deviceId: device.deviceId, serviceId: SERVICE, characteristicId: 'FFF1', value })
  }
  find() {
    return new Promise(resolve => {
      wx.onBluetoothDeviceFound(({ devices }) => {
        const hit = devices.find(d => /^LOCK/.test(d.name))
        if (hit) { wx.stopBluetoothDevicesDiscovery(); resolve(hit) }
      })
      wx.startBluetoothDevicesDiscovery({ services: [SERVICE] })
    })
  }
}
module.exports = Lock
