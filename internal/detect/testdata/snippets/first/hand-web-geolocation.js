const out = document.querySelector('#where')
document.querySelector('#ask').addEventListener('click', () => {
  if (!('geolocation' in navigator)) { out.textContent = 'not here'; return }
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => { out.textContent = `${coords.latitude.toFixed(4)}, ${coords.longitude.toFixed(4)}` },
    e => { out.textContent = e.message },
    { enableHighAccuracy: true, timeout: 5000 },
  )
})
