let shakes = 0, last = 0
function onMotion({ accelerationIncludingGravity: a }) {
  const now = Date.now()
  if (Math.abs(a.x) + Math.abs(a.y) + Math.abs(a.z) > 35 && now - last > 400) { last = now; shakes++ }
}
export async function listen() {
  if (typeof DeviceMotionEvent.requestPermission === 'function') {
    if (await DeviceMotionEvent.requestPermission() !== 'granted') return false
  }
  window.addEventListener('devicemotion', onMotion)
  return true
}
