export const inputs = async () => [...(await navigator.requestMIDIAccess()).inputs.values()]
export const pads = async () => (await navigator.hid.getDevices()).filter(d => d.vendorId === 0x054c)
