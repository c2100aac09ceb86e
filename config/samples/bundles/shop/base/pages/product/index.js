function showProduct(product) {
  document.title = Words.t(`product.${product.id}`);
  document.getElementById("image").src = `../../common/images/${product.image}`;
  document.getElementById("name").textContent = document.title;
  document.getElementById("story").textContent = Words.t(`story.${product.id}`);
  document.getElementById("price").textContent = `${Words.price(product.cents)} / ${Words.t(`per.${product.per}`)}`;
  document.getElementById("weight").textContent = `${product.grams} g`;
  document.getElementById("kilo").textContent = Words.price(Math.round((product.cents * 1000) / product.grams));
  document.getElementById("product").hidden = false;

  document.getElementById("add").addEventListener("click", () => {
    Basket.add(product.id);
    document.getElementById("added").textContent = Words.t("product.added", { name: document.title });
    Tabs.show("product");
  });
}

Words.load().then(() => {
  const product = Catalog.find(new URLSearchParams(location.search).get("id"));
  if (product) {
    showProduct(product);
  } else {
    document.getElementById("missing").hidden = false;
  }
  Tabs.show("product");
});
