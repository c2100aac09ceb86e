package source

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

// Whatever digest an answer names, what is fetched has the digest that was asked for,
// or the one of its own bytes.
func TestARegistryThatNamesAnotherDigestIsNotBelieved(t *testing.T) {
	lie := digest.FromString("lie").String()
	for name, tt := range map[string]struct {
		reference func(*shelf) string
		about     string // the path of what is lied about
		want      string // REF, HOST, DIGEST, LAYER and LIE stand for what they are; empty: the bundle comes
	}{
		"for a tag": {
			reference: func(*shelf) string { return ":1.0" }, about: "/manifests/",
		},
		"for a digest": {
			reference: func(s *shelf) string { return "@" + s.digest() }, about: "/manifests/",
			want: `fetching REF failed: GET "http://HOST/v2/team/app/manifests/DIGEST": invalid response; digest mismatch in Docker-Content-Digest: received "LIE" when expecting "DIGEST"; it is tried again`,
		},
		"for a layer": {
			reference: func(*shelf) string { return ":1.0" }, about: "/blobs/",
			want: `fetching REF failed: GET "http://HOST/v2/team/app/blobs/LAYER": invalid response; digest mismatch in Docker-Content-Digest: received "LIE" when expecting "LAYER"; it is tried again`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t, manifestOf(zipLayer()))
			front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, tt.about) {
					w = lying{w, lie}
				}
				s.ServeHTTP(w, r)
			})
			host := strings.TrimPrefix(serve(t, front), "http://")
			ref := host + "/team/app" + tt.reference(s)
			f, err := newOCI(t, Limits{}).Fetch(t.Context(), ref, nil, nil)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if text := readAndClose(t, f); text != bundleText || f.Resolved != s.digest() {
					t.Errorf("fetched %q, resolved to %s", text, f.Resolved)
				}
				return
			}
			got := look(t, err)
			got.Message = strings.NewReplacer(ref, "REF", host, "HOST", s.digest(), "DIGEST", zipLayer().Digest.String(), "LAYER", lie, "LIE").Replace(got.Message)
			if diff := cmp.Diff(seen{Reason: SourceUnavailable, Message: tt.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// lying names another digest than that of what it answers.
type lying struct {
	http.ResponseWriter
	digest string
}

func (l lying) Write(b []byte) (int, error) {
	l.Header().Set("Docker-Content-Digest", l.digest)
	return l.ResponseWriter.Write(b)
}

// Where a registry or its token service sends on to is judged as what it names itself.
func TestNothingIsFetchedFromWhereARegistryRedirects(t *testing.T) {
	const private = "http://10.0.0.1/x?signature=secret"
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, private, http.StatusTemporaryRedirect)
	}
	tokens := serve(t, redirect)
	for name, before := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"a manifest": func(w http.ResponseWriter, r *http.Request) bool {
			redirect(w, r)
			return true
		},
		"a token": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x"`, tokens))
			w.WriteHeader(http.StatusUnauthorized)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t, manifestOf(zipLayer()))
			s.before = before
			ref := s.start(t) + "/team/app:1.0"
			_, err := newOCI(t, Limits{}).Fetch(t.Context(), ref, nil, nil)
			want := seen{Reason: SourceForbidden, After: repairDelay, Message: ref + " was not fetched: it leads to the address 10.0.0.1, which is not public: " +
				"use a public host, or ask for the address to be added to the manager's allow-list"}
			if diff := cmp.Diff(want, look(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
