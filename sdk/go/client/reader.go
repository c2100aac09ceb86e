package client

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Errors of what was downloaded, to be matched with errors.Is.
var (
	// ErrSize: there are more or fewer bytes than the document says.
	ErrSize = errors.New("the size is not the one in the document")
	// ErrDigest: they are other bytes.
	ErrDigest = errors.New("the digest is not the one in the document")
	// ErrContent: what was unpacked is something else.
	ErrContent = errors.New("the content is not the one in the document")
)

// Reader passes on the bytes of a blob and checks them: it never passes on more than the
// blob's size, and gives io.EOF only after the right bytes.
type Reader struct {
	from io.Reader
	blob document.Blob
	sum  hash.Hash
	n    int64
	err  error
}

// NewReader checks what from gives against the blob.
func NewReader(from io.Reader, blob document.Blob) *Reader {
	return &Reader{from: from, blob: blob, sum: sha256.New()}
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.from.Read(p)
	if r.n+int64(n) > r.blob.Size {
		r.err = fmt.Errorf("%w: more than %d bytes", ErrSize, r.blob.Size)
		return 0, r.err
	}
	r.n += int64(n)
	r.sum.Write(p[:n])
	if errors.Is(err, io.EOF) {
		err = r.end()
	}
	r.err = err
	return n, err
}

func (r *Reader) end() error {
	if r.n != r.blob.Size {
		return fmt.Errorf("%w: %d bytes, want %d", ErrSize, r.n, r.blob.Size)
	}
	if got := digestOf(r.sum); got != r.blob.Digest {
		return fmt.Errorf("%w: %s, want %s", ErrDigest, got, r.blob.Digest)
	}
	return io.EOF
}

func digestOf(sum hash.Hash) string { return "sha256:" + hex.EncodeToString(sum.Sum(nil)) }

// Content checks the deterministic tar of a variant, uncompressed: the files that are
// unpacked from the content blob, or packed again from an archive (USTAR, files only,
// sorted by name, mode 0644, no owner, time 0). It reads to the end.
func Content(tar io.Reader, v *document.Variant) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, tar); err != nil {
		return fmt.Errorf("reading the content: %w", err)
	}
	if got := digestOf(sum); got != v.ContentDigest {
		return fmt.Errorf("%w: %s, want %s", ErrContent, got, v.ContentDigest)
	}
	return nil
}
