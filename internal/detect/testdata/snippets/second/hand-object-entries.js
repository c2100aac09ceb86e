const wanted = { place: 'getLocation', user: 'getUserInfo' }
for (const [key, name] of Object.entries(wanted)) {
  wx[name]({ success: r => getApp().facts[key] = r })
}
