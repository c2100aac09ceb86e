import wx from 'weixin-js-sdk-mock'
import { my } from './mine'
wx.getLocation({ type: 'wgs84' })
my.getLocation()
my.chooseImage({ count: 1 })
