const method = ['get', 'Location'].join('')
wx[method]({ success: console.log })
