import { Notification } from 'element-ui'
import Accelerometer from './sensors'
Notification({ title: 'Saved', message: 'Your order is on its way' })
Notification.success('ok')
new Accelerometer({ frequency: 60 }).start()
