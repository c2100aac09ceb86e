const fns = {}
function fn(name) { return fns[name] || (fns[name] = wx[name]) }
fn('getLocation')({ type: 'gcj02', success: console.log })
