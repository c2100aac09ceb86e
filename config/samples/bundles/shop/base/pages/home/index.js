function showAisles(wanted) {
  const main = document.getElementById("aisles");
  main.replaceChildren();
  for (const aisle of Catalog.aisles) {
    const found = Catalog.products.filter(
      (product) =>
        product.aisle === aisle && Words.t(`product.${product.id}`).toLowerCase().includes(wanted.toLowerCase()),
    );
    if (found.length === 0) {
      continue;
    }
    const heading = document.createElement("h2");
    heading.textContent = Words.t(`aisle.${aisle}`);
    const list = document.createElement("ul");
    list.className = "cards";
    list.append(...found.map(productCard));
    main.append(heading, list);
  }
  document.getElementById("nothing").hidden = main.childElementCount > 0;
}

Words.load().then(() => {
  const search = document.getElementById("search");
  search.addEventListener("input", () => showAisles(search.value.trim()));
  showAisles("");
  Tabs.show("home");
});
