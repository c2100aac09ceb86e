package manifest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// blobTimeout bounds one download from the registry.
	blobTimeout = 10 * time.Minute
	// maxDownloads bounds how many blobs are fetched at once.
	maxDownloads = 4
)

// errMismatch: the registry has other bytes under a digest.
var errMismatch = errors.New("the registry's bytes do not have the digest")

// blobCache keeps blobs as files that are named by their digest. A file that is
// there under its name was checked by this process, or is before it is first
// served.
type blobCache struct {
	dir          string
	max, maxBlob int64
	source       BlobSource
	metrics      *metrics
	flights      singleflight.Group
	downloads    chan struct{}

	mu    sync.Mutex
	files map[blobKey]*cachedFile
	uses  uint64 // how often anything was opened: the clock of cachedFile.used
	size  int64
}

type cachedFile struct {
	key     blobKey
	size    int64
	used    uint64
	checked bool
}

// openBlobCache takes over what an earlier run left.
func openBlobCache(dir string, maxBytes, maxBlob int64, source BlobSource, m *metrics) (*blobCache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the blob cache: %w", err)
	}
	if err := removeTemporary(dir); err != nil {
		return nil, fmt.Errorf("tidying the folder of the blob cache: %w", err)
	}
	c := &blobCache{
		dir: dir, max: maxBytes, maxBlob: maxBlob, source: source, metrics: m,
		downloads: make(chan struct{}, maxDownloads),
		files:     map[blobKey]*cachedFile{},
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of the blob cache: %w", err)
	}
	type left struct {
		key blobKey
		os.FileInfo
	}
	var found []left
	for _, file := range files {
		key, ok := parseHex(file.Name())
		info, err := file.Info()
		if ok && err == nil && info.Mode().IsRegular() {
			found = append(found, left{key, info})
		}
	}
	slices.SortFunc(found, func(a, b left) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range found {
		c.add(&cachedFile{key: f.key, size: f.Size()})
	}
	return c, nil
}

func (c *blobCache) path(key blobKey) string {
	return filepath.Join(c.dir, hex.EncodeToString(key[:]))
}

// open returns the blob, which the caller closes, and its size. refs are the
// places where it may be had.
func (c *blobCache) open(ctx context.Context, key blobKey, refs []blobRef) (*os.File, int64, error) {
	if f, size, ok := c.cached(key); ok {
		c.metrics.blobs.WithLabelValues("hit").Inc()
		return f, size, nil
	}
	// A blob that was just fetched may be displaced before it is opened, in a cache that is far too small.
	const attempts = 3
	for range attempts {
		// The download is nobody's own: it goes on when the one who asked first goes away.
		flight := c.flights.DoChan(string(key[:]), func() (any, error) { return nil, c.fill(key, refs) })
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case result := <-flight:
			if result.Err != nil {
				return nil, 0, result.Err
			}
		}
		if f, size, ok := c.cached(key); ok {
			return f, size, nil
		}
	}
	return nil, 0, errors.New("the blob cache is too small for what is asked of it")
}

// cached opens a file that was checked.
func (c *blobCache) cached(key blobKey) (*os.File, int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	file := c.files[key]
	if file == nil || !file.checked {
		return nil, 0, false
	}
	f, err := os.Open(c.path(key))
	if err != nil { // somebody tidied up: fill finds out, and fetches it again
		return nil, 0, false
	}
	c.use(file)
	return f, file.size, true
}

// fill makes sure that a checked file is there.
func (c *blobCache) fill(key blobKey, refs []blobRef) error {
	if c.recheck(key) {
		c.metrics.blobs.WithLabelValues("hit").Inc()
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), blobTimeout)
	defer cancel()
	select {
	case c.downloads <- struct{}{}:
		defer func() { <-c.downloads }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var errs []error
	for _, ref := range refs {
		err := c.download(ctx, key, ref)
		if err == nil {
			c.metrics.blobs.WithLabelValues("miss").Inc()
			return nil
		}
		errs = append(errs, fmt.Errorf("reading blob sha256:%x of %s: %w", key, ref.repository, err))
	}
	err := errors.Join(errs...)
	result := "error"
	if errors.Is(err, errMismatch) {
		result = "mismatch"
	}
	c.metrics.blobs.WithLabelValues(result).Inc()
	return err
}

// recheck reads a file that an earlier run left, and drops it if it is not what
// its name says.
func (c *blobCache) recheck(key blobKey) bool {
	c.mu.Lock()
	file := c.files[key]
	c.mu.Unlock()
	if file == nil {
		return false
	}
	good := hasDigest(c.path(key), key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files[key] != file {
		return false
	}
	if !good {
		c.drop(file)
		return false
	}
	file.checked = true
	return true
}

func hasDigest(path string, key blobKey) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // only read
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return false
	}
	return [sha256.Size]byte(hash.Sum(nil)) == key
}

// download fetches a blob into a file of its own, and gives it its name once its
// digest and size are right.
func (c *blobCache) download(ctx context.Context, key blobKey, ref blobRef) error {
	if ref.size > c.maxBlob {
		return fmt.Errorf("it has %d bytes, this service takes %d at most", ref.size, c.maxBlob)
	}
	body, size, err := c.source.FetchBlob(ctx, ref.repository, fmt.Sprintf("sha256:%x", key))
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // only read
	limit := c.maxBlob
	if ref.size > 0 { // signed
		limit = ref.size
	}
	if size > limit {
		return fmt.Errorf("%w: it has %d bytes, %d are expected at most", errMismatch, size, limit)
	}
	f, err := os.CreateTemp(c.dir, temporary+"*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // does nothing once it has its name
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(body, limit+1))
	c.metrics.blobLoaded.Add(float64(n))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got := [sha256.Size]byte(hash.Sum(nil)); got != key || ref.size > 0 && n != ref.size || n > limit {
		return fmt.Errorf("%w: read were %d bytes of sha256:%x", errMismatch, n, got)
	}
	if err := os.Rename(f.Name(), c.path(key)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.files[key]; old != nil {
		c.forget(old)
	}
	c.add(&cachedFile{key: key, size: n, checked: true})
	return nil
}

// add notes a file as the most recently used, and makes room for it by dropping
// what was not used for longest.
func (c *blobCache) add(file *cachedFile) {
	c.files[file.key] = file
	c.use(file)
	c.size += file.size
	for c.size > c.max && len(c.files) > 1 {
		c.drop(slices.MinFunc(slices.Collect(maps.Values(c.files)), func(a, b *cachedFile) int { return cmp.Compare(a.used, b.used) }))
	}
	c.metrics.blobCached.Set(float64(c.size))
}

func (c *blobCache) use(file *cachedFile) {
	c.uses++
	file.used = c.uses
}

// drop removes a file. Whoever has it open can read it to its end.
func (c *blobCache) drop(file *cachedFile) {
	c.forget(file)
	_ = os.Remove(c.path(file.key)) // what stays behind is found, and checked, at the next start
}

func (c *blobCache) forget(file *cachedFile) {
	delete(c.files, file.key)
	c.size -= file.size
	c.metrics.blobCached.Set(float64(c.size))
}
