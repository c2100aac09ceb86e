const Recognition = window.SpeechRecognition || window.webkitSpeechRecognition
const r = new Recognition()
r.lang = 'de-DE'
r.onresult = e => { document.title = e.results[0][0].transcript }
r.start()
