// One product as it stands in a list.
function productCard(product) {
  const item = document.createElement("li");
  item.className = "card";

  const link = document.createElement("a");
  link.href = `../product/index.html?id=${product.id}`;
  link.dataset.page = "pages/product/index";

  const image = document.createElement("img");
  image.src = `../../common/images/${product.image}`;
  image.alt = "";

  const name = document.createElement("strong");
  name.textContent = Words.t(`product.${product.id}`);

  const price = document.createElement("span");
  price.className = "price";
  price.textContent = Words.price(product.cents);

  const per = document.createElement("span");
  per.className = "faint";
  per.textContent = ` / ${Words.t(`per.${product.per}`)}`;

  link.append(image, name, price, per);
  item.append(link);
  return item;
}
