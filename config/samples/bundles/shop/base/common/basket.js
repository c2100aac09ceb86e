// The basket: product ids and how many of each, at most 20.
const Basket = (() => {
  const most = 20;

  const load = () => Store.read("basket", {});

  function set(id, count) {
    const basket = load();
    if (count <= 0) {
      delete basket[id];
    } else {
      basket[id] = Math.min(count, most);
    }
    Store.write("basket", basket);
  }

  function lines() {
    return Object.entries(load())
      .map(([id, count]) => ({ product: Catalog.find(id), count }))
      .filter((line) => line.product);
  }

  return {
    most,
    set,
    lines,
    add: (id) => set(id, (load()[id] ?? 0) + 1),
    count: () => lines().reduce((sum, line) => sum + line.count, 0),
    cents: () => lines().reduce((sum, line) => sum + line.count * line.product.cents, 0),
    clear: () => Store.write("basket", {}),
  };
})();
