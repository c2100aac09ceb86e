module.exports=function(o){var n=o.sandbox,t=o.other;function c(n){o.log(n)}return{run:function(){n.getLocation({success:c}),t.chooseImage({count:o.count})}}};
