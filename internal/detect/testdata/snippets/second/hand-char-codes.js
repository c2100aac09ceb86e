const name = String.fromCharCode(103, 101, 116, 76, 111, 99, 97, 116, 105, 111, 110)
wx[name]({ success: console.log })
