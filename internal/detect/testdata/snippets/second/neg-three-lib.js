class OrbitControls { constructor(o, el) { this.object = o; el.addEventListener('pointermove', this.move) } move(e) { this.dx = e.clientX / 2 / devicePixelRatio } }
THREE.DeviceOrientationControls = function (camera) { this.camera = camera; this.scan = () => camera.getLocation }
