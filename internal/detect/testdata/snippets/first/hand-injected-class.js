class Media {
  constructor(api) { this.api = api }
  pick() { return this.api.chooseMedia({ count: 9, mediaType: ['image'] }) }
  where() { return this.api.getLocation({ type: 'gcj02' }) }
}
export default new Media(wx)
