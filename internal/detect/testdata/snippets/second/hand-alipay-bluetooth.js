const scale = {
  open(cb) { my.openBluetoothAdapter({ success: () => { my.startBluetoothDevicesDiscovery({ services: ['181D'] }); this.wait(cb) } }) },
  wait(cb) { setTimeout(() => my.connectBLEDevice({ deviceId: this.id, success: cb }), 1000) },
}
export default scale
