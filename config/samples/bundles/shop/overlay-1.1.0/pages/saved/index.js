function showSaved() {
  const products = Saved.ids().map(Catalog.find).filter(Boolean);
  document.getElementById("saved").replaceChildren(...products.map(productCard));
  document.getElementById("all").hidden = products.length === 0;
  document.getElementById("none").hidden = products.length > 0;
}

Words.load().then(() => {
  document.addEventListener("savedchanged", showSaved);
  document.getElementById("all").addEventListener("click", () => {
    Saved.ids().forEach(Basket.add);
    document.getElementById("done").textContent = Words.t("saved.done");
    Tabs.show("saved");
  });
  showSaved();
  Tabs.show("saved");
});
