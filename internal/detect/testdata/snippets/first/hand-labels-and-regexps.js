outer: for (const line of text.split(/\r?\n/)) {
  if (/^\s*\/\/ wx\.getLocation/.test(line)) continue outer
  const half = line.length / 2 / 1, key = line.replace(/["'`]/g, '')
  if (key) wx.getLocation({ success: () => half })
}
