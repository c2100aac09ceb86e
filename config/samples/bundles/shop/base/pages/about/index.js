const shops = [
  { name: "Lindenallee 4", hours: "8–20", latitude: 52.5381, longitude: 13.4246 },
  { name: "Marktplatz 11", hours: "8–20", latitude: 52.4912, longitude: 13.3893 },
  { name: "Am Kanal 27", hours: "9–19", latitude: 52.4969, longitude: 13.4514 },
];

// Kilometres between two places of one town, where the earth is flat enough.
function kilometres(from, to) {
  const north = (to.latitude - from.latitude) * 111.2;
  const east = (to.longitude - from.longitude) * 111.2 * Math.cos((from.latitude * Math.PI) / 180);
  return Math.hypot(north, east);
}

async function showNearest() {
  const answer = document.getElementById("answer");
  try {
    const here = await Host.locate();
    const nearest = shops.toSorted((a, b) => kilometres(here, a) - kilometres(here, b))[0];
    answer.textContent = Words.t("about.is", {
      shop: nearest.name,
      distance: kilometres(here, nearest).toFixed(1),
    });
  } catch {
    answer.textContent = Words.t("about.unknown");
  }
}

Words.load().then(() => {
  const items = shops.map((shop) => {
    const item = document.createElement("li");
    item.textContent = Words.t("about.shop", { name: shop.name, hours: shop.hours });
    return item;
  });
  document.getElementById("shops").append(...items);
  document.getElementById("nearest").addEventListener("click", showNearest);
  Tabs.show("about");
});
