package bundle

import (
	"archive/tar"
	"bufio"
	"compress/flate"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Damage that is found while a file is expanded.
var (
	errChecksum = errors.New("its content has another checksum than the archive says")
	errDeflate  = errors.New("its compressed content is damaged")
	errTooShort = errors.New("it expands to fewer bytes than the archive says")
	errTooLong  = errors.New("it expands to more bytes than the archive says")
	errTrailing = errors.New("bytes follow its compressed content")
)

// fileReader expands one file and checks it: io.EOF comes only after as many
// bytes as declared, with the declared checksum, from the whole of its range.
// It never yields more bytes than declared.
type fileReader struct {
	packed   *countingReader
	expanded io.Reader
	sum      hash.Hash32
	entry    *entry
	read     int64
	err      error
}

// countingReader counts what is taken from the archive. It is an io.ByteReader,
// for flate reads ahead of the end of its stream otherwise.
type countingReader struct {
	r    *bufio.Reader
	read int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.read += int64(n)
	return n, err
}

func (c *countingReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.read++
	}
	return b, err
}

// reset points f at another entry and keeps its buffers.
func (f *fileReader) reset(src source, e *entry) error {
	section := src.section(e.data, e.packed)
	if f.packed == nil {
		f.packed = &countingReader{r: bufio.NewReaderSize(section, 16<<10)}
		f.sum = crc32.NewIEEE()
	} else {
		f.packed.r.Reset(section)
		f.packed.read = 0
		f.sum.Reset()
	}
	f.entry, f.read, f.err = e, 0, nil
	if e.method == methodStored {
		f.expanded = f.packed
		return nil
	}
	if inflater, ok := f.expanded.(flate.Resetter); ok {
		return inflater.Reset(f.packed, nil)
	}
	f.expanded = flate.NewReader(f.packed)
	return nil
}

// Read implements io.Reader.
func (f *fileReader) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.expanded.Read(p)
	if int64(n) > f.entry.size-f.read {
		f.err = errTooLong
		return 0, f.err
	}
	f.read += int64(n)
	f.sum.Write(p[:n])
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		f.err = f.verdict()
	default:
		f.err = damage(err)
	}
	return n, f.err
}

// verdict is called when the content ended by itself.
func (f *fileReader) verdict() error {
	switch {
	case f.read < f.entry.size:
		return errTooShort
	case f.packed.read < f.entry.packed:
		return errTrailing
	case f.sum.Sum32() != f.entry.crc:
		return errChecksum
	}
	return io.EOF
}

// damage keeps errors of the underlying reader and replaces flate's, which
// speak of the implementation.
func damage(err error) error {
	if asIOError(err) != nil {
		return err
	}
	return errDeflate
}

// Close implements io.Closer. There is nothing to release.
func (f *fileReader) Close() error { return nil }

// Open returns the content of the file at path, a path of Files. Its Read
// returns io.EOF only when size and checksum are right. The error matches
// fs.ErrNotExist when there is no such file. Files may be read concurrently if
// the archive's io.ReaderAt allows it, which they all should.
func (b *Bundle) Open(path string) (io.ReadCloser, error) {
	i, ok := b.byPath[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	f := new(fileReader)
	if err := f.reset(b.src, &b.entries[i]); err != nil {
		return nil, err
	}
	return f, nil
}

// WriteTar writes the canonical tar of the files, whose SHA-256 is
// ContentDigest: sorted by name, files only, mode 0644, no owner, time 0. It
// reads the files from the archive again, so the io.ReaderAt that Read got
// must still be open; an archive that changed meanwhile is an error.
func (b *Bundle) WriteTar(w io.Writer) error {
	return writeTar(w, b.src, b.entries, nil)
}

// WriteContent writes the canonical tar compressed with zstd. One thread and
// fixed settings make the same build of this program write the same bytes; another
// version of the compressor may write others, so identity is ContentDigest,
// never the digest of these bytes. It needs the archive as WriteTar does.
func (b *Bundle) WriteContent(w io.Writer) error {
	z, err := zstd.NewWriter(w,
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderLevel(zstd.SpeedBetterCompression),
		// RFC 8878 asks every decoder to support windows up to 8 MiB.
		zstd.WithWindowSize(8<<20))
	if err != nil {
		return fmt.Errorf("preparing zstd: %w", err)
	}
	if err := b.WriteTar(z); err != nil {
		// The frame stays unfinished on purpose; only the encoder is released.
		z.Reset(io.Discard)
		return errors.Join(err, z.Close())
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compressing the content: %w", err)
	}
	return nil
}

// fileError says which file of the archive an error is about.
type fileError struct {
	path string
	err  error
}

func (e *fileError) Error() string { return fmt.Sprintf("expanding %s: %v", e.path, e.err) }
func (e *fileError) Unwrap() error { return e.err }

// writeTar writes the tar of entries, which must be files sorted by name. inspect, unless
// nil, sees every file's content in passing. After an error with one file the
// tar is of no use, and writeTar stops.
func writeTar(w io.Writer, src source, entries []entry, inspect inspector) error {
	t := tar.NewWriter(w)
	var file fileReader
	buf := make([]byte, 32<<10)
	for i := range entries {
		e := &entries[i]
		// Without a format, the writer takes USTAR and adds PAX records only
		// where a name needs them.
		header := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: e.size, Mode: 0o644, ModTime: time.Unix(0, 0)}
		if err := t.WriteHeader(header); err != nil {
			return fmt.Errorf("writing the tar header of %s: %w", e.name, err)
		}
		if err := file.reset(src, e); err != nil {
			return &fileError{e.name, err}
		}
		if err := copyFile(t, &file, buf, inspect); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("finishing the tar: %w", err)
	}
	return nil
}

// copyFile copies one file and tells reading errors, which are about the file,
// from writing errors.
func copyFile(w io.Writer, file *fileReader, buf []byte, inspect inspector) error {
	if inspect != nil {
		inspect.begin(file.entry.name)
	}
	for {
		n, err := file.Read(buf)
		if inspect != nil {
			inspect.more(buf[:n])
		}
		if _, werr := w.Write(buf[:n]); werr != nil {
			return fmt.Errorf("writing %s: %w", file.entry.name, werr)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &fileError{file.entry.name, err}
		}
	}
	if inspect != nil {
		inspect.end()
	}
	return nil
}

// inspector looks at the content of files while it passes.
type inspector interface {
	begin(path string)
	more(part []byte)
	end()
}
