Reflect.get(wx, 'getLocation')({ success: console.log })
