// What is kept between visits. Where the device keeps nothing, the basket lasts
// as long as the page.
const Store = (() => {
  const memory = new Map();
  const prefix = "grocer.";

  function read(key, otherwise) {
    try {
      const text = localStorage.getItem(prefix + key) ?? memory.get(key);
      return text === undefined || text === null ? otherwise : JSON.parse(text);
    } catch {
      const text = memory.get(key);
      return text === undefined ? otherwise : JSON.parse(text);
    }
  }

  function write(key, value) {
    const text = JSON.stringify(value);
    memory.set(key, text);
    try {
      localStorage.setItem(prefix + key, text);
    } catch {
      // Full or forbidden: the copy in memory is all there is.
    }
  }

  return { read, write };
})();
