package registry

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

const findings = `{"findings":[{"file":"a.map","message":"leave it out","rule":"JunkFile","severity":"warning"}],"packer":"miniprogram-operator/test"}`

func withFindings(a Artifact, text string) Artifact {
	a.Findings = []byte(text)
	return a
}

// bothSorts are a registry without the referrers API and one with it.
func bothSorts(t *testing.T, test func(t *testing.T, r *watched)) {
	for name, o := range map[string]registrytest.Options{"without the referrers API": {}, "with it": {Referrers: true}} {
		t.Run(name, func(t *testing.T) {
			r := &watched{Registry: registrytest.Start(t, o)}
			r.host = registrytest.Faulty(t, r.Host(), r.see)
			test(t, r)
		})
	}
}

func TestFindingsReferToTheArtifact(t *testing.T) {
	bothSorts(t, func(t *testing.T, r *watched) {
		c := clientOf(r.host)
		plain := publish(t, c, artifact(t))
		if got, err := c.Findings(t.Context(), repository, plain.Digest, plain.Findings); !errors.Is(err, ErrNotFound) {
			t.Fatalf("before they are pushed: %q, %v", got, err)
		}
		first := publish(t, c, withFindings(artifact(t), findings))
		if first.Digest != plain.Digest || first.Findings == "" || first.FindingsRefused != "" {
			t.Errorf("published %+v", first)
		}
		kept := func(p Published, want string) {
			t.Helper()
			if got, err := c.Findings(t.Context(), repository, p.Digest, p.Findings); err != nil || string(got) != want {
				t.Errorf("got %q (%v), want %q", got, err, want)
			}
		}
		kept(first, findings)

		r.writes()
		again := publish(t, c, withFindings(artifact(t), findings))
		if diff := cmp.Diff(first, again); diff != "" || len(r.writes()) > 0 {
			t.Errorf("publishing again is not nothing: %s", diff)
		}
		// Another release of the checks says something else of the same artifact.
		const other = `{"findings":[],"packer":"miniprogram-operator/next"}`
		next := publish(t, c, withFindings(artifact(t), other))
		if next.Digest != first.Digest || next.Findings == first.Findings {
			t.Errorf("published %+v after %+v", next, first)
		}
		kept(first, findings)
		kept(next, other)
	})
}

func TestAnArtifactThatIsAdoptedGetsFindingsToo(t *testing.T) {
	bothSorts(t, func(t *testing.T, r *watched) {
		c := clientOf(r.host)
		old := publish(t, c, artifactOf(t, config(), "compressed by another release"))
		got := publish(t, c, withFindings(artifact(t), findings))
		if !got.Adopted || got.Digest != old.Digest {
			t.Fatalf("not adopted: %+v", got)
		}
		if text, err := c.Findings(t.Context(), repository, got.Digest, got.Findings); err != nil || string(text) != findings {
			t.Errorf("got %q (%v)", text, err)
		}
	})
}

func TestARegistryThatRefusesFindingsTakesTheArtifact(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			r := startRegistry(t)
			c := clientOf(r.host)
			_, desc, err := buildManifest(artifact(t))
			if err != nil {
				t.Fatal(err)
			}
			_, refused, err := findingsOf(desc, []byte(findings))
			if err != nil {
				t.Fatal(err)
			}
			r.breakOn(func(req *http.Request) *registrytest.Fault {
				if strings.HasSuffix(req.URL.Path, refused.Digest.String()) || strings.Contains(req.URL.Path, "/referrers/") {
					return &registrytest.Fault{Status: status}
				}
				return nil
			})
			for _, how := range []string{"new", "there already"} {
				got := publish(t, c, withFindings(artifact(t), findings))
				if got.Digest != desc.Digest.String() || got.Findings != "" || !strings.Contains(got.FindingsRefused, http.StatusText(status)) {
					t.Errorf("%s: %+v", how, got)
				}
			}
			if e, err := c.Resolve(t.Context(), repository, "1.2.0_build.7"); err != nil || e.Digest != desc.Digest.String() {
				t.Errorf("the tag names %v (%v)", e, err)
			}
		})
	}
}

func TestFindingsAreTriedAgainWhereTheRegistryFailsForNow(t *testing.T) {
	for name, status := range map[string]int{"busy": http.StatusTooManyRequests, "broken": http.StatusInternalServerError} {
		t.Run(name, func(t *testing.T) {
			r := startRegistry(t)
			r.breakOn(func(req *http.Request) *registrytest.Fault {
				if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/sha256:") {
					return &registrytest.Fault{Status: status}
				}
				return nil
			})
			if _, err := clientOf(r.host).Publish(t.Context(), withFindings(artifact(t), findings)); err == nil {
				t.Error("there is no error")
			}
		})
	}
}

func TestFindingsThatAreNotWhatTheirDigestSaysAreRefused(t *testing.T) {
	r := startRegistry(t)
	c := clientOf(r.host)
	p := publish(t, c, withFindings(artifact(t), findings))
	layer := digest.FromString(findings).String()
	r.breakOn(func(req *http.Request) *registrytest.Fault {
		if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, layer) {
			return &registrytest.Fault{Status: http.StatusOK, Body: strings.Repeat(" ", len(findings))}
		}
		return nil
	})
	_, err := c.Findings(t.Context(), repository, p.Digest, p.Findings)
	var bad *Error
	if !errors.As(err, &bad) || bad.Reason != RegistryInconsistent {
		t.Errorf("got %v", err)
	}
}

// Whoever may push to the registry can say of an artifact what is not so.
func TestFindingsThatPublishHasNotPushedAreNoFindings(t *testing.T) {
	bothSorts(t, func(t *testing.T, r *watched) {
		c := clientOf(r.host)
		p := publish(t, c, withFindings(artifact(t), findings))
		subject := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(p.Digest), Size: int64(len(manifestText(artifact(t))))}
		lie := registrytest.Layer{MediaType: FindingsMediaType, Data: []byte(`{"findings":[]}`)}
		registrytest.Push(t, r.Host(), "mini/"+repository, "", &subject, lie)
		if got, err := c.Findings(t.Context(), repository, p.Digest, p.Findings); err != nil || string(got) != findings {
			t.Errorf("got %q (%v)", got, err)
		}
		other := artifact(t)
		other.Tag, other.Config = "9.0.0", []byte(`{"version":"9.0.0"}`)
		another := publish(t, c, withFindings(other, findings))
		for name, test := range map[string]struct{ findings, want string }{
			"none were kept":            {"", "the registry " + r.host + " was given no findings about mini/shop-team/shop@" + p.Digest},
			"no digest":                 {"latest", `"latest" names no findings in a registry: it must be a digest`},
			"those of another artifact": {another.Findings, r.host + "/mini/shop-team/shop@" + another.Findings + " holds no findings about " + p.Digest},
			"another manifest":          {another.Digest, r.host + "/mini/shop-team/shop@" + another.Digest + " holds no findings about " + p.Digest},
		} {
			if got, err := c.Findings(t.Context(), repository, p.Digest, test.findings); err == nil || err.Error() != test.want {
				t.Errorf("%s: got %q (%v), want %q", name, got, err, test.want)
			}
		}
	})
}
