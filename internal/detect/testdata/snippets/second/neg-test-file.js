describe('wx.getLocation', () => {
  it('calls my.chooseImage', () => { expect(names).toContain('wx.getLocation') })
  const wx = { getLocation: jest.fn() }
  it('is called', () => { subject(wx); expect(wx.getLocation).toHaveBeenCalled() })
})
