package registry

import (
	"errors"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
)

// watched is a real registry behind a proxy that lists what is written to it and
// can be given faults.
type watched struct {
	*registrytest.Registry
	// host is the proxy's.
	host string

	mu    sync.Mutex
	wrote []string
	fault func(*http.Request) *registrytest.Fault
}

func startRegistry(t *testing.T) *watched {
	t.Helper()
	w := &watched{Registry: registrytest.Start(t, registrytest.Options{})}
	w.host = registrytest.Faulty(t, w.Host(), w.see)
	return w
}

func (w *watched) see(r *http.Request) *registrytest.Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if isWrite(r) {
		_, what, _ := strings.Cut(r.URL.Path, "/shop-team/shop/")
		if r.Method == http.MethodPut && strings.HasPrefix(what, "blobs/") {
			what = "blobs/uploads/…"
		}
		w.wrote = append(w.wrote, r.Method+" "+what)
	}
	if w.fault == nil {
		return nil
	}
	return w.fault(r)
}

// breakOn gives the faults that f says. f runs for one request at a time.
func (w *watched) breakOn(f func(*http.Request) *registrytest.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

// writes returns what was written since the last call, and forgets it.
func (w *watched) writes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	wrote := w.wrote
	w.wrote = nil
	return wrote
}

func isWrite(r *http.Request) bool {
	return !slices.Contains([]string{http.MethodGet, http.MethodHead}, r.Method)
}

func TestARegistryWithReferrersGivesTheSameDigest(t *testing.T) {
	r := registrytest.StartReferrers(t)
	if got, want := publish(t, clientOf(r.Host()), artifact(t)).Digest, digest.FromString(manifestText(artifact(t))).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What one installation publishes can be another's source.
func TestPublishedArtifactsCanBeSources(t *testing.T) {
	r := startRegistry(t)
	p := publish(t, clientOf(r.host), artifact(t))
	guard := source.Guard{AllowInsecure: true, AllowedNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	f, err := source.NewOCI(source.NewTransport(guard), source.Limits{}, "test/1").Fetch(t.Context(), p.Repository+":1.2.0_build.7", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.SHA256 != config().ArchiveSHA256 || f.Resolved != p.Digest {
		t.Errorf("fetched %+v", f)
	}

	_, err = source.NewOCI(source.NewTransport(guard), source.Limits{}, "test/1", clientOf(r.host).Place()).Fetch(t.Context(), p.Repository+":1.2.0_build.7", nil, nil)
	var permanent *source.PermanentError
	if !errors.As(err, &permanent) || permanent.Reason != source.SourceForbidden {
		t.Errorf("the place where the manager publishes was read: %v", err)
	}
}

func TestSkopeoReadsAndCopiesWhatWasPublished(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal("skopeo is not installed: apt-get install skopeo")
		}
		t.Skip("skopeo is not installed")
	}
	r := startRegistry(t)
	p := publish(t, clientOf(r.host), artifact(t))
	ref := "docker://" + r.host + "/mini/shop-team/shop:1.2.0_build.7"
	raw, err := exec.CommandContext(t.Context(), skopeo, "inspect", "--raw", "--tls-verify=false", ref).Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(manifestText(artifact(t)), string(raw)); diff != "" {
		t.Error(diff)
	}

	dir := filepath.Join(t.TempDir(), "copy")
	copied, err := exec.CommandContext(t.Context(), skopeo, "copy", "--insecure-policy", "--src-tls-verify=false", "--preserve-digests", ref, "dir:"+dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, copied)
	}
	got := map[string]string{}
	for _, name := range []string{"manifest.json", p.Archive.Digest.Encoded(), p.Content.Digest.Encoded()} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = string(b)
	}
	want := map[string]string{
		"manifest.json":            manifestText(artifact(t)),
		p.Archive.Digest.Encoded(): "archive",
		p.Content.Digest.Encoded(): "compressed content",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// And back into a registry, under another name, with the digest that it had.
	other := "docker://" + r.host + "/mirror/shop:1"
	copied, err = exec.CommandContext(t.Context(), skopeo, "copy", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests", ref, other).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, copied)
	}
	mirror := New(Options{Host: r.host, Prefix: "mirror", PlainHTTP: true})
	if err := mirror.Exists(t.Context(), "shop", p.Digest); err != nil {
		t.Error(err)
	}
}
