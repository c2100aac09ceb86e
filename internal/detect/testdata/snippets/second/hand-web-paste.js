const read = navigator.clipboard.readText.bind(navigator.clipboard)
document.onpaste = async () => { const text = await read(); console.log(text.length) }
const old = () => document['execCommand']('paste')
