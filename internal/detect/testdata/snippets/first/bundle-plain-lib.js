// clip.js
var fromClipboard = async () => {
  for (const item of await navigator.clipboard.read()) return item.getType("image/png");
};

// disk.js
var fromDisk = async () => {
  const [handle] = await window.showOpenFilePicker({ types: [] });
  return handle.getFile();
};

// index.js
var sources = { fromClipboard, fromDisk };
export {
  sources
};
