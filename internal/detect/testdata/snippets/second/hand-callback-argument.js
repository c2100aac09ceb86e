function ready(cb) { if (typeof wx !== 'undefined') cb(wx) }
ready(function (api) { api.chooseMessageFile({ count: 1, success: r => console.log(r.tempFiles[0].name) }) })
