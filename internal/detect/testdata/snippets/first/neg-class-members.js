class Geo {
  getLocation() { return this.fix }
  static chooseImage() { return null }
  get clipboard() { return this.buffer }
  #scan() { return 1 }
  run() { return [this.getLocation(), Geo.chooseImage(), this.clipboard.readText, this.#scan()] }
}
new Geo().getLocation()
