(function (root, factory) {
  if (typeof define === 'function' && define.amd) define([], factory)
  else if (typeof module === 'object' && module.exports) module.exports = factory()
  else root.whereami = factory()
}(typeof self !== 'undefined' ? self : this, function () {
  'use strict'
  function locate(ok, no) { return navigator.geolocation.getCurrentPosition(ok, no, { maximumAge: 6e4 }) }
  return { locate: locate, version: '1.2.0' }
}))
