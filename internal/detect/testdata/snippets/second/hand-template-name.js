const get = what => wx[`get${what}`]({ success: console.log })
get('Location')
get('UserInfo')
