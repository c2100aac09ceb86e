package source

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// shelf is what a registry in these tests holds: one repository, team/app.
type shelf struct {
	manifests map[string][]byte // by tag or digest
	blobs     map[string][]byte // by digest
	mediaType string
	// before may answer a request in the registry's place.
	before func(http.ResponseWriter, *http.Request) bool
}

// newShelf holds manifest under the tag 1.0 and under its digest, and the bundle.
func newShelf(t *testing.T, manifest any) *shelf {
	t.Helper()
	raw, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	return &shelf{
		manifests: map[string][]byte{"1.0": raw, digest.FromBytes(raw).String(): raw},
		blobs:     map[string][]byte{zipLayer().Digest.String(): []byte(bundleText)},
		mediaType: ocispec.MediaTypeImageManifest,
	}
}

func (s *shelf) digest() string { return digest.FromBytes(s.manifests["1.0"]).String() }

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.before != nil && s.before(w, r) {
		return
	}
	const manifests, blobs = "/v2/team/app/manifests/", "/v2/team/app/blobs/"
	var body []byte
	switch {
	case strings.HasPrefix(r.URL.Path, manifests):
		reference := strings.TrimPrefix(r.URL.Path, manifests)
		body = s.manifests[reference]
		if strings.HasPrefix(reference, sha256Prefix) {
			w.Header().Set("Docker-Content-Digest", reference) // also where it is a lie
		}
		w.Header().Set("Content-Type", s.mediaType)
	case strings.HasPrefix(r.URL.Path, blobs):
		body = s.blobs[strings.TrimPrefix(r.URL.Path, blobs)]
	}
	if body == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body)
}

func zipLayer() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: "application/zip", Digest: digest.FromString(bundleText), Size: int64(len(bundleText))}
}

func manifestOf(layers ...ocispec.Descriptor) ocispec.Manifest {
	return ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    ocispec.DescriptorEmptyJSON,
		Layers:    layers,
	}
}

func newOCI(t *testing.T, l Limits, forbidden ...string) *OCI {
	t.Helper()
	transport := NewTransport(Guard{AllowInsecure: true, AllowedNets: loopback, RequestsPerSecond: 1000})
	t.Cleanup(transport.CloseIdleConnections)
	return NewOCI(transport, l, "test/1", forbidden...)
}

// start serves s and returns the registry's host and port.
func (s *shelf) start(t *testing.T) string {
	t.Helper()
	return strings.TrimPrefix(serve(t, s.ServeHTTP), "http://")
}

func TestOCIReadsTheOneZipLayer(t *testing.T) {
	other := ocispec.Descriptor{MediaType: "text/plain", Digest: digest.FromString("notes"), Size: 5}
	titled := zipLayer()
	titled.MediaType = "application/octet-stream"
	titled.Annotations = map[string]string{ocispec.AnnotationTitle: "shop-1.0.MA"}
	own := zipLayer()
	own.MediaType = "application/vnd.miniprogram.archive.v1+zip"
	content := ocispec.Descriptor{MediaType: "application/vnd.miniprogram.content.v1.tar+zstd", Digest: digest.FromString("tar"), Size: 3}
	for name, layers := range map[string][]ocispec.Descriptor{
		"by its media type":                    {other, zipLayer()},
		"by its title":                         {titled, other},
		"of an artifact as the manager's own":  {own, content},
		"with a size that is exactly the most": {zipLayer()},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t, manifestOf(layers...))
			host := s.start(t)
			o := newOCI(t, Limits{MaxBytes: int64(len(bundleText))})
			resolved, err := o.Resolve(t.Context(), host+"/team/app:1.0", nil)
			if err != nil || resolved != s.digest() {
				t.Fatalf("resolved to %s, %v, want %s", resolved, err, s.digest())
			}
			pinned := Pin(host+"/team/app:1.0", resolved)
			tagged := manifestOf() // the tag moves on after it was resolved
			s.manifests["1.0"], err = json.Marshal(tagged)
			if err != nil {
				t.Fatal(err)
			}
			f, err := o.Fetch(t.Context(), pinned, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := []any{f.Size, f.SHA256, f.Origin, f.Resolved, readAndClose(t, f)}
			want := []any{int64(len(bundleText)), "sha256:" + sumOf(bundleText), "oci://" + host + "/team/app@" + resolved, resolved, bundleText}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPinKeepsADigestThatIsThere(t *testing.T) {
	if got := Pin("r/a:1@sha256:aa", "sha256:bb"); got != "r/a:1@sha256:aa" {
		t.Error(got)
	}
	if got := Pin("r/a:1", "sha256:bb"); got != "r/a:1@sha256:bb" {
		t.Error(got)
	}
}

func TestOCIArtifactsThatCannotBeUsed(t *testing.T) {
	tarLayer := ocispec.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Digest: digest.FromString("tar"), Size: 3}
	notes := ocispec.Descriptor{MediaType: "text/plain", Digest: digest.FromString("notes"), Size: 5}
	const mustHave = "and must have exactly one zip, or no zip and exactly one tar: push the archive with media type application/zip, or application/vnd.oci.image.layer.v1.tar+gzip"
	foreign := zipLayer()
	foreign.URLs = []string{"https://elsewhere.example.com/x"}
	sha512 := zipLayer()
	sha512.Digest = digest.SHA512.FromString(bundleText)
	for name, tt := range map[string]struct {
		manifest  any
		mediaType string
		why       string
	}{
		"two zip layers":  {manifest: manifestOf(zipLayer(), zipLayer()), why: "it has 2 zip and 0 tar layers among its layers [application/zip, application/zip], " + mustHave},
		"two tar layers":  {manifest: manifestOf(tarLayer, tarLayer), why: "it has 0 zip and 2 tar layers among its layers [application/vnd.oci.image.layer.v1.tar+gzip, application/vnd.oci.image.layer.v1.tar+gzip], " + mustHave},
		"no bundle":       {manifest: manifestOf(notes), why: "it has 0 zip and 0 tar layers among its layers [text/plain], " + mustHave},
		"a foreign layer": {manifest: manifestOf(foreign), why: "its bundle layer has urls, and layers are read from their own registry only: push the layer itself"},
		"another digest":  {manifest: manifestOf(sha512), why: fmt.Sprintf("its bundle layer has the digest %q, and only sha256 is supported", sha512.Digest)},
		"an index":        {manifest: manifestOf(), mediaType: ocispec.MediaTypeImageIndex, why: "it is a application/vnd.oci.image.index.v1+json, and a bundle is in an OCI image manifest: name one by its digest"},
		"no JSON object":  {manifest: "text", why: "its manifest cannot be read: json: cannot unmarshal string into Go value of type v1.Manifest"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t, tt.manifest)
			if tt.mediaType != "" {
				s.mediaType = tt.mediaType
			}
			ref := s.start(t) + "/team/app:1.0"
			_, err := newOCI(t, Limits{}).Fetch(t.Context(), ref, nil, nil)
			want := seen{Permanent: true, Reason: SourceInvalid, Message: ref + " (" + s.digest() + ") cannot be used as a bundle: " + tt.why}
			if diff := cmp.Diff(want, look(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOCIReferencesThatNoTryCouldFetch(t *testing.T) {
	o := NewOCI(NewTransport(Guard{}), Limits{}, "test/1", "registry.example.com/mini/", "whole.example.com")
	below := func(ref, place string) seen {
		return seen{Permanent: true, Reason: SourceForbidden, Message: fmt.Sprintf("spec.source.oci.ref %q lies below %s, where the manager publishes the artifacts of all developer groups: name a registry or repository of your own", ref, place)}
	}
	invalid := func(ref string) seen {
		return seen{Permanent: true, Reason: SourceInvalid, Message: fmt.Sprintf("spec.source.oci.ref %q is no reference with a tag or a digest: write it as registry/repository:tag or registry/repository@sha256:…", ref)}
	}
	tests := map[string]seen{
		"registry.example.com/mini/shop-team/shop:1":      below("registry.example.com/mini/shop-team/shop:1", "registry.example.com/mini/"),
		"Registry.Example.Com.:443/mini/shop-team/shop:1": below("Registry.Example.Com.:443/mini/shop-team/shop:1", "registry.example.com/mini/"),
		"whole.example.com/any:1":                         below("whole.example.com/any:1", "whole.example.com"),
		"nonsense":                                        invalid("nonsense"),
		"registry.example.com/team/app":                   invalid("registry.example.com/team/app"),
		"registry.example.com/../mini/app:1":              invalid("registry.example.com/../mini/app:1"),
		"registry.example.com/app@sha512:" + strings.Repeat("a", 128): {Permanent: true, Reason: SourceInvalid,
			Message: `spec.source.oci.ref "registry.example.com/app@sha512:` + strings.Repeat("a", 128) + `" has a digest that is no sha256: name the sha256 digest`},
		"10.0.0.1:5000/team/app:1": {Permanent: true, Reason: SourceForbidden,
			Message: `spec.source.oci.ref "10.0.0.1:5000/team/app:1" names the address 10.0.0.1, which is not public: use a public registry, or ask for the address to be added to the manager's allow-list`},
	}
	for ref, want := range tests {
		t.Run(ref, func(t *testing.T) {
			_, err := o.Fetch(t.Context(), ref, nil, nil)
			if diff := cmp.Diff(want, look(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
	// What only begins alike is not below.
	for _, ref := range []string{"registry.example.com/minimal/app:1", "registry.example.com:5000/mini/app:1"} {
		s, err := o.open(t.Context(), ref, nil)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		s.w.stop()
	}
}

func TestRegistriesThatDoNotHandOutTheBundle(t *testing.T) {
	onBlob := func(answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/blobs/") {
				return false
			}
			answer(w, r)
			return true
		}
	}
	always := func(answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool { answer(w, r); return true }
	}
	basic := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
	mine := func(host string) *Credentials {
		return &Credentials{Logins: map[string]Login{host: {Username: "me", Password: "pw"}}}
	}
	tests := map[string]struct {
		before func(http.ResponseWriter, *http.Request) bool
		limits Limits
		ref    string
		cred   func(host string) *Credentials
		change func(*shelf)
		want   seen // REF and HOST stand for the registry's
	}{
		"no such tag": {
			ref:  "/team/app:2.0",
			want: seen{Reason: SourceMissing, Message: "REF answers 404 Not Found: correct spec.source.oci.ref or put the bundle there; it is tried again"},
		},
		"500": {
			before: always(status(http.StatusInternalServerError, "")),
			want:   seen{Reason: SourceUnavailable, Message: "REF answers 500 Internal Server Error; it is tried again"},
		},
		"429": {
			before: onBlob(status(http.StatusTooManyRequests, "30")),
			want:   seen{Reason: SourceUnavailable, After: 30 * time.Second, Asked: true, Message: "REF answers 429 Too Many Requests and asks to wait; it is tried again after 30s"},
		},
		"credentials are needed": {
			before: always(basic),
			want:   seen{Reason: SourceUnauthorized, Message: "REF answers 401 Unauthorized: name a Secret with credentials for HOST in spec.source.oci.secretRef; it is tried again"},
		},
		"other credentials are needed": {
			before: always(basic), cred: mine,
			want: seen{Reason: SourceUnauthorized, Message: "REF answers 401 Unauthorized: what the Secret of spec.source.oci.secretRef holds for HOST is not accepted there: correct it; it is tried again"},
		},
		"a layer that never ends": {
			before: onBlob(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(len(bundleText)))
				fmt.Fprint(w, "half")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}),
			limits: Limits{IdleTimeout: 50 * time.Millisecond},
			want:   seen{Reason: SourceUnavailable, Message: "fetching REF was given up: nothing arrived for 50ms; it is tried again"},
		},
		"a layer that drips": {
			before: onBlob(drip),
			limits: Limits{IdleTimeout: 10 * time.Second, Timeout: 100 * time.Millisecond},
			change: func(s *shelf) { *s = *newShelfOfSize(1 << 20) },
			want:   seen{Reason: SourceUnavailable, Message: "fetching REF was given up: it did not end within 100ms; it is tried again"},
		},
		"a layer that ends too soon": {
			before: onBlob(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(len(bundleText)))
				fmt.Fprint(w, "half")
			}),
			want: seen{Reason: SourceUnavailable, Message: "fetching REF failed: unexpected EOF; it is tried again"},
		},
		"a layer that fails": {
			before: onBlob(status(http.StatusBadGateway, "")),
			want:   seen{Reason: SourceUnavailable, Message: "REF answers 502 Bad Gateway; it is tried again"},
		},
		"a layer that is too large": {
			limits: Limits{MaxBytes: int64(len(bundleText)) - 1},
			want:   seen{Reason: SourceTooLarge, After: repairDelay, Message: "the bundle at REF is larger than 20 bytes, the most that is accepted: make it smaller"},
		},
		"a layer of other bytes": {
			before: onBlob(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, strings.Repeat("x", len(bundleText)))
			}),
			want: seen{Reason: SourceDigest, After: repairDelay, Message: "the registry hands out other bytes for the layer " + zipLayer().Digest.String() +
				" of REF than its manifest names: have the registry checked, or push the artifact again"},
		},
		"a layer without end": {
			before: onBlob(func(w http.ResponseWriter, _ *http.Request) {
				w.(http.Flusher).Flush()
				for {
					if _, err := fmt.Fprint(w, bundleText); err != nil {
						return
					}
				}
			}),
			want: seen{Reason: SourceDigest, After: repairDelay, Message: "the registry hands out other bytes for the layer " + zipLayer().Digest.String() +
				" of REF than its manifest names: have the registry checked, or push the artifact again"},
		},
		"a manifest of other bytes": {
			ref:    "/team/app@" + digest.FromString("other").String(),
			change: func(s *shelf) { s.manifests[digest.FromString("other").String()] = s.manifests["1.0"] },
			want: seen{Reason: SourceDigest, After: repairDelay, Message: "the registry's answer for REF has digest " + digest.FromBytes(mustMarshal(manifestOf(zipLayer()))).String() +
				": it hands out other bytes than were asked for"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, manifestOf(zipLayer()))
			if tt.change != nil {
				tt.change(s)
			}
			s.before = tt.before
			host := s.start(t)
			ref := host + "/team/app:1.0"
			if tt.ref != "" {
				ref = host + tt.ref
			}
			var cred *Credentials
			if tt.cred != nil {
				cred = tt.cred(host)
			}
			_, err := newOCI(t, tt.limits).Fetch(t.Context(), ref, cred, nil)
			got := look(t, err)
			got.Message = strings.ReplaceAll(strings.ReplaceAll(got.Message, ref, "REF"), host, "HOST")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// newShelfOfSize holds a manifest whose layer has that many bytes.
func newShelfOfSize(size int64) *shelf {
	layer := zipLayer()
	layer.Size = size
	return &shelf{manifests: map[string][]byte{"1.0": mustMarshal(manifestOf(layer))}, mediaType: ocispec.MediaTypeImageManifest}
}

func mustMarshal(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// A registry that sends its clients to a token service elsewhere gets no
// password for it, unless the Secret names that host too.
func TestTokenServicesGetOnlyWhatTheSecretNamesThemFor(t *testing.T) {
	for name, named := range map[string]bool{"named in the Secret": true, "not named in the Secret": false} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				user, password, _ := r.BasicAuth()
				asked = append(asked, user+":"+password)
				fmt.Fprint(w, `{"token":"short-lived"}`)
			}))
			t.Cleanup(tokens.Close)
			tokenHost := strings.Replace(strings.TrimPrefix(tokens.URL, "http://"), "127.0.0.1", "localhost", 1)
			s := newShelf(t, manifestOf(zipLayer()))
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Authorization") == "Bearer short-lived" {
					return false
				}
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="x"`, tokenHost))
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			host := s.start(t)
			cred := &Credentials{Logins: map[string]Login{host: {Username: "me", Password: "pw"}}}
			if named {
				cred.Logins[tokenHost] = Login{Username: "unused", Password: "unused"}
			}
			ref := host + "/team/app:1.0"
			f, err := newOCI(t, Limits{}).Fetch(t.Context(), ref, cred, nil)
			if named {
				if err != nil {
					t.Fatal(err)
				}
				readAndClose(t, f)
				if diff := cmp.Diff([]string{"me:pw"}, asked); diff != "" {
					t.Error(diff)
				}
				return
			}
			want := seen{Reason: SourceForbidden, After: repairDelay, Message: ref + " was not fetched: its registry asks for the credentials to be sent to " + tokenHost +
				", which the Secret of spec.source.oci.secretRef does not name: add that host to the Secret if it may have them"}
			if diff := cmp.Diff(want, look(t, err)); diff != "" {
				t.Error(diff)
			}
			if len(asked) != 0 {
				t.Errorf("the token service was sent %q", asked)
			}
		})
	}
}

// The registry chooses where its token service is, as it chooses redirects.
func TestTokenServicesAtPrivateAddressesAreNotAsked(t *testing.T) {
	const private = "REF was not fetched: it leads to the address %s, which is not public: use a public host, or ask for the address to be added to the manager's allow-list"
	for name, tt := range map[string]struct {
		realm string
		want  seen // REF and HOST stand for the registry's
	}{
		"a private address": {"http://10.0.0.1/token", seen{Reason: SourceForbidden, After: repairDelay, Message: fmt.Sprintf(private, "10.0.0.1")}},
		"the cloud's own":   {"http://169.254.169.254/latest/meta-data", seen{Reason: SourceForbidden, After: repairDelay, Message: fmt.Sprintf(private, "169.254.169.254")}},
		"a file": {"file:///etc/passwd", seen{Reason: SourceUnavailable,
			Message: `fetching REF failed: GET "http://HOST/v2/team/app/manifests/1.0": bearer realm "file:///etc/passwd" uses unsupported scheme "file"; it is tried again`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t, manifestOf(zipLayer()))
			s.before = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="x"`, tt.realm))
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			host := s.start(t)
			ref := host + "/team/app:1.0"
			_, err := newOCI(t, Limits{}).Fetch(t.Context(), ref, nil, nil)
			got := look(t, err)
			got.Message = strings.ReplaceAll(strings.ReplaceAll(got.Message, ref, "REF"), host, "HOST")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestATokenServiceThatFailsIsAskedAgain(t *testing.T) {
	tokens := serve(t, status(http.StatusServiceUnavailable, "9"))
	s := newShelf(t, manifestOf(zipLayer()))
	s.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x"`, tokens))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	ref := s.start(t) + "/team/app:1.0"
	_, err := newOCI(t, Limits{}).Fetch(t.Context(), ref, nil, nil)
	want := seen{Reason: SourceUnavailable, After: 9 * time.Second, Asked: true, Message: ref + " answers 503 Service Unavailable and asks to wait; it is tried again after 9s"}
	if diff := cmp.Diff(want, look(t, err)); diff != "" {
		t.Error(diff)
	}
}

func TestLayersAreNotReadFromPrivateAddresses(t *testing.T) {
	s := newShelf(t, manifestOf(zipLayer()))
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, "http://10.0.0.1/layer?signature=secret", http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	ref := s.start(t) + "/team/app:1.0"
	_, err := newOCI(t, Limits{}).Fetch(t.Context(), ref, nil, nil)
	want := seen{Reason: SourceForbidden, After: repairDelay, Message: ref + " was not fetched: it leads to the address 10.0.0.1, which is not public: " +
		"use a public host, or ask for the address to be added to the manager's allow-list"}
	if diff := cmp.Diff(want, look(t, err)); diff != "" {
		t.Error(diff)
	}
}
