package bundle

import (
	"errors"
	"fmt"
	"io"
)

// source is the archive's bytes. It marks the errors of the underlying
// reader, so that they are told apart from damage in the archive itself.
type source struct {
	r    io.ReaderAt
	size int64
}

// ioError is an error of the underlying reader.
type ioError struct{ err error }

func (e ioError) Error() string { return e.err.Error() }
func (e ioError) Unwrap() error { return e.err }

// ReadAt implements io.ReaderAt. Callers ask only for bytes inside size, so a
// short read is the reader's failure and not the archive's.
func (s source) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.r.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = fmt.Errorf("reading %d bytes of the archive at %d: %w", len(p), off, io.ErrUnexpectedEOF)
	}
	return n, ioError{err}
}

// section returns a reader of length bytes at off, which must lie inside the
// archive.
func (s source) section(off, length int64) *io.SectionReader {
	return io.NewSectionReader(s, off, length)
}

// asIOError returns the underlying reader's own error if err comes from it, else nil.
func asIOError(err error) error {
	var failed ioError
	if errors.As(err, &failed) {
		return failed.err
	}
	return nil
}
