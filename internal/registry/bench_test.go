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
// from a folder, by turns, each into a repository that holds nothing yet. Small
// artifacts are pushed so often in each round that the median of one run means
// something. It reports the medians and how many times longer ours takes: it also asks for the
// tag first, reads back what was pushed, and pushes what the checks found, which is a
// blob and a manifest more, and a list of them in a registry without the referrers
// API. What it takes without those is reported too.
func BenchmarkPublish(b *testing.B) {
	for _, of := range []struct{ mib, turns int }{{1, 60}, {10, 21}, {100, 3}} {
		b.Run(fmt.Sprintf("push_%dMiB", of.mib), func(b *testing.B) { benchmarkPush(b, int64(of.mib)<<20, of.turns) })
	}
}

func benchmarkPush(b *testing.B, size int64, turns int) {
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
	n := 0
	for b.Loop() {
		for range turns {
			n++
			pushes := []func(){
				func() { ours = append(ours, publish(fmt.Sprintf("ours-%d/app", n), []byte(findings))) },
				func() { bare = append(bare, publish(fmt.Sprintf("bare-%d/app", n), nil)) },
				func() {
					theirs = append(theirs, copyPlainly(b, store, root, fmt.Sprintf("%s/theirs-%d/app", r.Host(), n)))
				},
			}
			// Each takes each place, for what comes after what has its price.
			for _, push := range slices.Concat(pushes[n%3:], pushes[:n%3]) {
				push()
			}
		}
	}
	b.ReportMetric(milliseconds(ours), "push-ms")
	b.ReportMetric(milliseconds(theirs), "oras-ms")
	b.ReportMetric(milliseconds(ours)/milliseconds(theirs), "ratio_oras")
	b.ReportMetric(milliseconds(bare)/milliseconds(theirs), "ratio_oras_without_findings")
}

// copyPlainly is what oras-go does by itself.
func copyPlainly(b *testing.B, store *oci.Store, root, repository string) time.Duration {
	b.Helper()
	target, err := remote.NewRepository(repository)
	if err != nil {
		b.Fatal(err)
	}
	target.PlainHTTP = true
	return timed(b, func() error {
		_, err := oras.Copy(b.Context(), store, root, target, "1.0.0", oras.DefaultCopyOptions)
		return err
	})
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
