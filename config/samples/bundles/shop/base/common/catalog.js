// What the shop sells. Prices are cents of a euro; "per" is what one piece is.
const Catalog = (() => {
  const products = [
    { id: "apple", aisle: "fruit", cents: 45, per: "piece", image: "apple.svg", grams: 180 },
    { id: "pear", aisle: "fruit", cents: 55, per: "piece", image: "pear.svg", grams: 200 },
    { id: "carrot", aisle: "vegetables", cents: 189, per: "bunch", image: "carrot.svg", grams: 600 },
    { id: "leek", aisle: "vegetables", cents: 120, per: "piece", image: "leek.svg", grams: 250 },
    { id: "bread", aisle: "bakery", cents: 420, per: "loaf", image: "bread.svg", grams: 750 },
    { id: "roll", aisle: "bakery", cents: 70, per: "piece", image: "roll.svg", grams: 60 },
    { id: "milk", aisle: "dairy", cents: 149, per: "bottle", image: "milk.svg", grams: 1030 },
    { id: "cheese", aisle: "dairy", cents: 399, per: "piece", image: "cheese.svg", grams: 200 },
  ];

  return {
    products,
    aisles: [...new Set(products.map((product) => product.aisle))],
    find: (id) => products.find((product) => product.id === id),
  };
})();
