let rec, chunks = []
export async function record() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true } })
  rec = new MediaRecorder(stream, { mimeType: 'audio/webm' })
  rec.ondataavailable = e => chunks.push(e.data)
  rec.start(250)
}
export function finish() { rec.stop(); const b = new Blob(chunks); chunks = []; return b }
