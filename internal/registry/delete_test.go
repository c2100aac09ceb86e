package registry

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// gone fails unless nothing leads to the artifact: neither its tag, nor its
// digest, nor findings about it.
func gone(t *testing.T, c *Client, p Published) {
	t.Helper()
	for _, reference := range []string{artifact(t).Tag, p.Digest} {
		if _, err := c.Resolve(t.Context(), repository, reference); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s is still there: %v", reference, err)
		}
	}
	o, err := c.begin(t.Context(), repository, "the look", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer o.end()
	left, err := o.referrers(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(p.Digest)}, FindingsMediaType, maxReferrers)
	if err != nil || len(left) > 0 {
		t.Errorf("findings are still there: %v, %v", left, err)
	}
}

func TestDeletingTakesTagManifestAndFindings(t *testing.T) {
	bothSorts(t, func(t *testing.T, r *watched) {
		c := clientOf(r.host)
		other := artifact(t)
		other.Tag, other.Config = "9.0.0", []byte(`{"version":"9.0.0"}`)
		stays := publish(t, c, withFindings(other, findings))
		p := publish(t, c, withFindings(artifact(t), findings))
		publish(t, c, withFindings(artifact(t), `{"findings":[],"packer":"miniprogram-operator/next"}`))
		if err := c.Delete(t.Context(), repository, p.Digest); err != nil {
			t.Fatal(err)
		}
		gone(t, c, p)
		if _, err := c.Resolve(t.Context(), repository, p.Findings); !errors.Is(err, ErrNotFound) {
			t.Errorf("the findings are still there: %v", err)
		}
		if err := c.Delete(t.Context(), repository, p.Digest); err != nil {
			t.Errorf("deleting what is gone: %v", err)
		}
		if err := c.Exists(t.Context(), repository, stays.Digest); err != nil {
			t.Errorf("another version: %v", err)
		}
		if got, err := c.Findings(t.Context(), repository, stays.Digest, stays.Findings); err != nil || string(got) != findings {
			t.Errorf("the findings of another version: %q, %v", got, err)
		}
		if again := publish(t, c, withFindings(artifact(t), findings)); again.Digest != p.Digest || again.Adopted {
			t.Errorf("published anew: %+v", again)
		}
	})
}

// Whatever request of a deletion fails, or has its answer lost, asking again ends it.
func TestADeletionGoesOnAfterACrash(t *testing.T) {
	for name, fault := range map[string]registrytest.Fault{"before": {Drop: true}, "after": {DropAnswer: true}} {
		t.Run(name+" its effect", func(t *testing.T) {
			bothSorts(t, func(t *testing.T, r *watched) {
				c := clientOf(r.host)
				for n := 0; ; n++ {
					p := publish(t, c, withFindings(artifact(t), findings))
					seen := 0
					r.breakOn(func(*http.Request) *registrytest.Fault {
						if seen++; seen == n+1 {
							return &fault
						}
						return nil
					})
					err := c.Delete(t.Context(), repository, p.Digest)
					broken := seen > n
					r.breakOn(nil)
					if !broken {
						if err != nil || n < 2 {
							t.Errorf("%d requests were enough: %v", n, err)
						}
						return
					}
					if err := c.Delete(t.Context(), repository, p.Digest); err != nil {
						t.Errorf("again after request %d: %v", n+1, err)
					}
					gone(t, c, p)
				}
			})
		})
	}
}

func TestWhatARegistryAnswersToADeletion(t *testing.T) {
	r := startRegistry(t)
	c := clientOf(r.host)
	p := publish(t, c, withFindings(artifact(t), findings))
	tests := map[string]struct {
		answer registrytest.Fault
		reason string
		keeps  bool
		want   string
	}{
		"it deletes nothing": {
			registrytest.Fault{Status: 405, Body: `{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}`}, RegistryUnsupported, true,
			"the registry " + r.host + " deletes nothing (405 Method Not Allowed: UNSUPPORTED: The operation is unsupported.): allow deletion there, or delete mini/shop-team/shop@" + p.Digest + " by hand",
		},
		"it does not know deletion": {
			registrytest.Fault{Status: 400}, RegistryUnsupported, true,
			"the registry " + r.host + " deletes nothing (400 Bad Request): allow deletion there, or delete mini/shop-team/shop@" + p.Digest + " by hand",
		},
		"the account may not": {
			registrytest.Fault{Status: 403}, RegistryUnauthorized, false,
			"the registry " + r.host + " asks for credentials (403 Forbidden), and the manager has none: give it a dockerconfigjson Secret for that host; the deletion is tried again",
		},
		"it is out of order": {
			registrytest.Fault{Status: 503, Header: http.Header{"Retry-After": {"7"}}}, RegistryUnavailable, false,
			"the registry " + r.host + " asks to wait (503 Service Unavailable); the deletion is tried again after 7s",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r.breakOn(func(req *http.Request) *registrytest.Fault {
				if req.Method == http.MethodDelete {
					return &tc.answer
				}
				return nil
			})
			err := c.Delete(t.Context(), repository, p.Digest)
			r.breakOn(nil)
			known, ok := errors.AsType[*Error](err)
			if !ok || known.Reason != tc.reason {
				t.Fatalf("got %v, want reason %s", err, tc.reason)
			}
			if _, keeps := errors.AsType[*KeepsError](err); keeps != tc.keeps {
				t.Errorf("a KeepsError: %v, want %v", keeps, tc.keeps)
			}
			if diff := cmp.Diff(tc.want, known.Message); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if got, err := c.Findings(t.Context(), repository, p.Digest, p.Findings); err != nil || string(got) != findings {
				t.Errorf("the findings: %q, %v", got, err)
			}
		})
	}
}
