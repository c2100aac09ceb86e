window.ondeviceorientation = e => { document.body.style.transform = `rotate(${-e.alpha}deg)` }
