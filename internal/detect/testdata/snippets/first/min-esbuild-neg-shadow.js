export function makeAdapter(o,a){return{getLocation:t=>o.getLocation?o.getLocation(t):a.getLocation(t),pick:({wx:t=o})=>t.chooseImage()}}
