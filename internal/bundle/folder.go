package bundle

import (
	"archive/zip"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
)

// Method is how Zip writes the content of files.
type Method int

const (
	// Stored writes content as it is, so that the archive depends on nothing but
	// the files.
	Stored Method = iota
	// Deflated compresses every file that becomes smaller by it. The archive's
	// bytes depend on the version of klauspost/compress that go.mod names, and
	// not on the Go release.
	Deflated
)

const (
	// dosEpoch is 1980-01-01, the first day that zip's MS-DOS date can say:
	// year since 1980 from bit 9, month from bit 5, day from bit 0.
	dosEpoch = 0<<9 | 1<<5 | 1

	// What APPNOTE.TXT 4.4.3 asks readers to know: 1.0 for stored files, 2.0 for
	// deflate. The upper byte 3 of "made by" is Unix, whose modes stand in the
	// external attributes.
	neededStored  = 10
	neededDeflate = 20
	madeBy        = 3<<8 | 20

	// regular0644 is S_IFREG | 0644 in the upper half, as Info-ZIP writes it.
	regular0644 = 0o100644 << 16

	deflateLevel = 9
)

// errChanged: a file is read twice, for its header stands before its content.
var errChanged = errors.New("the file changed while it was packed; pack again when nothing writes to the folder")

// Zip writes the files of a folder as a zip archive that depends on their names
// and content only: sorted by the bytes of their names, dated 1980-01-01, mode
// 0644, without folders, extra fields, data descriptors or comment. Empty
// folders are not part of a bundle.
//
// What version control and macOS keep beside the files is left out, and every
// such file or folder is a warning among the findings. Links, devices and names
// that are no UTF-8 make it fail with a *CheckError before anything is written.
// Other errors are those of fsys and w.
func Zip(w io.Writer, fsys fs.FS, method Method) ([]Finding, error) {
	found := new(findings)
	names, err := listFiles(fsys, found)
	if err == nil {
		err = found.err()
	}
	if err != nil {
		return nil, err
	}
	p := packer{fsys: fsys, method: method, out: zip.NewWriter(w), buf: make([]byte, 32<<10)}
	for _, name := range names {
		if err := p.add(name); err != nil {
			return nil, fmt.Errorf("packing %s: %w", showPath(name), err)
		}
	}
	if err := p.out.Close(); err != nil {
		return nil, fmt.Errorf("finishing the archive: %w", err)
	}
	return found.sorted(), nil
}

// listFiles returns the files to pack, sorted by the bytes of their names, which
// is not the order in which folders are walked.
func listFiles(fsys fs.FS, found *findings) ([]string, error) {
	var names []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		switch why := leftover(d.Name()); {
		case why != "" && d.IsDir():
			found.junk(name+"/", "%s; the folder is left out of the archive", why)
			return fs.SkipDir
		case why != "":
			found.junk(name, "%s; the file is left out of the archive", why)
		case !utf8.ValidString(name):
			// A folder of such a name cannot be opened, and what is below has the same fault.
			found.fail(ruleNameEncoding, name, "the name is not valid UTF-8; rename it")
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type()&fs.ModeSymlink != 0:
			found.fail(ruleZipFileType, name, "it is a symbolic link, and a bundle holds regular files only; put the file itself there")
		case d.Type().IsRegular():
			names = append(names, name)
		case !d.IsDir():
			found.fail(ruleZipFileType, name, "it is neither a regular file nor a folder; remove it")
		}
		return nil
	})
	slices.SortFunc(names, cmp.Compare[string])
	return names, err
}

// leftover says why a file or folder of that name has no place in a bundle; ""
// when it may have one.
func leftover(base string) string {
	switch base {
	case ".git", ".hg", ".svn":
		return "it belongs to version control and would show the program's history to everybody"
	case ".DS_Store", "__MACOSX":
		return "it was left by macOS and is of no use to the mini program"
	}
	return ""
}

// packer writes one archive.
type packer struct {
	fsys   fs.FS
	method Method
	out    *zip.Writer
	flate  *flate.Writer // made when first needed; costs 1 MiB
	buf    []byte
}

// add writes one file: once through to know its header, once more to write it,
// so that no file is held in memory.
func (p *packer) add(name string) error {
	header, err := p.measure(name)
	if err != nil {
		return err
	}
	// CreateRaw writes the header as given: CreateHeader would add a data
	// descriptor and an extra field with the time.
	entry, err := p.out.CreateRaw(header)
	if err != nil {
		return err
	}
	packed := &countingWriter{w: entry}
	sum, size, err := p.copy(packed, name, header.Method)
	if err != nil {
		return err
	}
	if sum != header.CRC32 || size != header.UncompressedSize64 || packed.written != header.CompressedSize64 {
		return errChanged
	}
	return nil
}

// measure reads a file and returns the header of its entry.
func (p *packer) measure(name string) (*zip.FileHeader, error) {
	h := &zip.FileHeader{
		Name: name, Method: methodStored, CreatorVersion: madeBy, ReaderVersion: neededStored,
		ModifiedDate: dosEpoch, ExternalAttrs: regular0644,
	}
	// Without the flag names outside ASCII are read as code page 437.
	if !isASCII(name) {
		h.Flags = flagUTF8
	}
	method := uint16(methodStored)
	if p.method == Deflated {
		method = methodDeflate
	}
	packed := &countingWriter{w: io.Discard}
	var err error
	if h.CRC32, h.UncompressedSize64, err = p.copy(packed, name, method); err != nil {
		return nil, err
	}
	h.CompressedSize64 = h.UncompressedSize64
	if method == methodDeflate && packed.written < h.UncompressedSize64 {
		h.Method, h.ReaderVersion, h.CompressedSize64 = methodDeflate, neededDeflate, packed.written
	}
	return h, nil
}

// copy writes a file's content by the method and returns its checksum and size.
func (p *packer) copy(w io.Writer, name string, method uint16) (sum uint32, size uint64, err error) {
	file, err := p.fsys.Open(name)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = file.Close() }() // it was only read
	if method == methodDeflate {
		if p.flate == nil {
			if p.flate, err = flate.NewWriter(w, deflateLevel); err != nil {
				return 0, 0, err
			}
		}
		p.flate.Reset(w)
		w = p.flate
	}
	crc := crc32.NewIEEE()
	n, err := io.CopyBuffer(io.MultiWriter(crc, w), onlyReader{file}, p.buf)
	if err == nil && method == methodDeflate {
		err = p.flate.Close()
	}
	return crc.Sum32(), uint64(n), err
}

// onlyReader hides WriteTo, which would choose other pieces than the buffer's.
type onlyReader struct{ io.Reader }

// countingWriter counts what passes.
type countingWriter struct {
	w       io.Writer
	written uint64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.written += uint64(n)
	return n, err
}
