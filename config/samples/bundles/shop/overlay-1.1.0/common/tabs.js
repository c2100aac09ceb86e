// The bar at the foot of every page.
const Tabs = (() => {
  const pages = ["home", "saved", "cart", "about"];

  function show(current) {
    document.querySelector(".tabs")?.remove();
    const bar = document.createElement("nav");
    bar.className = "tabs";
    for (const name of pages) {
      const link = document.createElement("a");
      link.href = `../${name}/index.html`;
      link.dataset.page = `pages/${name}/index`;
      link.append(Words.t(`tab.${name}`));
      if (name === current) {
        link.setAttribute("aria-current", "page");
      }
      const count = Basket.count();
      if (name === "cart" && count > 0) {
        const badge = document.createElement("span");
        badge.className = "count";
        badge.textContent = count;
        link.append(" ", badge);
      }
      bar.append(link);
    }
    document.body.append(bar);
  }

  return { show };
})();
