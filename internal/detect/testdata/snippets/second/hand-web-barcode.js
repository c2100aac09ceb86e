const constraints = { video: { facingMode: 'environment' } }
const detector = new BarcodeDetector({ formats: ['qr_code'] })
navigator.mediaDevices.getUserMedia(constraints).then(async stream => {
  const v = Object.assign(document.createElement('video'), { srcObject: stream, muted: true })
  await v.play()
  const codes = await detector.detect(v)
  console.log(codes.map(c => c.rawValue))
})
