bus.on('getLocation', () => bus.emit('chooseImage'))
element.addEventListener('click', () => element.dispatchEvent(new CustomEvent('devicemotion-like')))
window.addEventListener('resize', layout)
document.execCommand('bold')
function layout() {}
