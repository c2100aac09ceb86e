const api = {
  start: wx['startAccelerometer'],
  on: wx["onAccelerometerChange"],
}
api.start({ interval: 'game' })
api.on(({ x, y, z }) => console.log(x, y, z))
