Component({
  data: { files: [] },
  methods: {
    add() {
      wx.chooseMedia({ count: 9, mediaType: ['mix'] }).then(({ tempFiles }) => this.setData({ files: [...this.data.files, ...tempFiles] }))
    },
    async keep({ currentTarget: { dataset: { i } } }) {
      const f = this.data.files[i]
      const save = f.fileType === 'video' ? wx.saveVideoToPhotosAlbum : wx.saveImageToPhotosAlbum
      await save({ filePath: f.tempFilePath })
    },
  },
})
