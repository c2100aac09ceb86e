package registry

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// filled has an artifact with findings, a signature of the artifact, a signature of that
// signature, something untagged, and a second repository.
func filled(t *testing.T, host string) (*Client, Published, string) {
	t.Helper()
	c := clientOf(host)
	a := artifact(t)
	a.Findings = []byte(`{"findings":[]}`)
	p := publish(t, c, a)
	subject := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(p.Digest), Size: int64(len(manifestText(a)))}
	layer := func(text string) registrytest.Layer {
		return registrytest.Layer{MediaType: "application/vnd.example.signature", Data: []byte(text)}
	}
	signature := registrytest.Push(t, host, "mini/"+repository, "", &subject, layer("signature"))
	registrytest.Push(t, host, "mini/"+repository, "", &signature, layer("signature of the signature"))
	untagged := registrytest.Push(t, host, "mini/"+repository, "", nil, layer("untagged"))
	registrytest.Push(t, host, "mini/journal/shop-team/shop", "s1", nil, layer("entry"))
	return c, p, untagged.Digest.String()
}

func TestACopyHoldsWhatTheSourceHolds(t *testing.T) {
	kinds := map[string]registrytest.Options{"without a referrers API": {}, "with a referrers API": {Referrers: true}}
	for from, source := range kinds {
		for to, target := range kinds {
			t.Run("from one "+from+" to one "+to, func(t *testing.T) {
				client, p, untagged := filled(t, registrytest.Start(t, source).Host())
				other := clientOf(registrytest.Start(t, target).Host())
				c := &Copier{From: client, To: other}
				missing, err := c.Verify(t.Context(), repository, nil)
				if err != nil {
					t.Fatal(err)
				}
				if len(missing.Problems) < 5 || !slices.Contains(missing.Problems, "tag 1.2.0_build.7 is not at the target") {
					t.Errorf("before: %q", missing.Problems)
				}
				first, err := c.Copy(t.Context(), repository, []string{untagged})
				if err != nil {
					t.Fatal(err)
				}
				first.Bytes = 0
				// Five manifests, and their blobs: three, one, two (one of them for both signatures), one and one.
				if diff := cmp.Diff(Copied{Tags: 1, Referrers: 3, Manifests: 5, Sent: 13}, first); diff != "" {
					t.Errorf("the first copy (-want +got):\n%s", diff)
				}
				for name, again := range map[string]func() (Copied, error){
					"copying again": func() (Copied, error) { return c.Copy(t.Context(), repository, []string{untagged}) },
					"verifying":     func() (Copied, error) { return c.Verify(t.Context(), repository, []string{untagged}) },
				} {
					got, err := again()
					if diff := cmp.Diff(Copied{Tags: 1, Referrers: 3, Manifests: 5}, got); err != nil || diff != "" {
						t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
					}
				}
				if e, err := other.Resolve(t.Context(), repository, "1.2.0_build.7"); err != nil || e.Digest != p.Digest {
					t.Errorf("the copy is %+v, %v", e, err)
				}
				if text, err := other.Findings(t.Context(), repository, p.Digest, p.Findings); err != nil || string(text) != `{"findings":[]}` {
					t.Errorf("the findings are %q, %v", text, err)
				}
			})
		}
	}
}

func TestACatalogueIsReadBelowThePrefix(t *testing.T) {
	host := registrytest.Start(t, registrytest.Options{}).Host()
	client, _, _ := filled(t, host)
	registrytest.Push(t, host, "minimal/shop", "1", nil, registrytest.Layer{MediaType: "text/plain", Data: []byte("another's")})
	got, err := client.Repositories(t.Context())
	if diff := cmp.Diff([]string{"journal/shop-team/shop", "shop-team/shop"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	none := clientOf(registrytest.Faulty(t, host, func(r *http.Request) *registrytest.Fault {
		if strings.HasPrefix(r.URL.Path, "/v2/_catalog") {
			return &registrytest.Fault{Status: http.StatusNotFound, Body: "{}"}
		}
		return nil
	}))
	if got, err := none.Repositories(t.Context()); err == nil {
		t.Errorf("a registry without a catalogue lists %q", got)
	}
}

func TestATagOfTheTargetIsNeverMoved(t *testing.T) {
	client, p, _ := filled(t, registrytest.Start(t, registrytest.Options{}).Host())
	host := registrytest.Start(t, registrytest.Options{}).Host()
	other := registrytest.Push(t, host, "mini/"+repository, "1.2.0_build.7", nil, registrytest.Layer{MediaType: "text/plain", Data: []byte("another")})
	c := &Copier{From: client, To: clientOf(host)}
	got, err := c.Copy(t.Context(), repository, nil)
	want := []string{"tag 1.2.0_build.7 names " + other.Digest.String() + " at the target, and a tag is never moved: delete it there if nobody needs it"}
	if diff := cmp.Diff(want, got.Problems); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	e, err := c.To.Resolve(t.Context(), repository, "1.2.0_build.7")
	if err != nil || e.Digest != other.Digest.String() {
		t.Errorf("the tag names %+v now, %v", e, err)
	}
	seen, err := c.Verify(t.Context(), repository, nil)
	want = []string{"tag 1.2.0_build.7 names " + other.Digest.String() + " at the target, not " + p.Digest}
	if diff := cmp.Diff(want, seen.Problems); err != nil || diff != "" {
		t.Errorf("verified: %v (-want +got):\n%s", err, diff)
	}
}

// Whatever request is the last that is answered, another copy goes on from there, and the
// tag names nothing before all is there.
func TestACopyThatIsCutOffGoesOn(t *testing.T) {
	source := registrytest.Start(t, registrytest.Options{})
	client, p, _ := filled(t, source.Host())
	for cut := 1; ; cut++ {
		target := registrytest.Start(t, registrytest.Options{})
		var mu sync.Mutex
		writes := 0
		faulty := registrytest.Faulty(t, target.Host(), func(r *http.Request) *registrytest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				writes++
			}
			if writes >= cut {
				return &registrytest.Fault{DropAnswer: true}
			}
			return nil
		})
		_, err := (&Copier{From: client, To: clientOf(faulty)}).Copy(t.Context(), repository, nil)
		if side, is := errors.AsType[*CopyError](err); err != nil && (!is || side.Host != faulty) {
			t.Fatalf("cut at write %d: %v", cut, err)
		}
		whole := &Copier{From: client, To: clientOf(target.Host())}
		if e, terr := whole.To.Resolve(t.Context(), repository, "1.2.0_build.7"); terr == nil {
			if found, verr := whole.Verify(t.Context(), repository, nil); verr != nil || len(found.Problems) > 0 || e.Digest != p.Digest {
				t.Errorf("cut at write %d: the tag is there before the rest: %v %q", cut, verr, found.Problems)
			}
		}
		if _, aerr := whole.Copy(t.Context(), repository, nil); aerr != nil {
			t.Fatalf("after a cut at write %d: %v", cut, aerr)
		}
		found, verr := whole.Verify(t.Context(), repository, nil)
		if verr != nil || len(found.Problems) > 0 {
			t.Errorf("after a cut at write %d: %v %q", cut, verr, found.Problems)
		}
		if serr := target.Stop(); serr != nil {
			t.Fatal(serr)
		}
		if err == nil {
			return // nothing was cut off
		}
	}
}

func TestALostBlobIsSentAgain(t *testing.T) {
	client, p, _ := filled(t, registrytest.Start(t, registrytest.Options{}).Host())
	dir := t.TempDir()
	c := &Copier{From: client, To: clientOf(registrytest.Start(t, registrytest.Options{Dir: dir}).Host())}
	if _, err := c.Copy(t.Context(), repository, nil); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "data/docker/registry/v2/repositories/mini", repository, "_layers/sha256", p.Archive.Digest.Encoded())
	if err := os.RemoveAll(link); err != nil {
		t.Fatal(err)
	}
	found, err := c.Verify(t.Context(), repository, nil)
	want := []string{"blob " + p.Archive.Digest.String() + " of manifest " + p.Digest + " is not at the target"}
	if diff := cmp.Diff(want, found.Problems); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := c.Copy(t.Context(), repository, nil); err != nil || got.Sent != 1 {
		t.Errorf("%d were sent, %v", got.Sent, err)
	}
	if found, err = c.Verify(t.Context(), repository, nil); err != nil || len(found.Problems) > 0 {
		t.Errorf("after it was sent again: %v %q", err, found.Problems)
	}
}

func TestTheErrorOfACopySaysWhichRegistryFailed(t *testing.T) {
	client, _, _ := filled(t, registrytest.Start(t, registrytest.Options{}).Host())
	closed := registrytest.Start(t, registrytest.Options{BasicAuth: true}).Host()
	_, err := (&Copier{From: client, To: clientOf(closed)}).Copy(t.Context(), repository, nil)
	side, is := errors.AsType[*CopyError](err)
	if !is || side.Host != closed || !side.Write {
		t.Errorf("writing: %v, %+v", err, side)
	}
	_, err = (&Copier{From: clientOf(closed), To: client}).Copy(t.Context(), repository, nil)
	side, is = errors.AsType[*CopyError](err)
	if !is || side.Host != closed || side.Write {
		t.Errorf("reading: %v, %+v", err, side)
	}
	_, err = (&Copier{From: client, To: clientOf(closed)}).Copy(t.Context(), "nobody/nothing", nil)
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("a repository that is not there: %v", err)
	}
}

// What nothing tags is found by the list of what refers to it, also where it is gone.
func TestWhatRefersToSomethingUntaggedIsCopied(t *testing.T) {
	host := registrytest.Start(t, registrytest.Options{}).Host()
	layer := func(text string) registrytest.Layer {
		return registrytest.Layer{MediaType: "text/plain", Data: []byte(text)}
	}
	subject := registrytest.Push(t, host, "mini/"+repository, "", nil, layer("untagged"))
	first := registrytest.Push(t, host, "mini/"+repository, "", &subject, layer("signature"))
	never := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("never there"), Size: 11}
	second := registrytest.Push(t, host, "mini/"+repository, "", &never, layer("another"))
	c := &Copier{From: clientOf(host), To: clientOf(registrytest.Start(t, registrytest.Options{Referrers: true}).Host())}
	if _, err := c.Copy(t.Context(), repository, nil); err != nil {
		t.Fatal(err)
	}
	for _, desc := range []ocispec.Descriptor{subject, first, second} {
		o, err := c.To.begin(t.Context(), repository, "the test", DefaultTimeout)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := o.readManifest(desc.Digest.String()); err != nil {
			t.Error(err)
		}
		o.end()
	}
}

func TestABlobThatTheSourceHasLostIsNoRepositoryThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	client, p, _ := filled(t, registrytest.Start(t, registrytest.Options{Dir: dir}).Host())
	if err := os.RemoveAll(filepath.Join(dir, "data/docker/registry/v2/repositories/mini", repository, "_layers/sha256", p.Archive.Digest.Encoded())); err != nil {
		t.Fatal(err)
	}
	_, err := (&Copier{From: client, To: clientOf(registrytest.Start(t, registrytest.Options{}).Host())}).Copy(t.Context(), repository, nil)
	if err == nil || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "has lost its blob "+p.Archive.Digest.String()+": restore it there") {
		t.Errorf("got %v", err)
	}
}
