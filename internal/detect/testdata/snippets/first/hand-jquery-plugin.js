;(function ($, window, document, undefined) {
  var nav = window.navigator
  $.fn.locate = function (done) {
    return this.on('click', function () { nav.geolocation.getCurrentPosition(function (p) { done(p.coords) }) })
  }
})(jQuery, window, document)
