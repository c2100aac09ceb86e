"use strict";
const uni = wx;
const login = { async run() { const [err, res] = await uni.getUserProfile({ desc: "login" }).then(r => [null, r]).catch(e => [e]); return err || res; } };
const map = { refresh() { uni.getLocation({ geocode: true, success: r => { this.lat = r.latitude; } }); } };
exports.login = login; exports.map = map;
