// The products that the user wants to find again.
const Saved = {
  ids: () => Store.read("saved", []),
  has: (id) => Saved.ids().includes(id),
  toggle(id) {
    const others = Saved.ids().filter((saved) => saved !== id);
    Store.write("saved", Saved.has(id) ? others : [...others, id]);
  },
};

function heart(product) {
  const button = document.createElement("button");
  button.className = "plain";
  button.style.cssText = "position: absolute; top: 0; right: 0; font-size: 1.3rem;";

  function show() {
    const saved = Saved.has(product.id);
    button.textContent = saved ? "♥" : "♡";
    button.setAttribute(
      "aria-label",
      Words.t(saved ? "saved.forget" : "saved.save", { name: Words.t(`product.${product.id}`) }),
    );
  }

  button.addEventListener("click", () => {
    Saved.toggle(product.id);
    show();
    document.dispatchEvent(new CustomEvent("savedchanged"));
  });
  show();
  return button;
}

// One product as it stands in a list, with a heart that saves it.
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
  item.append(link, heart(product));
  return item;
}
