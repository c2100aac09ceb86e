/**
 * Formerly called wx.getLocation({ type: 'gcj02' }) here; the server now knows the city.
 * @see wx.chooseLocation
 */
// wx.getLocation()
/* navigator.geolocation.getCurrentPosition(ok) */
export const city = () => fetch('/city').then(r => r.text()) // not my.getLocation
