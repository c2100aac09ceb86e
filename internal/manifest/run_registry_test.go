package manifest

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/go-logr/logr/testr"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// countedBlobs counts what a registry is asked for.
type countedBlobs struct {
	BlobSource
	asked int
}

func (c *countedBlobs) FetchBlob(ctx context.Context, repository, digest string) (io.ReadCloser, int64, error) {
	c.asked++
	return c.BlobSource.FetchBlob(ctx, repository, digest)
}

// packed reads a web bundle's archive as the manager does.
func packed(t *testing.T, files map[string]string) (archive []byte, b *bundle.Bundle) {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, text := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Read(bytes.NewReader(out.Bytes()), int64(out.Len()), bundle.Expect{}, bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), b
}

func blobOf(data []byte) registry.Blob {
	return registry.Blob{
		Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(data)), Size: int64(len(data)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

// A version is packed and pushed as the manager does it, and each of its files is
// loaded as a browser does it, from a registry that is a program of its own.
func TestTheFilesOfAPublishedArtifactAreServed(t *testing.T) {
	files := map[string]string{
		"index.html": "<!doctype html><script src=./assets/app.js></script>", "assets/app.js": "console.log(1)", "assets/style.css": "a{}",
		"manifest.json": `{"name": "Shop"}`, "assets/empty.txt": "",
	}
	archive, b := packed(t, files)
	var content bytes.Buffer
	if err := b.WriteContent(&content); err != nil {
		t.Fatal(err)
	}
	client := registry.New(registry.Options{Host: registrytest.Start(t, registrytest.Options{}).Host(), Prefix: "mini", PlainHTTP: true, UserAgent: "test/1"})
	archiveBlob, contentBlob := blobOf(archive), blobOf(content.Bytes())
	a, err := registry.NewArtifact("shop-team/shop", "Shop", registry.ArtifactConfig{
		AppID: "com.example.shop", Version: "1.0.0", VersionCode: 100, Format: "Web", ArchiveSHA256: archiveBlob.Digest,
		ContentDigest: b.ContentDigest, Declaration: json.RawMessage(`{}`), Packer: "test/1",
	}, archiveBlob, contentBlob, nil)
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := client.Publish(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}

	source := &countedBlobs{BlobSource: client}
	f := newFixture(t, func(o *Options) { o.RunURL, o.Blobs, o.Log = "https://"+runName, source, testr.New(t) })
	f.hostApp(portal())
	release := shop(func(r *document.Release) {
		r.HostApps = []string{"portal"}
		r.Stable.Format, r.Stable.Digest, r.Stable.ContentDigest = "Web", artifact.Digest, b.ContentDigest
		r.Stable.Archive = document.Blob{Digest: string(artifact.Archive.Digest), Size: artifact.Archive.Size}
		r.Stable.Content = document.Blob{Digest: string(artifact.Content.Digest), Size: artifact.Content.Size}
	})
	f.publish(release)
	base := "/r/com.example.shop/" + artifact.Digest[len("sha256:"):] + "/"
	for name, text := range files {
		if got := f.run(http.MethodGet, base+name); got.Status != http.StatusOK || got.Body != text {
			t.Errorf("%s is %d %q, want %q", name, got.Status, got.Body, text)
		}
	}
	if got := f.run(http.MethodGet, base+"none.txt"); got.Status != http.StatusNotFound {
		t.Errorf("a file that is not there is %d", got.Status)
	}
	if source.asked != 1 {
		t.Errorf("the registry was asked %d times, want once", source.asked)
	}

	// After a restart only the unpacking is done again.
	f.start()
	f.hostApp(portal())
	f.publish(release)
	if got := f.run(http.MethodGet, base+"assets/app.js"); got.Status != http.StatusOK || source.asked != 1 {
		t.Errorf("after a restart: %d, the registry was asked %d times, want once", got.Status, source.asked)
	}
}
