var bundle = (function (exports) {
	'use strict';

	const wx = { getLocation: () => ({ latitude: 0 }), chooseImage: null };

	var my = { chooseImage: () => 'x.png' };

	const run = () => [wx.getLocation(), my.chooseImage()];

	exports.run = run;

	return exports;

})({});
