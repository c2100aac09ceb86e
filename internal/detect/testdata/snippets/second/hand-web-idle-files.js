async function kiosk() {
  if (await IdleDetector.requestPermission() === 'granted') new IdleDetector().start({ threshold: 60000 })
  const dir = await showDirectoryPicker({ mode: 'readwrite' })
  const { screens } = await window.getScreenDetails()
  return { dir, screens }
}
kiosk()
