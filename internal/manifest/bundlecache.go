package manifest

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/singleflight"
)

const (
	// maxUnpacking bounds how many versions are unpacked at once, and with them the
	// memory of decoders and the room on disk of what is not finished.
	maxUnpacking = 2
	// maxIndexBytes bounds what the names of all files take in memory, apart from the
	// version that was unpacked last.
	maxIndexBytes = 64 << 20
	// indexEntryBytes is about what a file takes in memory beside its name.
	indexEntryBytes = 96
)

// bundleCache keeps versions unpacked: for each a tar on disk, whose digest was
// checked, and in memory where in it each file is. It begins empty, for a tar is soon
// made again of a blob that is cached too.
type bundleCache struct {
	dir       string
	max       int64
	maxMemory int64
	metrics   *metrics
	flights   singleflight.Group
	unpacking chan struct{}

	mu           sync.Mutex
	bundles      map[blobKey]*unpacked
	uses         uint64 // how often anything was opened: the clock of unpacked.used
	size, memory int64
}

// unpacked is a version's files. It is immutable but for used.
type unpacked struct {
	key          blobKey
	files        map[string]span
	size, memory int64
	used         uint64
}

// openBundleCache makes the folder anew: nothing but the cache's may be in it.
func openBundleCache(dir string, maxBytes int64, m *metrics) (*bundleCache, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("tidying the folder of unpacked versions: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of unpacked versions: %w", err)
	}
	return &bundleCache{
		dir: dir, max: maxBytes, maxMemory: maxIndexBytes, metrics: m,
		unpacking: make(chan struct{}, maxUnpacking), bundles: map[blobKey]*unpacked{},
	}, nil
}

func (c *bundleCache) path(key blobKey) string {
	return filepath.Join(c.dir, hex.EncodeToString(key[:])+".tar")
}

// open returns the version whose tar has the digest, and that tar, which the caller
// closes. load opens its content layer where it is not there yet.
func (c *bundleCache) open(ctx context.Context, key blobKey, load func(context.Context) (io.ReadCloser, error)) (*os.File, *unpacked, error) {
	// A version may be displaced before it is opened, in a cache that is far too small.
	const attempts = 3
	for range attempts {
		if f, u := c.cached(key); f != nil {
			return f, u, nil
		}
		// The work is nobody's own: it goes on when the one who asked first goes away.
		flight := c.flights.DoChan(string(key[:]), func() (any, error) { return nil, c.fill(key, load) })
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case result := <-flight:
			if result.Err != nil {
				return nil, nil, result.Err
			}
		}
	}
	if f, u := c.cached(key); f != nil {
		return f, u, nil
	}
	return nil, nil, errors.New("the cache of unpacked versions is too small for what is asked of it")
}

func (c *bundleCache) cached(key blobKey) (*os.File, *unpacked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.bundles[key]
	if u == nil {
		return nil, nil
	}
	f, err := os.Open(c.path(key))
	if err != nil { // somebody tidied up
		c.drop(u)
		return nil, nil
	}
	c.use(u)
	return f, u
}

// fill unpacks a version.
func (c *bundleCache) fill(key blobKey, load func(context.Context) (io.ReadCloser, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), blobTimeout)
	defer cancel()
	err := c.load(ctx, key, load)
	result := "ok"
	if err != nil {
		result = "error"
	}
	c.metrics.unpacked.WithLabelValues(result).Inc()
	return err
}

func (c *bundleCache) load(ctx context.Context, key blobKey, load func(context.Context) (io.ReadCloser, error)) error {
	layer, err := load(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = layer.Close() }() // only read
	select {
	case c.unpacking <- struct{}{}:
		defer func() { <-c.unpacking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	f, err := os.CreateTemp(c.dir, temporary+"*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // does nothing once it has its name
	files, size, err := unpack(f, layer, key, min(maxUnpacked, c.max))
	if err := errors.Join(err, f.Chmod(0o400), f.Close()); err != nil {
		return fmt.Errorf("unpacking the files of sha256:%x: %w", key, err)
	}
	if err := os.Rename(f.Name(), c.path(key)); err != nil {
		return err
	}
	u := &unpacked{key: key, files: files, size: size}
	for name := range files {
		u.memory += int64(len(name)) + indexEntryBytes
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(u)
	return nil
}

// add notes a version as the most recently used, and makes room for it by dropping
// what was not used for longest.
func (c *bundleCache) add(u *unpacked) {
	if old := c.bundles[u.key]; old != nil {
		c.forget(old)
	}
	c.bundles[u.key] = u
	c.use(u)
	c.size += u.size
	c.memory += u.memory
	for (c.size > c.max || c.memory > c.maxMemory) && len(c.bundles) > 1 {
		c.drop(slices.MinFunc(slices.Collect(maps.Values(c.bundles)), func(a, b *unpacked) int { return cmp.Compare(a.used, b.used) }))
	}
	c.metrics.unpackedBytes.Set(float64(c.size))
}

func (c *bundleCache) use(u *unpacked) {
	c.uses++
	u.used = c.uses
}

// drop removes a version. Whoever has its tar open can read it to its end.
func (c *bundleCache) drop(u *unpacked) {
	c.forget(u)
	_ = os.Remove(c.path(u.key)) // what stays behind goes at the next start
	c.metrics.unpackedBytes.Set(float64(c.size))
}

func (c *bundleCache) forget(u *unpacked) {
	delete(c.bundles, u.key)
	c.size -= u.size
	c.memory -= u.memory
}
