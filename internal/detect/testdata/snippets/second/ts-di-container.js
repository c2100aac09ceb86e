class Container {
    constructor() {
        this.m = new Map();
    }
    set(k, v) { this.m.set(k, v); return this; }
    get(k) { return this.m.get(k); }
}
const c = new Container().set('host', wx);
c.get('host').getLocation({ type: 'gcj02' });
c.get('host').chooseMedia({ count: 1 });
