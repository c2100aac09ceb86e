wx: for (;;) { break wx }
const t = { wx: 'getLocation', my: ['chooseImage'] }
t.wx + t.my
