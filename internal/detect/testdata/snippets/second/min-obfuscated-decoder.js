var table=["bG9jYXRpb24=","Z2V0TG9jYXRpb24="];function dec(c){return atob(table[c-100])}wx[dec(101)]({success:function(c){console.log(c)}});
