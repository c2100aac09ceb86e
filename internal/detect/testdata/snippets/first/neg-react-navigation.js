function Screen({ navigator, route }) {
  const { clipboard, geolocation } = route.params
  navigator.push('details', { clipboard })
  return navigator.geolocation ? geolocation : null
}
