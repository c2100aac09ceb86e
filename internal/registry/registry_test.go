package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

func blobOf(text string) Blob {
	return Blob{
		Digest: digest.FromString(text).String(),
		Size:   int64(len(text)),
		Open:   func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	}
}

const repository = "shop-team/shop"

func config() ArtifactConfig {
	return ArtifactConfig{
		AppID: "com.example.shop", Version: "1.2.0+build.7", VersionCode: 10200, Format: "Web",
		ArchiveSHA256: digest.FromString("archive").String(), ContentDigest: digest.FromString("content").String(),
		Declaration: json.RawMessage(`{ "permissions": [], "domains": {"request": ["https://a.example.com"]} }`),
		Pages:       []string{"index"}, Source: "https://example.com/shop.zip", Packer: "miniprogram-operator/test",
	}
}

func artifact(t *testing.T) Artifact {
	t.Helper()
	return artifactOf(t, config(), "compressed content")
}

func artifactOf(t *testing.T, c ArtifactConfig, content string) Artifact {
	t.Helper()
	a, err := NewArtifact(repository, "Shop", c, blobOf("archive"), blobOf(content), map[string]string{ocispec.AnnotationRevision: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func clientOf(host string) *Client {
	return New(Options{Host: host, Prefix: "mini", PlainHTTP: true, UserAgent: "test/1"})
}

func publish(t *testing.T, c *Client, a Artifact) Published {
	t.Helper()
	p, err := c.Publish(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPublishedArtifacts(t *testing.T) {
	r := startRegistry(t)
	host := r.host
	a := artifact(t)
	got := publish(t, clientOf(host), a)
	manifest := manifestText(a)
	want := Published{
		Repository: host + "/mini/shop-team/shop",
		Digest:     digest.FromString(manifest).String(),
		MediaType:  "application/vnd.miniprogram.package.v1",
		Size:       int64(len(manifest) + len(a.Config) + len("archive") + len("compressed content")),
		Archive:    ocispec.Descriptor{MediaType: "application/vnd.miniprogram.archive.v1+zip", Digest: digest.FromString("archive"), Size: 7},
		Content:    ocispec.Descriptor{MediaType: "application/vnd.miniprogram.content.v1.tar+zstd", Digest: digest.FromString("compressed content"), Size: 18},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantWrites := []string{
		"POST blobs/uploads/", "POST blobs/uploads/", "POST blobs/uploads/", "PUT blobs/uploads/…", "PUT blobs/uploads/…", "PUT blobs/uploads/…",
		"PUT manifests/" + want.Digest, "PUT manifests/1.2.0_build.7",
	}
	wrote := r.writes()
	slices.Sort(wrote[:6]) // the blobs go side by side
	if diff := cmp.Diff(wantWrites, wrote); diff != "" {
		t.Errorf("the tag comes last: %s", diff)
	}

	t.Run("have exactly the manifest and the config of the design", func(t *testing.T) {
		e, err := clientOf(host).Resolve(t.Context(), repository, "1.2.0_build.7")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(manifest, string(e.Manifest)); diff != "" {
			t.Error(diff)
		}
		wantConfig := `{"appID":"com.example.shop","archiveSHA256":"` + digest.FromString("archive").String() + `","contentDigest":"` + digest.FromString("content").String() +
			`","declaration":{"domains":{"request":["https://a.example.com"]},"permissions":[]},"format":"Web","packer":"miniprogram-operator/test","pages":["index"],` +
			`"source":"https://example.com/shop.zip","version":"1.2.0+build.7","versionCode":10200}`
		if diff := cmp.Diff(wantConfig, string(e.Config)); diff != "" {
			t.Error(diff)
		}
		if e.Size() != want.Size || e.Digest != want.Digest || e.ArtifactType != ArtifactType || e.Annotations[AnnotationAppID] != "com.example.shop" {
			t.Errorf("resolved to %+v", e)
		}
	})

	t.Run("are published again without writing anything", func(t *testing.T) {
		again := want
		again.Adopted = true
		if diff := cmp.Diff(again, publish(t, clientOf(host), artifact(t))); diff != "" {
			t.Error(diff)
		}
		if wrote := r.writes(); len(wrote) != 0 {
			t.Errorf("wrote %q", wrote)
		}
	})

	t.Run("are adopted when only the compressed bytes, the source and the packer differ", func(t *testing.T) {
		c := config()
		c.Source, c.Packer = "ConfigMap shop-team/x, key y", "miniprogram-operator/next"
		again := want
		again.Adopted = true
		if diff := cmp.Diff(again, publish(t, clientOf(host), artifactOf(t, c, "otherwise compressed content"))); diff != "" {
			t.Error(diff)
		}
		if wrote := r.writes(); len(wrote) != 0 {
			t.Errorf("wrote %q", wrote)
		}
	})

	t.Run("keep their tag against other content", func(t *testing.T) {
		c := config()
		c.ContentDigest = digest.FromString("other content").String()
		_, err := clientOf(host).Publish(t.Context(), artifactOf(t, c, "other"))
		wantErr := &TagTakenError{Registry: host, Repository: "mini/shop-team/shop", Tag: "1.2.0_build.7", Existing: want.Digest}
		var gotErr *TagTakenError
		if !errors.As(err, &gotErr) || *gotErr != *wantErr {
			t.Fatalf("got %v", err)
		}
		wantText := "the tag 1.2.0_build.7 of " + host + "/mini/shop-team/shop already names other content (" + want.Digest +
			"), and a tag is never moved: publish this under another version, or delete that tag if nobody needs it"
		if diff := cmp.Diff(wantText, err.Error()); diff != "" {
			t.Error(diff)
		}
		if wrote := r.writes(); len(wrote) != 0 {
			t.Errorf("wrote %q", wrote)
		}
	})
}

func manifestText(a Artifact) string {
	return `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.miniprogram.package.v1",` +
		`"config":{"mediaType":"application/vnd.miniprogram.config.v1+json","digest":"` + digest.FromBytes(a.Config).String() + fmt.Sprintf(`","size":%d},`, len(a.Config)) +
		`"layers":[{"mediaType":"application/vnd.miniprogram.archive.v1+zip","digest":"` + digest.FromString("archive").String() + `","size":7},` +
		`{"mediaType":"application/vnd.miniprogram.content.v1.tar+zstd","digest":"` + digest.FromString("compressed content").String() + `","size":18}],` +
		`"annotations":{"dev.miniprogram.app-id":"com.example.shop","dev.miniprogram.content-digest":"` + digest.FromString("content").String() + `",` +
		`"org.opencontainers.image.created":"1970-01-01T00:00:00Z","org.opencontainers.image.revision":"abc","org.opencontainers.image.source":"https://example.com/shop.zip",` +
		`"org.opencontainers.image.title":"Shop","org.opencontainers.image.version":"1.2.0+build.7"}}`
}

func TestAdoptable(t *testing.T) {
	declared := func(text string) func(*ArtifactConfig) {
		return func(c *ArtifactConfig) { c.Declaration = json.RawMessage(text) }
	}
	existing, err := config().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(*ArtifactConfig)
		want   bool
	}{
		"the same":                          {func(*ArtifactConfig) {}, true},
		"another source":                    {func(c *ArtifactConfig) { c.Source = "x" }, true},
		"another packer":                    {func(c *ArtifactConfig) { c.Packer = "x" }, true},
		"the declaration in other words":    {declared(`{"domains":{"request":["https://a.example.com"]},"permissions":[]}`), true},
		"another declaration":               {declared(`{"domains":{"request":["https://b.example.com"]},"permissions":[]}`), false},
		"no declaration":                    {declared(``), false},
		"a declaration that cannot be read": {declared(`{`), false},
		"another archive":                   {func(c *ArtifactConfig) { c.ArchiveSHA256 = "x" }, false},
		"other content":                     {func(c *ArtifactConfig) { c.ContentDigest = "x" }, false},
		"another app ID":                    {func(c *ArtifactConfig) { c.AppID = "x" }, false},
		"another version":                   {func(c *ArtifactConfig) { c.Version = "x" }, false},
		"another version code":              {func(c *ArtifactConfig) { c.VersionCode++ }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := config()
			tt.change(&c)
			if got := Adoptable(&Existing{ArtifactType: ArtifactType, Config: existing}, c); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
	if Adoptable(nil, config()) || Adoptable(&Existing{Config: existing}, config()) {
		t.Error("something that is no artifact of ours was adopted")
	}
}

func TestTagsOfVersions(t *testing.T) {
	for version, want := range map[string]string{"1.2.3": "1.2.3", "1.2.3-rc.1+b.7": "1.2.3-rc.1_b.7"} {
		if got := Tag(version); got != want {
			t.Errorf("%s: got %s, want %s", version, got, want)
		}
	}
}

// A crash may come before or after the registry does what any write asks. Each
// write in turn is the last; then the artifact is published again from the start.
func TestACrashAtAnyWriteIsMendedByPublishingAgain(t *testing.T) {
	whole := startRegistry(t)
	want := publish(t, clientOf(whole.host), withFindings(artifact(t), findings)).Digest
	total := len(whole.writes())
	r := startRegistry(t)
	for last := 1; last <= total; last++ {
		for name, fault := range map[string]registrytest.Fault{"before": {Drop: true}, "after": {DropAnswer: true}} {
			t.Run(fmt.Sprintf("%s write %d", name, last), func(t *testing.T) {
				a := withFindings(artifact(t), findings)
				a.Repository = fmt.Sprintf("%s-%d/shop-team/shop", name, last) // blobs are kept for each repository
				host, c := r.host, clientOf(r.host)
				seen := 0
				r.breakOn(func(req *http.Request) *registrytest.Fault {
					if isWrite(req) {
						seen++
					}
					if seen >= last {
						return &fault
					}
					return nil
				})
				_, err := c.Publish(t.Context(), a)
				wantErr(t, err, RegistryUnavailable, "the registry "+host+" does not answer: EOF; the push is tried again")
				r.breakOn(nil)
				_, err = c.Resolve(t.Context(), a.Repository, a.Tag)
				tagged := err == nil
				if err != nil && !errors.Is(err, ErrNotFound) {
					t.Fatalf("after the crash the tag resolves with %v", err)
				}
				if half := a; tagged {
					half.Findings = nil // which may come later
					if missing := missingBlobs(t, r.Host(), half); missing > 0 {
						t.Fatalf("the tag names an artifact that lacks %d blobs", missing)
					}
				}
				r.writes()
				missing := missingBlobs(t, r.Host(), a)
				got := publish(t, c, a)
				// What was asked for may be done after it was looked for, so one may be adopted all the same.
				if got.Digest != want || tagged && !got.Adopted {
					t.Errorf("got %+v, want digest %s", got, want)
				}
				// One more may have arrived whole after it was looked for.
				if sent := countPrefix(r.writes(), "POST blobs"); sent > missing {
					t.Errorf("%d blobs were pushed, and the registry lacked %d", sent, missing)
				}
				if left := missingBlobs(t, r.Host(), a); left > 0 {
					t.Errorf("%d blobs are still missing", left)
				}
				if kept, err := c.Findings(t.Context(), a.Repository, got.Digest, got.Findings); err != nil || string(kept) != findings {
					t.Errorf("the findings are %q (%v)", kept, err)
				}
			})
		}
	}
}

// missingBlobs is how many of an artifact's blobs the registry lacks.
func missingBlobs(t *testing.T, host string, a Artifact) (n int) {
	t.Helper()
	o, err := clientOf(host).begin(t.Context(), a.Repository, "the look", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer o.end()
	blobs := []ocispec.Descriptor{configDescriptor(a.Config), layer(ArchiveMediaType, a.Archive), layer(ContentMediaType, a.Content)}
	if a.Findings != nil {
		blobs = append(blobs, findingsLayer(a.Findings))
	}
	for _, desc := range blobs {
		there, err := o.repo.Blobs().Exists(o.ctx, desc)
		if err != nil {
			t.Fatal(err)
		}
		if !there {
			n++
		}
	}
	return n
}

func countPrefix(list []string, prefix string) (n int) {
	for _, s := range list {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}

// wantErr compares everything about err that a caller can act on.
func wantErr(t *testing.T, err error, reason, message string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if diff := cmp.Diff([]string{reason, message}, []string{e.Reason, err.Error()}); diff != "" {
		t.Error(diff)
	}
}

func TestARegistryThatIsDownHealsByItself(t *testing.T) {
	r := startRegistry(t)
	host := r.Host()
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	_, err := clientOf(host).Publish(t.Context(), artifact(t))
	wantErr(t, err, RegistryUnavailable, "the registry "+host+" does not answer: dial tcp "+host+": connect: connection refused; the push is tried again")
	_, err = clientOf(host).Resolve(t.Context(), repository, "1.0.0")
	wantErr(t, err, RegistryUnavailable, "the registry "+host+" does not answer: dial tcp "+host+": connect: connection refused; the look-up is tried again")
	if err := r.Restart(); err != nil {
		t.Fatal(err)
	}
	publish(t, clientOf(host), artifact(t))
}

func TestWhatTheRegistryHandsOutIsComparedBeforeTheTagIsSet(t *testing.T) {
	r := startRegistry(t)
	host := r.host
	r.breakOn(func(req *http.Request) *registrytest.Fault {
		ref := path.Base(req.URL.Path)
		if req.Method != http.MethodGet || !strings.HasPrefix(ref, "sha256:") || !strings.Contains(req.URL.Path, "/manifests/") {
			return nil
		}
		return &registrytest.Fault{
			Status: http.StatusOK,
			Header: http.Header{"Content-Type": {ocispec.MediaTypeImageManifest}, "Docker-Content-Digest": {ref}, "Content-Length": {"2"}},
			Body:   "{}",
		}
	})
	_, err := clientOf(host).Publish(t.Context(), artifact(t))
	wantErr(t, err, RegistryInconsistent, "the registry "+host+" hands out other bytes for mini/shop-team/shop@"+digest.FromString(manifestText(artifact(t))).String()+
		" than were pushed (sha256 "+digest.FromString("{}").Encoded()+", not "+digest.FromString(manifestText(artifact(t))).Encoded()+
		"), so the tag was not set: have the registry checked; the push is tried again")
	if slices.Contains(r.writes(), "PUT manifests/1.2.0_build.7") {
		t.Error("the tag was set")
	}
	r.breakOn(nil)
	publish(t, clientOf(host), artifact(t))
}

func TestATagThatTheRegistryForgetsIsNotTakenForPublished(t *testing.T) {
	r := startRegistry(t)
	r.breakOn(func(req *http.Request) *registrytest.Fault {
		if req.Method == http.MethodPut && path.Base(req.URL.Path) == "1.2.0_build.7" {
			return &registrytest.Fault{Status: http.StatusCreated}
		}
		return nil
	})
	_, err := clientOf(r.host).Publish(t.Context(), artifact(t))
	wantErr(t, err, RegistryRefused, "the registry "+r.host+" does not hold "+r.host+"/mini/shop-team/shop:1.2.0_build.7")
}

func TestBytesThatDoNotHaveTheirDigestAreNotBelieved(t *testing.T) {
	r := startRegistry(t)
	c := clientOf(r.host)
	a := artifact(t)
	p := publish(t, c, a)
	configDigest := digest.FromBytes(a.Config).String()
	other := strings.Repeat("x", len(a.Config))
	r.breakOn(func(req *http.Request) *registrytest.Fault {
		header := http.Header{"Content-Type": {ocispec.MediaTypeImageManifest}}
		switch {
		case req.Method != http.MethodGet:
		case path.Base(req.URL.Path) == configDigest:
			return &registrytest.Fault{Status: http.StatusOK, Body: other}
		case path.Base(req.URL.Path) == p.Digest:
			header["Docker-Content-Digest"] = []string{p.Digest}
			header["Content-Length"] = []string{"2"}
			return &registrytest.Fault{Status: http.StatusOK, Header: header, Body: "{}"}
		}
		return nil
	})
	message := func(want, got string) string {
		return "the registry " + r.host + " hands out other bytes for mini/shop-team/shop@" + want + " than that digest names (sha256 " +
			digest.FromString(got).Encoded() + "): have the registry checked; the look-up is tried again"
	}
	_, err := c.Resolve(t.Context(), repository, a.Tag)
	wantErr(t, err, RegistryInconsistent, message(configDigest, other))
	_, err = c.Resolve(t.Context(), repository, p.Digest)
	wantErr(t, err, RegistryInconsistent, message(p.Digest, "{}"))
}

func TestAnArtifactIsCheckedWithAllItsParts(t *testing.T) {
	r := startRegistry(t)
	host := r.host
	c := clientOf(host)
	p := publish(t, c, artifact(t))
	if err := c.Exists(t.Context(), repository, p.Digest); err != nil {
		t.Error(err)
	}
	err := c.Exists(t.Context(), repository, digest.FromString("nothing").String())
	wantErr(t, err, RegistryRefused, "the registry "+host+" does not hold "+host+"/mini/shop-team/shop@"+digest.FromString("nothing").String())
	if !errors.Is(err, ErrNotFound) {
		t.Error("a missing artifact is not ErrNotFound")
	}

	lost := p.Content.Digest.String()
	r.breakOn(func(req *http.Request) *registrytest.Fault {
		if !strings.HasSuffix(req.URL.Path, "/blobs/"+lost) {
			return nil
		}
		return &registrytest.Fault{Status: http.StatusNotFound}
	})
	message := "the artifact " + host + "/mini/shop-team/shop@" + p.Digest + " has lost its blob " + lost + ": restore it in the registry, or publish under another version"
	err = c.Exists(t.Context(), repository, p.Digest)
	wantErr(t, err, RegistryInconsistent, message)
	if !errors.Is(err, ErrNotFound) {
		t.Error("a missing blob is not ErrNotFound")
	}
	// Other compressed bytes cannot bring the lost ones back; the same can.
	_, err = c.Publish(t.Context(), artifactOf(t, config(), "otherwise compressed content"))
	wantErr(t, err, RegistryInconsistent, message)
	r.writes()
	publish(t, c, artifact(t))
	if got := countPrefix(r.writes(), "POST blobs"); got != 1 {
		t.Errorf("%d blobs were pushed, want the lost one", got)
	}
}

func TestBlobsAreReadWholeAndInRanges(t *testing.T) {
	r := startRegistry(t)
	c := clientOf(r.host)
	p := publish(t, c, artifact(t))
	body, size, err := c.FetchBlob(t.Context(), repository, p.Content.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	whole, err := io.ReadAll(body)
	if err != nil || size != 18 || string(whole) != "compressed content" {
		t.Errorf("got %d bytes %q, %v", size, whole, err)
	}
	seeker, ok := body.(io.ReadSeeker)
	if !ok {
		t.Fatal("this registry takes ranges, but the reader cannot seek")
	}
	if _, err := seeker.Seek(11, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(seeker); err != nil || string(rest) != "content" {
		t.Errorf("from byte 11: %q, %v", rest, err)
	}
	missing := digest.FromString("nothing").String()
	_, _, err = c.FetchBlob(t.Context(), repository, missing)
	wantErr(t, err, RegistryRefused, "the registry "+r.host+" does not hold "+r.host+"/mini/shop-team/shop@"+missing)
	if !errors.Is(err, ErrNotFound) {
		t.Error("a missing blob is not ErrNotFound")
	}
}

func TestATagOfSomebodyElsesArtifactIsTaken(t *testing.T) {
	r := startRegistry(t)
	foreign := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+r.host+"/v2/mini/shop-team/shop/manifests/1.2.0_build.7", bytes.NewReader(foreign))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", ocispec.MediaTypeImageIndex)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatal(resp.Status)
	}
	_, err = clientOf(r.host).Publish(t.Context(), artifact(t))
	var taken *TagTakenError
	if !errors.As(err, &taken) || taken.Existing != digest.FromBytes(foreign).String() {
		t.Errorf("got %v", err)
	}
}

func TestTheEndOfTheManagerIsNoFaultOfTheRegistry(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := clientOf("localhost:1").Publish(ctx, artifact(t)); err != context.Canceled {
		t.Errorf("got %v, want the context's own error", err)
	}
}

func TestANameThatNoRegistryTakes(t *testing.T) {
	a := artifact(t)
	a.Repository = "Shop Team/shop"
	_, err := clientOf("localhost:1").Publish(t.Context(), a)
	wantErr(t, err, RegistryRefused, "the repository localhost:1/mini/Shop Team/shop has no valid name: correct the manager's registry and prefix")
}

func TestAVersionThatIsNoTag(t *testing.T) {
	version := "1.0.0-" + strings.Repeat("a", 128)
	_, err := clientOf("localhost:1").Resolve(t.Context(), repository, Tag(version))
	wantErr(t, err, RegistryRefused, fmt.Sprintf("%q cannot be a tag in a registry: a version may have 128 characters there, of A-Z, a-z, 0-9, '.', '-' and '+'", version))
}

func TestAnAnswerThatBreaksOff(t *testing.T) {
	r := startRegistry(t)
	publish(t, clientOf(r.host), artifact(t))
	r.breakOn(func(req *http.Request) *registrytest.Fault {
		if req.Method == http.MethodGet {
			return &registrytest.Fault{CutAfter: 10}
		}
		return nil
	})
	_, err := clientOf(r.host).Resolve(t.Context(), repository, Tag(config().Version))
	wantErr(t, err, RegistryUnavailable, "the registry "+r.host+" does not answer: unexpected EOF; the look-up is tried again")
}

func writeDockerConfig(t *testing.T, path, host, user, password string) {
	t.Helper()
	text := fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, host, user, password)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func withTimeout(host string, timeout time.Duration) *Client {
	return New(Options{Host: host, Prefix: "mini", PlainHTTP: true, UserAgent: "test/1", Timeout: timeout})
}
