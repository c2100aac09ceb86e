Promise.resolve(wx).then(api => api.getLocation({ success: console.log }))
