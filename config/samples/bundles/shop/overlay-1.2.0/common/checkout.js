// Placing an order: when it can be collected, and the code shown at the counter.
const Checkout = (() => {
  const opens = 8;
  const closes = 20;
  const packing = 30 * 60 * 1000;

  // Every half hour of today while we are open, as long as there is time to pack.
  function pickupTimes(now) {
    const today = now.toISOString().slice(0, 10);
    const times = [];
    for (let hour = opens; hour < closes; hour++) {
      for (const minutes of ["00", "30"]) {
        times.push(new Date(`${today}T${String(hour).padStart(2, "0")}:${minutes}`));
      }
    }
    return times.filter((time) => time - now >= packing);
  }

  function place(pickup) {
    const order = {
      code: pickup.getTime().toString(36).slice(-5).toUpperCase(),
      pickup: pickup.getTime(),
      cents: Basket.cents(),
    };
    Store.write("order", order);
    Basket.clear();
    return order;
  }

  return { pickupTimes, place };
})();
