package registry

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// BenchmarkPublish pushes an artifact of 1, 10 and 100 MiB as the version
// reconciler does, and then the same manifest and layers with plain oras.Copy
// from a folder, by turns, each into a repository that holds nothing yet. It
// reports the medians and how many times longer ours takes: it also asks for the
// tag first, reads back what was pushed, and pushes what the checks found, which is a
// blob and a manifest more, and a list of them in a registry without the referrers
// API. What it takes without those is reported too.
func BenchmarkPublish(b *testing.B) {
	for _, mib := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("push_%dMiB", mib), func(b *testing.B) { benchmarkPush(b, int64(mib)<<20) })
	}
}

func benchmarkPush(b *testing.B, size int64) {
	r := registrytest.Start(b, registrytest.Options{Dir: b.TempDir()})
	client := clientOf(r.Host())
	// On compiled mini programs the content is about a quarter of the archive.
	archive, content := randomBlob(b, size/5*4), randomBlob(b, size-size/5*4)
	store, root := layout(b, archive, content)
	var ours, bare, theirs []time.Duration
	publish := func(repository string, found []byte) time.Duration {
		return timed(b, func() error {
			a, err := NewArtifact(repository, "App", config(), archive, content, nil)
			if err != nil {
				return err
			}
			a.Findings = found
			_, err = client.Publish(b.Context(), a)
			return err
		})
	}
	for n := 0; b.Loop(); n++ {
		pushes := []func(){
			func() { ours = append(ours, publish(fmt.Sprintf("ours-%d/app", n), []byte(findings))) },
			func() { bare = append(bare, publish(fmt.Sprintf("bare-%d/app", n), nil)) },
			func() {
				target, err := remote.NewRepository(fmt.Sprintf("%s/theirs-%d/app", r.Host(), n))
				if err != nil {
					b.Fatal(err)
				}
				target.PlainHTTP = true
				theirs = append(theirs, timed(b, func() error {
					_, err := oras.Copy(b.Context(), store, root, target, "1.0.0", oras.DefaultCopyOptions)
					return err
				}))
			},
		}
		if n%2 == 1 {
			slices.Reverse(pushes)
		}
		for _, push := range pushes {
			push()
		}
	}
	b.ReportMetric(milliseconds(ours), "push-ms")
	b.ReportMetric(milliseconds(theirs), "oras-ms")
	b.ReportMetric(milliseconds(ours)/milliseconds(theirs), "ratio_oras")
	b.ReportMetric(milliseconds(bare)/milliseconds(theirs), "ratio_oras_without_findings")
}

func timed(b *testing.B, do func() error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// milliseconds is the median.
func milliseconds(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)/2].Microseconds()) / 1000
}

// randomBlob is a file of bytes that nothing can compress.
func randomBlob(b *testing.B, size int64) Blob {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "blob"))
	if err != nil {
		b.Fatal(err)
	}
	hash := digest.Canonical.Digester()
	_, err = io.CopyN(io.MultiWriter(f, hash.Hash()), rand.Reader, size)
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	return Blob{Digest: hash.Digest().String(), Size: size, Open: func() (io.ReadCloser, error) { return os.Open(f.Name()) }}
}

// layout is a folder with the artifact that Publish makes of the two blobs, and
// the digest of its manifest.
func layout(b *testing.B, archive, content Blob) (*oci.Store, string) {
	b.Helper()
	store, err := oci.New(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	a, err := NewArtifact("bench/app", "App", config(), archive, content, nil)
	if err != nil {
		b.Fatal(err)
	}
	raw, desc, err := buildManifest(a)
	if err != nil {
		b.Fatal(err)
	}
	for _, part := range append(a.blobs(), inMemory(desc, raw)) {
		body, err := part.open()
		if err != nil {
			b.Fatal(err)
		}
		err = store.Push(b.Context(), part.desc, body)
		if err := body.Close(); err != nil {
			b.Fatal(err)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return store, desc.Digest.String()
}
