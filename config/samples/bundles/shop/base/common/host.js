// The host app, where there is one. In an ordinary browser the pages are plain
// links and the browser's own functions stand in.
const Host = (() => {
  const bridge = () => (window.miniapp && window.miniapp.isContainer ? window.miniapp : null);

  // Links between pages stay links; a host app opens them as its own pages.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-page]");
    const host = bridge();
    if (!link || !host || !host.can("app.navigateTo")) {
      return;
    }
    event.preventDefault();
    host.call("app.navigateTo", { page: link.dataset.page, query: new URL(link.href).search.slice(1) });
  });

  async function copy(text) {
    const host = bridge();
    if (host) {
      await host.call("clipboard.write", { text });
    } else {
      await navigator.clipboard.writeText(text);
    }
  }

  async function locate() {
    const host = bridge();
    if (host) {
      await host.permission.request("location");
      return host.call("device.getLocation", {});
    }
    const { coords } = await new Promise((found, failed) => {
      navigator.geolocation.getCurrentPosition(found, failed, { timeout: 8000 });
    });
    return { latitude: coords.latitude, longitude: coords.longitude };
  }

  return { copy, locate };
})();
