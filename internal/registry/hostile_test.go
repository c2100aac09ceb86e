package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// blobOfSize is bytes that nothing can leave out.
func blobOfSize(t *testing.T, size int) Blob {
	t.Helper()
	data := make([]byte, size)
	if _, err := rand.NewChaCha8([32]byte{}).Read(data); err != nil {
		t.Fatal(err)
	}
	return Blob{
		Digest: digest.FromBytes(data).String(), Size: int64(size),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

// cutOff is how a connection ends: which of these the client sees first is chance.
var cutOff = regexp.MustCompile(`(net/http: HTTP/1.x transport connection broken: )?(readfrom tcp \S+ )?((read|write) tcp \S+ (read: |write: )?(connection reset by peer|broken pipe|use of closed network connection)|EOF); `)

func TestAnUploadThatIsCutIsSentAgain(t *testing.T) {
	r := startRegistry(t)
	large := func(place string) Artifact {
		a := withFindings(artifact(t), findings)
		a.Repository, a.Archive = place+"/shop-team/shop", blobOfSize(t, 1<<20)
		return a
	}
	want := publish(t, clientOf(r.Host()), large("whole"))
	for _, after := range []int64{1, 4 << 10, 100_000, 1<<20 - 1} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			a := large(fmt.Sprintf("cut-%d", after))
			var cut bool
			r.breakOn(func(req *http.Request) *registrytest.Fault {
				if cut || req.Method != http.MethodPut || req.ContentLength != a.Archive.Size {
					return nil
				}
				cut = true
				return &registrytest.Fault{CutUpload: after}
			})
			_, err := clientOf(r.host).Publish(t.Context(), a)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			got := []string{e.Reason, cutOff.ReplaceAllString(e.Message, "CUT; ")}
			if diff := cmp.Diff([]string{RegistryUnavailable, "the registry " + r.host + " does not answer: CUT; the push is tried again"}, got); diff != "" {
				t.Error(diff)
			}
			if body, _, err := clientOf(r.host).FetchBlob(t.Context(), a.Repository, a.Archive.Digest); !errors.Is(err, ErrNotFound) {
				t.Errorf("the registry took what came for all: %v, %v", body, err)
			}
			again := publish(t, clientOf(r.host), a)
			if diff := cmp.Diff([]string{want.Digest, want.Findings}, []string{again.Digest, again.Findings}); diff != "" {
				t.Error(diff)
			}
			read, _, err := clientOf(r.host).FetchBlob(t.Context(), a.Repository, a.Archive.Digest)
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			if stored, err := digest.FromReader(read); err != nil || stored.String() != a.Archive.Digest {
				t.Errorf("the registry holds %s, %v", stored, err)
			}
		})
	}
}

// tokens is a registry with a token service. All tokens run out at the first request
// of a kind.
type tokens struct {
	host string
	void string

	mu sync.Mutex
	// uploads have begun, so that nobody waits for a token before the bytes come.
	uploads int
	begun   *sync.Cond
	good    int // which token is
	shown   []string
}

func (s *tokens) see(req *http.Request) *registrytest.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.URL.Path == "/token" {
		if user, password, _ := req.BasicAuth(); user != "manager" || password != "pw" {
			return &registrytest.Fault{Status: http.StatusUnauthorized}
		}
		return &registrytest.Fault{Status: http.StatusOK, Body: fmt.Sprintf(`{"token":"token-%d"}`, s.good)}
	}
	kind := req.Method + " " + kindOf(req)
	for kind == "PUT blobs" && s.uploads < 3 {
		s.begun.Wait()
	}
	if kind == s.void && s.good == 0 {
		s.good++
	}
	shown := req.Header.Get("Authorization")
	if kind == s.void {
		s.shown = append(s.shown, shown)
	}
	if shown != fmt.Sprintf("Bearer token-%d", s.good) {
		return challenge(fmt.Sprintf(`Bearer realm="http://%s/token",service="registry"`, s.host))
	}
	if kind == "POST blobs" {
		s.uploads++
		s.begun.Broadcast()
	}
	return nil
}

// A token may run out between any two requests: also between the one that begins an
// upload and the one that has the bytes, which are then sent a second time.
func TestATokenMayRunOutInTheMiddleOfAPush(t *testing.T) {
	r := registrytest.Start(t, registrytest.Options{})
	try := func(t *testing.T, void string) (Published, []string) {
		t.Helper()
		s := &tokens{void: void}
		s.begun = sync.NewCond(&s.mu)
		s.host = registrytest.Faulty(t, r.Host(), s.see)
		file := filepath.Join(t.TempDir(), "config.json")
		writeDockerConfig(t, file, s.host, "manager", "pw")
		a := artifact(t)
		a.Repository = "void-" + strings.ToLower(strings.ReplaceAll(void, " ", "-")) + "/shop-team/shop"
		a.Archive, a.Content = blobOfSize(t, 64<<10), blobOfSize(t, 32<<10)
		return publish(t, New(Options{Host: s.host, Prefix: "mini", PlainHTTP: true, DockerConfig: file}), a), s.shown
	}
	want, _ := try(t, "never")
	for void, times := range map[string]int{
		"HEAD blobs": 3, "POST blobs": 3, "PUT blobs": 3, "PUT manifest": 1, "GET manifest": 1, "PUT tag": 1,
	} {
		t.Run(void, func(t *testing.T) {
			got, shown := try(t, void)
			if got.Digest != want.Digest {
				t.Errorf("published %s, want %s", got.Digest, want.Digest)
			}
			var again int
			for _, token := range shown {
				if token == "Bearer token-1" {
					again++
				}
			}
			if again != times || len(shown) == times { // how many show the old one first is chance
				t.Errorf("shown were %q, want the new token %d times, and the old one or none before", shown, times)
			}
			body, _, err := clientOf(r.Host()).FetchBlob(t.Context(), repositoryOf(got), got.Archive.Digest.String())
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if stored, err := digest.FromReader(body); err != nil || stored != want.Archive.Digest {
				t.Errorf("the registry holds %s, %v", stored, err)
			}
		})
	}
}

// repositoryOf is the name below the prefix.
func repositoryOf(p Published) string {
	_, name, _ := strings.Cut(p.Repository, "/mini/")
	return name
}

// Whatever digest an answer names: what is published is what was to be, or it is an
// error and the tag names nothing else.
func TestARegistryThatNamesAnotherDigestIsNotBelieved(t *testing.T) {
	r := registrytest.Start(t, registrytest.Options{})
	lie := registrytest.Fault{Header: http.Header{"Docker-Content-Digest": {digest.FromString("lie").String()}}}
	op := operations(t)["publish"]
	want := digest.FromString(manifestText(artifact(t))).String()
	total := op.requests(t, r.Host(), "lie-whole")
	for at := int64(1); at <= total; at++ {
		a := op.prepare(t, r.Host(), fmt.Sprintf("lie-%d", at))
		n := &nth{at: at, fault: lie}
		var about string
		host := registrytest.Faulty(t, r.Host(), func(req *http.Request) *registrytest.Fault {
			fault := n.see(req)
			if fault != nil {
				about = req.Method + " " + kindOf(req)
			}
			return fault
		})
		got, err := clientOf(host).Publish(t.Context(), a)
		// Of a blob the registry compares the bytes, and so does whoever reads it; what a
		// tag names is read.
		if noticed := strings.HasPrefix(about, http.MethodPut) && about != "PUT blobs" || about == "GET manifest"; noticed != (err != nil) {
			t.Errorf("a lie about %s: %v", about, err)
		}
		if err != nil {
			wantErr(t, err, RegistryUnavailable, "what answers at the registry "+host+" does not keep to the OCI distribution specification: make sure that this is the registry's address; the push is tried again")
		} else if got.Digest != want {
			t.Errorf("a lie about %s: published %s, want %s", about, got.Digest, want)
		}
		if e, err := clientOf(r.Host()).Resolve(t.Context(), a.Repository, a.Tag); err == nil && e.Digest != want || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("a lie about %s: the tag names %+v, %v", about, e, err)
		}
		if err := op.run(t.Context(), clientOf(host), a); err != nil {
			t.Errorf("after a lie about %s: %v", about, err)
		}
	}
}

// kindOf is what a request is about.
func kindOf(req *http.Request) string {
	parts := strings.Split(req.URL.Path, "/")
	last := parts[len(parts)-1]
	switch {
	case parts[len(parts)-2] != "manifests":
		return "blobs"
	case strings.HasPrefix(last, "sha256:"):
		return "manifest"
	case strings.HasPrefix(last, "sha256-"):
		return "referrers"
	}
	return "tag"
}

// Registries send their clients to a storage service for blobs, which must not get
// what opens the registry: neither on another host, nor on another port of the same.
func TestCredentialsDoNotFollowARedirect(t *testing.T) {
	const text = "compressed content"
	var mu sync.Mutex
	var got []string
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, fmt.Sprintf("%s %s auth=%q", req.Method, req.URL.Path, req.Header.Get("Authorization")))
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		fmt.Fprint(w, text)
	}))
	t.Cleanup(storage.Close)
	for name, base := range map[string]string{
		"another port": storage.URL,
		"another host": strings.Replace(storage.URL, "127.0.0.1", "localhost", 1),
	} {
		for scheme, challenged := range map[string]string{"Basic": `Basic realm="registry"`, "Bearer": ""} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				r := startRegistry(t)
				p := publish(t, clientOf(r.Host()), artifact(t))
				var allowed atomic.Bool
				r.breakOn(func(req *http.Request) *registrytest.Fault {
					switch {
					case req.URL.Path == "/token":
						return &registrytest.Fault{Status: http.StatusOK, Body: `{"token":"secret"}`}
					case req.Header.Get("Authorization") == "":
						if challenged == "" {
							return challenge(fmt.Sprintf(`Bearer realm="http://%s/token",service="registry"`, r.host))
						}
						return challenge(challenged)
					}
					allowed.Store(true)
					return &registrytest.Fault{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {base + "/signed?signature=x"}}}
				})
				file := filepath.Join(t.TempDir(), "config.json")
				writeDockerConfig(t, file, r.host, "manager", "pw")
				c := New(Options{Host: r.host, Prefix: "mini", PlainHTTP: true, DockerConfig: file})
				got = nil
				body, _, err := c.FetchBlob(t.Context(), repository, p.Content.Digest.String())
				if err != nil {
					t.Fatal(err)
				}
				defer body.Close()
				if read, err := io.ReadAll(body); err != nil || string(read) != text {
					t.Errorf("read %q, %v", read, err)
				}
				if diff := cmp.Diff([]string{`GET /signed auth=""`}, got); diff != "" || !allowed.Load() {
					t.Errorf("the registry was given credentials: %v; the storage service got %s", allowed.Load(), diff)
				}
			})
		}
	}
}

// The answer to the request that begins an upload names where the bytes go.
func TestAnUploadDoesNotGoToAnotherHost(t *testing.T) {
	var reached atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(elsewhere.Close)
	r := startRegistry(t)
	r.breakOn(func(req *http.Request) *registrytest.Fault {
		if req.Method != http.MethodPost {
			return nil
		}
		return &registrytest.Fault{Status: http.StatusAccepted, Header: http.Header{"Location": {elsewhere.URL + "/upload"}}}
	})
	_, err := clientOf(r.host).Publish(t.Context(), artifact(t))
	wantErr(t, err, RegistryUnavailable, "the registry "+r.host+" sends uploads to another host, "+strings.TrimPrefix(elsewhere.URL, "http://")+
		", and neither credentials nor bundles are sent there: have it answer with its own address (its setting of an external host, or relative URLs); the push is tried again")
	if n := reached.Load(); n > 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
	r.breakOn(nil)
	publish(t, clientOf(r.host), artifact(t))
}
