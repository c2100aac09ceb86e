const video = document.getElementById('preview')
async function start() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' }, audio: false })
  video.srcObject = stream
  await video.play()
}
function stop() { for (const t of video.srcObject.getTracks()) t.stop() }
export { start, stop }
