// Placing an order: when it can be collected, and the code shown at the counter.
const Checkout = (() => {
  const minute = 60 * 1000;
  const quarter = 15 * minute;

  // The next full quarter of an hour that leaves us half an hour to pack.
  function pickupTimes(now) {
    return [new Date(Math.ceil((now.getTime() + 30 * minute) / quarter) * quarter)];
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
