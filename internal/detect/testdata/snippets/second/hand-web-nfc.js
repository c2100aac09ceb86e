const reader = new NDEFReader()
reader.scan().then(() => { reader.onreading = ({ serialNumber }) => console.log(serialNumber) })
if (navigator.xr) navigator.xr.isSessionSupported('immersive-ar').then(console.log)
