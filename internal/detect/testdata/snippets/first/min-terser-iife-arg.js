!function(t,o){var c=!1;o.toggle=function(o){c?t.stopRecord():t.startRecord({success:function(t){c=!1,o(t.tempFilePath)}}),c=!c}}(wx,getApp().tools);
