package manifest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

const archiveText = "archive of 1.0.0"

func archivePath() string { return "/v1/blobs/sha256/" + hex64(archiveText) }

// newBlobFixture serves the shop, whose archive the registry has.
func newBlobFixture(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	f.source.set("sha256:"+hex64(archiveText), archiveText)
	return f
}

func blobHeader(t *testing.T, text, digestHex string, more ...string) http.Header {
	t.Helper()
	sum, err := hex.DecodeString(digestHex)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{
		"Accept-Ranges": {"bytes"}, "Cache-Control": {"public, max-age=31536000, immutable"},
		"Content-Length": lengthOf([]byte(text)), "Content-Security-Policy": {"default-src 'none'; sandbox"},
		"Content-Type": {document.ArchiveMediaType}, "Etag": {`"` + digestHex + `"`},
		"Repr-Digest": {"sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"}, "X-Content-Type-Options": {"nosniff"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

func TestBlobs(t *testing.T) {
	digest := hex64(archiveText)
	notModified := blobHeader(t, "", digest)
	for _, name := range []string{"Content-Type", "Content-Length", "Accept-Ranges"} {
		notModified.Del(name)
	}
	outside := `{"title":"The range lies outside of the blob","status":416,"detail":"the blob has 16 bytes","code":"RangeNotSatisfiable"}`
	other := `{"title":"The bytes are not those that are asked for","status":412,"detail":"the blob has another tag than the header If-Match asks for","code":"PreconditionFailed"}`
	for name, test := range map[string]struct {
		header []string
		want   answer
	}{
		// A cache between that kept this for a year would keep the blob from everybody.
		"of another tag": {
			header: []string{"If-Match", `"other"`},
			want:   answer{Status: 412, Body: other, Header: problemHeader(other, "Content-Security-Policy", "default-src 'none'; sandbox")},
		},
		"of its tag": {
			header: []string{"If-Match", `"` + digest + `"`},
			want:   answer{Status: 200, Header: blobHeader(t, archiveText, digest), Body: archiveText},
		},
		"a unit that nobody knows": {
			header: []string{"Range", "items=0-1"},
			want:   answer{Status: 200, Header: blobHeader(t, archiveText, digest), Body: archiveText},
		},
		"a range of nothing": {
			header: []string{"Range", "bytes=-0"},
			want: answer{Status: 416, Body: outside, Header: problemHeader(outside, "Content-Range", "bytes */16",
				"Content-Security-Policy", "default-src 'none'; sandbox")},
		},
		"whole": {want: answer{Status: 200, Header: blobHeader(t, archiveText, digest), Body: archiveText}},
		"a range": {
			header: []string{"Range", "bytes=8-9"},
			want:   answer{Status: 206, Header: blobHeader(t, "of", digest, "Content-Range", "bytes 8-9/16"), Body: "of"},
		},
		"the rest, of the same blob": {
			header: []string{"Range", "bytes=11-", "If-Range", `"` + digest + `"`},
			want:   answer{Status: 206, Header: blobHeader(t, "1.0.0", digest, "Content-Range", "bytes 11-15/16"), Body: "1.0.0"},
		},
		"the rest, of another blob": {
			header: []string{"Range", "bytes=11-", "If-Range", `"other"`},
			want:   answer{Status: 200, Header: blobHeader(t, archiveText, digest), Body: archiveText},
		},
		"known already": {
			header: []string{"If-None-Match", `"` + digest + `"`},
			want:   answer{Status: 304, Header: notModified},
		},
		"a range outside": {
			header: []string{"Range", "bytes=16-"},
			want: answer{Status: 416, Body: outside, Header: problemHeader(outside, "Content-Range", "bytes */16",
				"Content-Security-Policy", "default-src 'none'; sandbox")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newBlobFixture(t)
			for range 2 { // from the registry, then from the cache
				if diff := cmp.Diff(test.want, f.get(archivePath(), test.header...)); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			}
			if got := f.source.count(); got != 1 {
				t.Errorf("the registry was asked %d times, want once", got)
			}
			if got := testutil.ToFloat64(f.service.metrics.blobCached); got != 16 {
				t.Errorf("the cache has %v bytes, want 16", got)
			}
		})
	}
}

func TestABlobWithOtherBytesIsNeverServedNorCached(t *testing.T) {
	digest := hex64(archiveText)
	for name, bytes := range map[string]string{"as long": "Archive of 1.0.0", "longer": archiveText + "!", "shorter": "archive"} {
		t.Run(name, func(t *testing.T) {
			f := newBlobFixture(t)
			f.source.set("sha256:"+digest, bytes)
			f.source.size = func(int64) int64 { return 16 } // what the registry says is no proof
			body := `{"title":"The registry has other bytes than the document names","status":502,"detail":"sha256:` + digest +
				` is not served until the registry has its bytes again","code":"BlobMismatch"}`
			if diff := cmp.Diff(answer{Status: 502, Header: problemHeader(body), Body: body}, f.get(archivePath())); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if left, err := os.ReadDir(f.options.CacheDir); err != nil || len(left) > 0 {
				t.Errorf("the cache has %v, %v, want nothing", left, err)
			}
			if got := testutil.ToFloat64(f.service.metrics.blobs.WithLabelValues("mismatch")); got != 1 {
				t.Errorf("mismatches counted: %v, want 1", got)
			}
			f.source.set("sha256:"+digest, archiveText)
			if got := f.get(archivePath()); got.Body != archiveText {
				t.Errorf("once the registry is mended: %d %s", got.Status, got.Body)
			}
		})
	}
}

func TestARegistryThatFailsIsNotTalkedAbout(t *testing.T) {
	f := newBlobFixture(t)
	digest := hex64("content of 1.0.0") // the registry lacks it
	body := `{"title":"The registry could not be read","status":502,"detail":"sha256:` + digest + ` cannot be had at present: try again in a while","code":"RegistryUnavailable"}`
	if diff := cmp.Diff(answer{Status: 502, Header: problemHeader(body), Body: body}, f.get("/v1/blobs/sha256/"+digest)); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if log := f.logs.text(); !strings.Contains(log, "there is no such blob in the registry at 10.0.0.7") {
		t.Errorf("the log does not tell: %s", log)
	}
}

func TestABlobIsServedWhileADocumentNamesIt(t *testing.T) {
	f := newBlobFixture(t)
	old := shop(sequence(1001), func(r *document.Release) { r.Stable = variant("2.0.0", 200) })
	f.publish(old)
	if got := f.get(archivePath()).Status; got != 404 {
		t.Errorf("what no document names: %d, want 404", got)
	}
	also := shop(sequence(1002), func(r *document.Release) {
		r.Stable = variant("2.0.0", 200)
		r.AlsoServed = []string{"sha256:" + hex64(archiveText)}
		r.Listing.Icon = &document.Blob{Digest: "sha256:" + hex64("icon"), Size: 4, MediaType: "image/png"}
	})
	f.publish(also)
	f.source.set("sha256:"+hex64("icon"), "icon")
	if got := f.get(archivePath()); got.Status != 200 || got.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("what is served besides: %d %v", got.Status, got.Header)
	}
	if got := f.get("/v1/blobs/sha256/" + hex64("icon")); got.Body != "icon" || got.Header.Get("Content-Type") != "image/png" {
		t.Errorf("the icon: %d %v", got.Status, got.Header)
	}
	f.publish(shop(sequence(1003), func(r *document.Release) { r.Availability, r.AlsoServed = document.Suspended, also.AlsoServed }))
	if got := f.get(archivePath()).Status; got != 404 {
		t.Errorf("what is suspended: %d, want 404", got)
	}
}

func TestABlobOfTwoRolloutsComesFromEither(t *testing.T) {
	f := newBlobFixture(t)
	twin := shop(func(r *document.Release) { r.AppID, r.Rollout.Name = "com.example.twin", "twin" })
	record := f.rolloutRecord(twin)
	record.Data[delivery.KeyRepository] = "shop-team/twin"
	f.put(record)
	f.source.mu.Lock()
	f.source.blobs = map[string][]byte{"shop-team/twin@sha256:" + hex64(archiveText): []byte(archiveText)}
	f.source.mu.Unlock()
	if got := f.get(archivePath()); got.Body != archiveText {
		t.Errorf("answer %d %s", got.Status, got.Body)
	}
	f.publish(twin) // the same ConfigMap, in the repository that lacks it; the cache has it
	f.publish(shop(sequence(1001), func(r *document.Release) { r.Stable = variant("2.0.0", 200) }))
	if got := f.get(archivePath()); got.Body != archiveText {
		t.Errorf("with one rollout left that names it: %d %s", got.Status, got.Body)
	}
}

func TestABlobIsFetchedOnceForAllWhoAsk(t *testing.T) {
	f := newBlobFixture(t)
	f.source.hold()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := f.get(archivePath()); got.Body != archiveText {
				t.Errorf("answer %d %s", got.Status, got.Body)
			}
		})
	}
	<-f.source.began
	close(f.source.wait)
	all.Wait()
	if got := f.source.count(); got != 1 {
		t.Errorf("the registry was asked %d times, want once", got)
	}
}

func TestTheCacheKeepsItsBoundAndForgetsWhatWasNotUsed(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.CacheBytes = 40 }) // two archives of 16 bytes
	f.hostApp(wallet())
	text := func(i int) string { return fmt.Sprintf("archive of %d.0.0", i) }
	for i := 1; i <= 3; i++ {
		f.publish(shop(func(r *document.Release) {
			r.AppID, r.Rollout.Name, r.Stable = fmt.Sprintf("com.example.p%d", i), fmt.Sprintf("p%d", i), variant(fmt.Sprintf("%d.0.0", i), int64(i))
		}))
		f.source.set("sha256:"+hex64(text(i)), text(i))
	}
	for _, i := range []int{1, 2, 1, 3} {
		if got := f.get("/v1/blobs/sha256/" + hex64(text(i))); got.Body != text(i) {
			t.Fatalf("blob %d: %d %s", i, got.Status, got.Body)
		}
	}
	left, err := filepath.Glob(filepath.Join(f.options.CacheDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{hex64(text(1)): true, hex64(text(3)): true}
	got := map[string]bool{}
	for _, path := range left {
		got[filepath.Base(path)] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files in the cache (-want +got):\n%s", diff)
	}
}

func TestWhatAnEarlierRunLeftInTheCacheIsCheckedBeforeItIsServed(t *testing.T) {
	for name, test := range map[string]struct {
		left  string
		fetch int
	}{
		"good":    {left: archiveText, fetch: 0},
		"damaged": {left: "archive of 6.6.6", fetch: 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newBlobFixture(t)
			for file, text := range map[string]string{hex64(archiveText): test.left, temporary + "123": "half"} {
				if err := os.WriteFile(filepath.Join(f.options.CacheDir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			f.start()
			f.hostApp(wallet())
			f.publish(shop())
			if got := f.get(archivePath()); got.Body != archiveText {
				t.Errorf("answer %d %s", got.Status, got.Body)
			}
			if got := f.source.count(); got != test.fetch {
				t.Errorf("the registry was asked %d times, want %d", got, test.fetch)
			}
			if _, err := os.Stat(filepath.Join(f.options.CacheDir, temporary+"123")); !os.IsNotExist(err) {
				t.Errorf("the unfinished file is still there: %v", err)
			}
		})
	}
}

func TestABlobThatSomebodyDeletedFromTheCacheIsFetchedAgain(t *testing.T) {
	f := newBlobFixture(t)
	f.get(archivePath())
	if err := os.Remove(filepath.Join(f.options.CacheDir, hex64(archiveText))); err != nil {
		t.Fatal(err)
	}
	if got := f.get(archivePath()); got.Body != archiveText || f.source.count() != 2 {
		t.Errorf("answer %d %s after %d fetches", got.Status, got.Body, f.source.count())
	}
}

func TestABlobLargerThanItsDocumentSaysIsNotEvenRead(t *testing.T) {
	f := newBlobFixture(t)
	f.source.size = func(n int64) int64 { return n + 1 }
	if got := f.get(archivePath()); got.Status != 502 || !strings.Contains(got.Body, CodeBlobMismatch) {
		t.Errorf("answer %d %s", got.Status, got.Body)
	}
	if got := testutil.ToFloat64(f.service.metrics.blobLoaded); got != 0 {
		t.Errorf("%v bytes were read, want none", got)
	}
}

func TestAnIndexOfBlobsNeverChangesUnderASnapshot(t *testing.T) {
	entries := make([]*entry, 5)
	for i := range entries {
		entries[i] = &entry{doc: shop(), repositories: fmt.Sprint(i)}
	}
	key, ok := parseHex(hex64(archiveText))
	if !ok {
		t.Fatal("no key")
	}
	first := blobChange{}
	for _, e := range entries[:3] { // so that the slice has room for a fourth
		first.add(e)
	}
	snapshots := map[string]blobIndex{"first": first.index}
	for name, e := range map[string]*entry{"third": entries[3], "fourth": entries[4]} {
		next := blobChange{index: first.index}
		next.add(e)
		snapshots[name] = next.index
	}
	less := blobChange{index: first.index}
	less.remove(entries[0])
	snapshots["less"] = less.index
	got := map[string]string{}
	for name, index := range snapshots {
		for _, ref := range index.find(key) {
			got[name] += ref.repository
		}
	}
	if diff := cmp.Diff(map[string]string{"first": "012", "third": "0123", "fourth": "0124", "less": "12"}, got); diff != "" {
		t.Errorf("repositories by index (-want +got):\n%s", diff)
	}
}

func TestABlobOfAnotherSizeThanItsDocumentSaysIsNotServed(t *testing.T) {
	for name, test := range map[string]struct {
		said, most int64
		want       string
	}{
		"smaller than said":            {said: 17, most: 1 << 20, want: CodeBlobMismatch},
		"larger than the service will": {said: 16, most: 15, want: CodeRegistryUnavailable},
		"just as large":                {said: 16, most: 16, want: archiveText},
		"not said, and too large":      {said: 0, most: 15, want: CodeBlobMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(o *Options) { o.MaxBlobBytes = test.most })
			f.hostApp(wallet())
			f.publish(shop(func(r *document.Release) { r.Stable.Archive.Size = test.said }))
			f.source.set("sha256:"+hex64(archiveText), archiveText)
			if got := f.get(archivePath()).Body; !strings.Contains(got, test.want) {
				t.Errorf("answer %s, want %s", got, test.want)
			}
		})
	}
}
