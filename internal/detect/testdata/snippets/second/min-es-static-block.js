export class Toys{static api;static{this.api=my,my.watchShake({success:()=>Toys.paste()})}static paste(){return Toys.api.getClipboard({})}}
