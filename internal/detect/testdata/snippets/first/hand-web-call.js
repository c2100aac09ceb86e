class Call {
  constructor(signal) { this.pc = new RTCPeerConnection(); this.signal = signal }
  async join() {
    const devices = navigator.mediaDevices
    const local = await devices.getUserMedia({ audio: true, video: { width: 640 } })
    local.getTracks().forEach(t => this.pc.addTrack(t, local))
  }
  async share() {
    const screen = await navigator.mediaDevices.getDisplayMedia({ video: true })
    this.pc.getSenders()[1].replaceTrack(screen.getVideoTracks()[0])
  }
}
