package manifest

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxUnpacked bounds one version's files together, in bytes, and maxUnpackedFiles
	// their number: twice what a bundle may have when it is packed.
	maxUnpacked      = 256 << 20
	maxUnpackedFiles = 20_000
	// contentWindow is the largest that content is packed with, and what one decoder holds in memory.
	contentWindow = 8 << 20
)

// span is where a file's bytes are in the tar.
type span struct{ offset, size int64 }

// unpack expands a content layer, which is a tar compressed with zstd, writes the tar
// to w, and tells where in it each file is. Nothing is ever created under a name that
// stands in the tar. No more than max bytes are written. The error is errMismatch
// where the tar is not the one that the document names.
func unpack(w io.Writer, layer io.Reader, want blobKey, most int64) (map[string]span, int64, error) {
	expanded, err := zstd.NewReader(layer, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(contentWindow))
	if err != nil {
		return nil, 0, fmt.Errorf("preparing zstd: %w", err)
	}
	defer expanded.Close()
	hash := sha256.New()
	in := &tap{from: io.LimitReader(expanded, most+1), to: io.MultiWriter(w, hash)}
	files, err := readTar(in)
	if err == nil {
		_, err = io.Copy(io.Discard, in) // what follows the tar's end belongs to its digest
	}
	switch {
	case in.read > most:
		return nil, 0, fmt.Errorf("its files have more than %d bytes together", most)
	case in.failed != nil:
		return nil, 0, in.failed
	case err != nil:
		return nil, 0, fmt.Errorf("%w: reading the tar: %w", errMismatch, err)
	}
	if got := [sha256.Size]byte(hash.Sum(nil)); got != want {
		return nil, 0, fmt.Errorf("%w: the tar in it is sha256:%x", errMismatch, got)
	}
	return files, in.read, nil
}

// tap writes what is read through it, and counts it.
type tap struct {
	from io.Reader
	to   io.Writer
	read int64
	// failed is an error of to, which is about this machine and not about the layer.
	failed error
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	t.read += int64(n)
	if _, werr := t.to.Write(p[:n]); werr != nil {
		t.failed = werr
		return n, werr
	}
	return n, err
}

// readTar finds the files. The reader of tars reads no further than it must, so that
// what was read by the end of a header is where the file begins.
func readTar(in *tap) (map[string]span, error) {
	files := map[string]span{}
	archive := tar.NewReader(in)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		_, twice := files[header.Name]
		switch {
		case header.Typeflag != tar.TypeReg || isSparse(header):
			return nil, fmt.Errorf("%q is no plain file", header.Name)
		case !fs.ValidPath(header.Name) || header.Name == ".":
			return nil, fmt.Errorf("%q is no plain path below the root", header.Name)
		case twice:
			return nil, fmt.Errorf("%q is there twice", header.Name)
		case len(files) == maxUnpackedFiles:
			return nil, fmt.Errorf("it has more than %d files", maxUnpackedFiles)
		}
		files[header.Name] = span{offset: in.read, size: header.Size}
	}
}

// isSparse tells a file whose bytes do not all stand in the tar.
func isSparse(header *tar.Header) bool {
	for name := range header.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}
