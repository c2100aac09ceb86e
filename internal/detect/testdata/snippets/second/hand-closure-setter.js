let host
export function setHost(h) { host = h }
export const scan = () => host.scanCode({ onlyFromCamera: false })
setHost(wx)
