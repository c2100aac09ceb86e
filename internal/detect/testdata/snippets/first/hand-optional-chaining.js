export const rough = () => wx?.getFuzzyLocation?.({ type: 'wgs84' })
export const exact = cb => navigator?.geolocation?.getCurrentPosition(cb)
export const key = options => window.navigator?.credentials?.["get"]({ publicKey: options })
