// Package source fetches the bytes of a bundle from where a version's spec says
// that they are: an https URL, an OCI registry, or the data of a ConfigMap.
//
// What is fetched, and from where, is chosen by people who are not trusted with
// the network that the manager stands in. So every request goes through one
// [Transport], which refuses addresses that are not public when it dials, and
// every body is streamed into a file with limits on its size, on the time that
// it takes, and on the time in which nothing arrives.
//
// Errors are for the person who wrote the spec. Their text names the address
// without user, password and query, for any of these may be a secret.
//
// An OCI source holds its bundle as a zip layer, or as a layer that is a tar,
// plain or compressed by gzip or zstd. What is published is always a zip. One that
// came is published byte for byte; of a tar, a zip is made here: sorted, stored
// without compression, with fixed times and owners. So it depends on the files
// alone, on no compressor and no release of Go, and the same layer makes the same
// artifact for ever. Nobody reads the tar after that: whatever another reader
// would find in it, reviewed and served is what this one found. The zip may be as
// large as an expanded bundle may be; [Fetched] says what it was made of.
package source

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
)

// What Limits means where its fields are zero.
const (
	DefaultMaxBytes    = 32 << 20
	DefaultTimeout     = 5 * time.Minute
	DefaultIdleTimeout = 30 * time.Second
)

// What Limits means for tar layers where its fields are zero: what bundle.Read
// takes of a zip.
var (
	DefaultMaxExpandedBytes = bundle.DefaultLimits().ExpandedBytes
	DefaultMaxEntries       = bundle.DefaultLimits().Entries
	DefaultMaxRatio         = bundle.DefaultLimits().Ratio
)

// Limits bound one fetch. The zero value means the defaults.
type Limits struct {
	// Dir is where fetched bytes are kept until they are closed.
	// Empty: the directory for temporary files.
	Dir string
	// MaxBytes is the largest bundle that is accepted, in bytes.
	// Zero: DefaultMaxBytes.
	MaxBytes int64
	// Timeout is how long a fetch may take from its first request to its last
	// byte. Zero: DefaultTimeout.
	Timeout time.Duration
	// IdleTimeout is how long a fetch may go on without receiving anything.
	// Zero: DefaultIdleTimeout.
	IdleTimeout time.Duration
	// MaxExpandedBytes is what a tar layer may expand to, its headers included, in
	// bytes. Zero: DefaultMaxExpandedBytes.
	MaxExpandedBytes int64
	// MaxEntries is how many files and folders a tar layer may hold. Zero:
	// DefaultMaxEntries.
	MaxEntries int
	// MaxRatio is how many times its own size a tar layer may expand to, where
	// that is more than 1 MiB. Zero: DefaultMaxRatio.
	MaxRatio int64
}

func (l Limits) withDefaults() Limits {
	l.MaxBytes = cmp.Or(l.MaxBytes, DefaultMaxBytes)
	l.Timeout = cmp.Or(l.Timeout, DefaultTimeout)
	l.IdleTimeout = cmp.Or(l.IdleTimeout, DefaultIdleTimeout)
	return l.withTarDefaults()
}

// Fetched is a bundle's archive, as it came or made of a tar, with its digest
// computed here.
// The caller owns it and must close it.
type Fetched struct {
	io.ReaderAt
	// Size is the length of the archive in bytes.
	Size int64
	// SHA256 is the digest of the archive: "sha256:" and 64 hexadecimal digits.
	SHA256 string
	// Origin says where the bytes came from, without credentials or query. It
	// goes into the artifact's config.
	Origin string
	// Resolved is the digest of the manifest that an OCI reference named when it
	// was resolved. Empty for other sources.
	Resolved string
	// MadeOf is how the layer was packed that the archive was made of, such as
	// tar+gzip. Empty: the archive is as it came.
	MadeOf string
	// VerifiedBy says whose signature the source carries, such as "key release".
	// Empty: none was asked for.
	VerifiedBy string

	file *os.File
}

// Bounds are the limits for reading the archive. One that was made of a tar may be
// as large as it is: the layer was measured, and what it expands to.
func (f *Fetched) Bounds(l bundle.Limits) bundle.Limits {
	if f.MadeOf != "" {
		l.ArchiveBytes = f.Size
	}
	return l
}

// Open returns a reader from the first byte. It may be called any number of
// times until Close, so that a push can start again.
func (f *Fetched) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(f.ReaderAt, 0, f.Size)), nil
}

// Close frees what holds the bytes. Readers that Open returned fail from then on.
func (f *Fetched) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// Bytes takes b, the data of a ConfigMap, as a fetched bundle. It keeps b and
// does not copy it. origin names the ConfigMap and key, as in
// "ConfigMap shop-team/bundle, key app.zip". An empty wantSHA256 compares
// nothing; otherwise it is 64 hexadecimal digits, with or without "sha256:".
//
// It fails with a *PermanentError (SourceInvalid) or a *RetryError around a
// *TemporaryError (SourceDigest).
func Bytes(b []byte, wantSHA256, origin string) (*Fetched, error) {
	const field = "spec.source.configMap.sha256"
	want, err := parseSHA256(field, wantSHA256)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	f := &Fetched{
		ReaderAt: bytes.NewReader(b),
		Size:     int64(len(b)),
		SHA256:   sha256Prefix + hex.EncodeToString(sum[:]),
		Origin:   origin,
	}
	if err := checkSHA256(f, want, field); err != nil {
		return nil, err
	}
	return f, nil
}

const sha256Prefix = "sha256:"

// parseSHA256 returns s with "sha256:" in front, or "" where s is empty.
func parseSHA256(field, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	digits := strings.TrimPrefix(s, sha256Prefix)
	if b, err := hex.DecodeString(digits); err != nil || len(b) != sha256.Size {
		return "", &PermanentError{
			Reason:  SourceInvalid,
			Message: fmt.Sprintf("%s is %q, which is no sha256: write its 64 hexadecimal digits, as sha256sum prints them", field, s),
		}
	}
	return sha256Prefix + strings.ToLower(digits), nil
}

func checkSHA256(f *Fetched, want, field string) error {
	if want == "" || want == f.SHA256 {
		return nil
	}
	return later(SourceDigest, "the bundle fetched from %s has sha256 %s, but %s says %s: correct the digest or the file",
		f.Origin, strings.TrimPrefix(f.SHA256, sha256Prefix), field, strings.TrimPrefix(want, sha256Prefix))
}

var errTooLarge = errors.New("larger than the limit")

// spool streams body into a file of its own. At most limit bytes are kept; a longer
// body is errTooLarge.
func spool(dir string, body io.Reader, limit int64, origin string) (*Fetched, error) {
	f, err := keep(dir, func(w io.Writer) error {
		n, err := io.Copy(w, io.LimitReader(body, limit+1))
		if err == nil && n > limit {
			return errTooLarge
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	f.Origin = origin
	return f, nil
}

// keep has a file of its own written, and computes its digest on the way.
func keep(dir string, write func(io.Writer) error) (_ *Fetched, err error) {
	file, err := UnnamedFile(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = file.Close() // err says what matters
		}
	}()
	hash := sha256.New()
	if err := write(io.MultiWriter(file, hash)); err != nil {
		return nil, err
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	return &Fetched{ReaderAt: file, Size: size, SHA256: sha256Prefix + hex.EncodeToString(hash.Sum(nil)), file: file}, nil
}

// UnnamedFile makes a temporary file. Its name goes at once: the file lives as
// long as it is open, and a manager that is killed leaves nothing behind.
func UnnamedFile(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, "bundle-*")
	if err != nil {
		return nil, fmt.Errorf("making a file for the bundle: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close() // err says what matters
		return nil, fmt.Errorf("unlinking the file for the bundle: %w", err)
	}
	return file, nil
}

// watchdog ends a fetch that takes too long or that stands still. Its context's
// cause is then an *overdueError.
type watchdog struct {
	parent context.Context
	ctx    context.Context
	limits Limits
	idle   *time.Timer
	whole  *time.Timer
	cancel context.CancelCauseFunc
}

type overdueError struct{ what string }

func (e *overdueError) Error() string { return e.what }

func watch(parent context.Context, l Limits) *watchdog {
	ctx, cancel := context.WithCancelCause(parent)
	giveUp := func(after time.Duration, what string) *time.Timer {
		return time.AfterFunc(after, func() { cancel(&overdueError{fmt.Sprintf(what, after)}) })
	}
	return &watchdog{
		parent: parent,
		ctx:    ctx,
		limits: l,
		idle:   giveUp(l.IdleTimeout, "nothing arrived for %s"),
		whole:  giveUp(l.Timeout, "it did not end within %s"),
		cancel: cancel,
	}
}

func (w *watchdog) stop() {
	w.idle.Stop()
	w.whole.Stop()
	w.cancel(nil)
}

// reader returns body, each of whose bytes proves that the fetch moves on.
func (w *watchdog) reader(body io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		n, err := body.Read(p)
		if n > 0 {
			w.idle.Reset(w.limits.IdleTimeout)
		}
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
