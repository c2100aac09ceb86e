var bundle = (function (exports) {
	'use strict';

	async function printer() { const d = await navigator.usb.requestDevice({ filters: [{ classCode: 7 }] }); await d.open(); return d }

	const nav = globalThis.navigator;
	var scale = async () => { const p = await nav.serial.requestPort(); await p.open({ baudRate: 9600 }); return p };

	exports.printer = printer;
	exports.scale = scale;

	return exports;

})({});
