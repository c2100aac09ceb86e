var f = new Function('return wx')()
setTimeout(function () { f.chooseContact({ success: function (c) { console.log(c.phoneNumber) } }) }, 10)
