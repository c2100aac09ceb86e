function order(e){var r,s=wx;return s.chooseAddress({success:function(o){r=o,s.chooseLicensePlate({success:function(s){e(r,s.plateNumber)}})}}),s}exports.order=order;
