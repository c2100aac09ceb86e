let times = [];

function stepper(line) {
  const box = document.createElement("span");
  box.className = "stepper";
  for (const [sign, change] of [["−", -1], ["+", 1]]) {
    const button = document.createElement("button");
    button.className = "plain";
    button.textContent = sign;
    button.setAttribute("aria-label", Words.t(change > 0 ? "cart.more" : "cart.less"));
    button.disabled = change > 0 && line.count >= Basket.most;
    button.addEventListener("click", () => {
      Basket.set(line.product.id, line.count + change);
      showBasket();
    });
    box.append(button);
  }
  box.children[0].after(String(line.count));
  return box;
}

function showBasket() {
  const lines = Basket.lines();
  const list = document.getElementById("lines");
  list.replaceChildren();
  for (const line of lines) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = Words.t(`product.${line.product.id}`);
    const price = document.createElement("span");
    price.className = "price";
    price.textContent = Words.price(line.count * line.product.cents);
    item.append(name, stepper(line), price);
    list.append(item);
  }
  document.getElementById("total").textContent = Words.price(Basket.cents());
  document.getElementById("filled").hidden = lines.length === 0;
  document.getElementById("empty").hidden = lines.length > 0 || Store.read("order", null) !== null;
  Tabs.show("cart");
}

function showTimes() {
  times = Checkout.pickupTimes(new Date());
  const choices = times.map((time, index) => new Option(Words.time(time), index));
  document.getElementById("pickup").replaceChildren(...choices);
}

function showOrder(order) {
  document.getElementById("order").hidden = order === null;
  if (order === null) {
    return;
  }
  document.getElementById("code").textContent = order.code;
  document.getElementById("collect").textContent = Words.t("cart.collect", {
    time: Words.time(new Date(order.pickup)),
    price: Words.price(order.cents),
  });
}

Words.load().then(() => {
  showTimes();
  showOrder(Store.read("order", null));
  showBasket();

  document.getElementById("place").addEventListener("click", () => {
    showOrder(Checkout.place(times[document.getElementById("pickup").selectedIndex]));
    showBasket();
  });
  document.getElementById("code").addEventListener("click", async (event) => {
    await Host.copy(event.target.textContent);
    document.getElementById("copied").textContent = Words.t("cart.copied");
  });
});
