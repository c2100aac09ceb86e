export function pick(count = 1, api = wx) { return api.chooseImage({ count }) }
export const locate = (cb, { geolocation } = navigator) => geolocation.getCurrentPosition(cb)
