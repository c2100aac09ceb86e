package manifest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// shelf is a cache of unpacked versions, and what it loads.
type shelf struct {
	*testing.T
	cache *bundleCache
	loads []string
}

func newShelf(t *testing.T, most int64) *shelf {
	t.Helper()
	cache, err := openBundleCache(t.TempDir(), most, newMetrics())
	if err != nil {
		t.Fatal(err)
	}
	return &shelf{T: t, cache: cache}
}

// take opens the version of one file, whose name is given and whose tar has 2048 bytes.
func (s *shelf) take(name string) string {
	s.Helper()
	data := tarOf(s, plain(name, 3))
	f, u, err := s.cache.open(s.Context(), sha256.Sum256(data), func(context.Context) (io.ReadCloser, error) {
		s.loads = append(s.loads, name)
		return io.NopCloser(bytes.NewReader(compressed(s, data))), nil
	})
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	text := make([]byte, u.files[name].size)
	if _, err := f.ReadAt(text, u.files[name].offset); err != nil {
		s.Fatal(err)
	}
	return string(text)
}

func TestWhatWasNotUsedForLongestMakesRoom(t *testing.T) {
	for name, most := range map[string]func(*bundleCache){
		"on disk":   func(c *bundleCache) { c.max = 2 * 2048 },
		"in memory": func(c *bundleCache) { c.maxMemory = 2 * (1 + indexEntryBytes) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t, 1<<20)
			most(s.cache)
			for _, name := range []string{"a", "b", "a", "c", "a", "b"} {
				if got := s.take(name); got != "xxx" {
					t.Errorf("%s has %q", name, got)
				}
			}
			if diff := cmp.Diff([]string{"a", "b", "c", "b"}, s.loads); diff != "" {
				t.Errorf("loaded (-want +got):\n%s", diff)
			}
			left, err := os.ReadDir(s.cache.dir)
			if err != nil || len(left) != 2 || s.cache.size != 2*2048 || s.cache.memory != 2*(1+indexEntryBytes) {
				t.Errorf("on disk are %v (%v); noted are %d bytes there, and %d in memory", left, err, s.cache.size, s.cache.memory)
			}
			if got := testutil.ToFloat64(s.cache.metrics.unpackedBytes); got != 2*2048 {
				t.Errorf("the metric has %v bytes", got)
			}
		})
	}
}

func TestATarThatSomebodyRemovedIsMadeAgain(t *testing.T) {
	s := newShelf(t, 1<<20)
	s.take("a")
	left, err := os.ReadDir(s.cache.dir)
	if err != nil || len(left) != 1 || left[0].Type().IsDir() {
		t.Fatalf("the folder has %v, %v", left, err)
	}
	info, err := left[0].Info()
	if err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("its mode is %s (%v), want read only", info.Mode(), err)
	}
	if err := os.Remove(s.cache.dir + "/" + left[0].Name()); err != nil {
		t.Fatal(err)
	}
	if got := s.take("a"); got != "xxx" || s.cache.size != 2048 {
		t.Errorf("got %q, noted are %d bytes", got, s.cache.size)
	}
}

// What lies there was written by who knows whom, and is soon made again.
func TestACacheBeginsEmpty(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/"+hex64("a")+".tar", []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openBundleCache(dir, 1<<20, newMetrics()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left is %v, %v", left, err)
	}
}

func TestAVersionIsUnpackedOnceForAllWhoAsk(t *testing.T) {
	f := newRunFixture(t)
	f.source.hold()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { f.wantFile("assets/app.js", "0123456789") })
	}
	<-f.source.began
	close(f.source.wait)
	all.Wait()
	if got := testutil.ToFloat64(f.service.metrics.unpacked.WithLabelValues("ok")); got != 1 || f.source.count() != 1 {
		t.Errorf("unpacked %v times, fetched %d times, want once", got, f.source.count())
	}
}

func TestWhoGoesAwayDoesNotStopTheWork(t *testing.T) {
	s := newShelf(t, 1<<20)
	data := tarOf(t, plain("a", 3))
	ctx, cancel := context.WithCancel(t.Context())
	began, goOn := make(chan struct{}), make(chan struct{})
	gone := make(chan error)
	go func() {
		_, _, err := s.cache.open(ctx, sha256.Sum256(data), func(context.Context) (io.ReadCloser, error) {
			close(began)
			<-goOn
			return io.NopCloser(bytes.NewReader(compressed(t, data))), nil
		})
		gone <- err
	}()
	<-began
	cancel()
	if err := <-gone; err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("who went away got %v", err)
	}
	close(goOn)
	s.take("a")
	if len(s.loads) > 0 {
		t.Errorf("it was loaded again: %v", s.loads)
	}
}
