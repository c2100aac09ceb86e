#!/usr/bin/env node
'use strict'
<!-- an old habit
wx.getLocation({ success: console.log })
--> another
