function host(){return"undefined"!=typeof wx?wx:"undefined"!=typeof my?my:null}module.exports={locate:function(e){var n=host();n?n.getLocation({success:e}):e()}};
