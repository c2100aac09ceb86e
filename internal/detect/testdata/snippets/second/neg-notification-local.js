function Notification(text) { this.text = text }
Notification.requestPermission = () => 'granted'
new Notification('hi')
const Gyroscope = class {}
new Gyroscope()
