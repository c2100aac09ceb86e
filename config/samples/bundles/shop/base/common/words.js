// Words of the user's language, from i18n/. Elements name theirs in data-text.
const Words = (() => {
  const languages = ["en", "de"];
  const language = languages.find((code) => navigator.language.startsWith(code)) ?? "en";
  const locale = navigator.language.startsWith(language) ? navigator.language : language;
  let words = {};

  const money = new Intl.NumberFormat(locale, { style: "currency", currency: "EUR" });
  const clock = new Intl.DateTimeFormat(locale, { weekday: "short", hour: "2-digit", minute: "2-digit" });

  // t("cart.total", {price: "3 €"}) fills {price} in the words for cart.total.
  function t(key, values = {}) {
    return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  }

  async function load() {
    const response = await fetch(`../../i18n/${language}.json`);
    words = await response.json();
    document.documentElement.lang = language;
    for (const element of document.querySelectorAll("[data-text]")) {
      element.textContent = t(element.dataset.text);
    }
  }

  return { t, load, price: (cents) => money.format(cents / 100), time: (date) => clock.format(date) };
})();
