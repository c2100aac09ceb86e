function confirm(challenge) {
  return wx.checkIsSoterEnrolledInDevice({ checkAuthMode: 'fingerPrint' })
    .then(function (r) { if (!r.isEnrolled) throw new Error('none') })
    .then(function () { return wx.startSoterAuthentication({ requestAuthModes: ['fingerPrint'], challenge, authContent: 'Pay' }) })
}
module.exports = confirm
