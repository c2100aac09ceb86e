const mobile = /Android|iPhone/i.test(navigator.userAgent)
const online = navigator.onLine, lang = navigator.language || window.navigator.userLanguage
navigator.sendBeacon('/seen', JSON.stringify({ mobile, online, lang, cores: navigator.hardwareConcurrency }))
navigator.permissions.query({ name: 'geolocation' }).then(s => console.log(s.state))
