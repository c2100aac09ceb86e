import * as wx from './wx-shim'
import navigator, { Notification as N } from './shims'
import { default as my } from './my'
wx.getLocation(); navigator.geolocation.x(); my.scan(); new N('x')
