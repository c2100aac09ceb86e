const env = { get host() { return wx } }
env.host.getLocation({ success: console.log })
