package registrytest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

const artifactType = "application/vnd.example.test"

func TestTheRegistryKeepsItsDataOverARestart(t *testing.T) {
	r := registrytest.Start(t, registrytest.Options{})
	repo := repository(t, r.Host())
	want := push(t, repo, "v1", nil)
	host := r.Host()

	must(t, r.Stop())
	must(t, r.Stop())
	if _, err := repo.Resolve(t.Context(), "v1"); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("resolving at a stopped registry: %v", err)
	}
	must(t, r.Restart())
	if r.Host() != host {
		t.Errorf("the address changed from %s to %s", host, r.Host())
	}
	got, err := repo.Resolve(t.Context(), "v1")
	must(t, err)
	if diff := cmp.Diff(want.Digest, got.Digest); diff != "" {
		t.Errorf("the tag after the restart (-want +got):\n%s", diff)
	}

	must(t, repo.Delete(t.Context(), want))
	if ok, err := repo.Exists(t.Context(), want); ok || err != nil {
		t.Errorf("after its deletion the artifact exists: %v, %v", ok, err)
	}
}

func TestARestartDoesNotMoveToAnotherAddress(t *testing.T) {
	r := registrytest.Start(t, registrytest.Options{})
	must(t, r.Stop())
	squatter := &http.Server{Addr: r.Host(), ReadHeaderTimeout: time.Second}
	listening := make(chan error)
	go func() { listening <- squatter.ListenAndServe() }()
	await(t, func() bool { _, err := http.Get("http://" + r.Host()); return err == nil })

	err := r.Restart()
	if err == nil || !strings.HasPrefix(err.Error(), "restarting the registry: somebody took its address ") {
		t.Errorf("got %v", err)
	}
	must(t, squatter.Close())
	if err := <-listening; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	must(t, r.Restart())
	push(t, repository(t, r.Host()), "v1", nil)
}

func TestBasicAuthLetsOnlyItsUserIn(t *testing.T) {
	r := registrytest.Start(t, registrytest.Options{BasicAuth: true})

	for name, test := range map[string]struct {
		user, password string
		want           int
	}{
		"nobody":         {want: http.StatusUnauthorized},
		"wrong password": {user: registrytest.Username, password: "wrong", want: http.StatusUnauthorized},
		"wrong user":     {user: "somebody", password: registrytest.Password, want: http.StatusUnauthorized},
		"the user":       {user: registrytest.Username, password: registrytest.Password, want: http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Host()+"/v2/", nil)
			must(t, err)
			if test.user != "" {
				request.SetBasicAuth(test.user, test.password)
			}
			response, _, err := roundTrip(http.DefaultClient, request)
			must(t, err)
			if response.StatusCode != test.want {
				t.Errorf("got %s, want %d", response.Status, test.want)
			}
		})
	}
}

func TestOnlyOneRegistryHasTheReferrersAPI(t *testing.T) {
	for name, test := range map[string]struct {
		registry *registrytest.Registry
		want     int
	}{
		"distribution": {registrytest.Start(t, registrytest.Options{}), http.StatusNotFound},
		"referrers":    {registrytest.StartReferrers(t), http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			repo := repository(t, test.registry.Host())
			subject := push(t, repo, "v1", nil)
			want := push(t, repo, "v1-notes", &subject)

			response, err := http.Get("http://" + test.registry.Host() + "/v2/test/referrers/" + subject.Digest.String())
			must(t, err)
			must(t, response.Body.Close())
			if response.StatusCode != test.want {
				t.Errorf("the referrers API answers %s, want %d", response.Status, test.want)
			}
			// Without the API the client falls back to a tag; both find the artifact.
			var got []string
			must(t, repo.Referrers(t.Context(), subject, "", func(found []ocispec.Descriptor) error {
				for _, d := range found {
					got = append(got, d.Digest.String())
				}
				return nil
			}))
			if diff := cmp.Diff([]string{want.Digest.String()}, got); diff != "" {
				t.Errorf("referrers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARegistryThatCannotBeRunSaysWhy(t *testing.T) {
	for name, test := range map[string]struct {
		options registrytest.Options
		want    string
	}{
		"no folder":            {registrytest.Options{}, "starting a registry: no folder given for its data"},
		"users with referrers": {registrytest.Options{Dir: "x", Referrers: true, BasicAuth: true}, "starting a registry: the one with the referrers API knows no users"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := registrytest.Run(t.Context(), test.options); err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	t.Run("not built", func(t *testing.T) {
		// Not below the repository, so that it cannot be found.
		t.Chdir(os.TempDir())
		_, err := registrytest.Run(t.Context(), registrytest.Options{Dir: t.TempDir()})
		if err == nil || !strings.HasPrefix(err.Error(), "starting a registry: finding the repository: ") {
			t.Errorf("got %v", err)
		}
	})
}

func TestFaultsHitTheRequestsThatTheyAreFor(t *testing.T) {
	upstream := registrytest.StartReferrers(t)
	direct := repository(t, upstream.Host())
	artifact := push(t, direct, "v1", nil)
	// No retries: the faults are to be seen as they are.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	for name, test := range map[string]struct {
		fault registrytest.Fault
		want  func(*http.Response, []byte, error) bool
	}{
		"a status": {
			registrytest.Fault{Status: 429, Header: http.Header{"Retry-After": {"7"}}, Body: "slow down"},
			func(r *http.Response, body []byte, err error) bool {
				return err == nil && r.StatusCode == 429 && r.Header.Get("Retry-After") == "7" && string(body) == "slow down"
			},
		},
		"a dropped connection": {
			registrytest.Fault{Drop: true},
			func(r *http.Response, _ []byte, err error) bool { return r == nil && errors.Is(err, io.EOF) },
		},
		"a dropped answer": {
			registrytest.Fault{DropAnswer: true},
			func(r *http.Response, _ []byte, err error) bool { return r == nil && errors.Is(err, io.EOF) },
		},
		"an answer that never comes": {
			registrytest.Fault{Hang: true},
			func(r *http.Response, _ []byte, err error) bool {
				return r == nil && errors.Is(err, context.DeadlineExceeded)
			},
		},
		"an answer with another header": {
			registrytest.Fault{Header: http.Header{"Docker-Content-Digest": {"sha256:lie"}}},
			func(r *http.Response, body []byte, err error) bool {
				return err == nil && r.StatusCode == 200 && r.Header.Get("Docker-Content-Digest") == "sha256:lie" && len(body) == int(artifact.Size)
			},
		},
		"half an answer": {
			registrytest.Fault{CutAfter: 10},
			func(r *http.Response, body []byte, err error) bool {
				return r != nil && r.StatusCode == 200 && len(body) == 10 && errors.Is(err, io.ErrUnexpectedEOF)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var faults atomic.Int32
			proxy := registrytest.Faulty(t, upstream.Host(), func(r *http.Request) *registrytest.Fault {
				if strings.Contains(r.URL.Path, "/manifests/") && faults.Add(1) == 1 {
					return &test.fault
				}
				return nil
			})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+proxy+"/v2/test/manifests/v1", nil)
			must(t, err)
			response, body, err := roundTrip(client, request)
			if !test.want(response, body, err) {
				t.Errorf("got %v, %q, %v", response, body, err)
			}

			got, err := repository(t, proxy).Resolve(t.Context(), "v1")
			must(t, err)
			if got.Digest != artifact.Digest {
				t.Errorf("the second request got %s, want %s", got.Digest, artifact.Digest)
			}
		})
	}
}

// The upstream waits for the rest of a body, and must not take what came for all.
func TestAnUploadIsCutOnItsWay(t *testing.T) {
	var got []byte
	var cut error
	done := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		defer close(done)
		got, cut = io.ReadAll(r.Body)
	}))
	defer upstream.Close()
	proxy := registrytest.Faulty(t, strings.TrimPrefix(upstream.URL, "http://"), func(*http.Request) *registrytest.Fault {
		return &registrytest.Fault{CutUpload: 100_000}
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+proxy, strings.NewReader(strings.Repeat("x", 1_000_000)))
	must(t, err)
	response, _, err := roundTrip(http.DefaultClient, request)
	<-done
	if response != nil || err == nil {
		t.Errorf("the client got %v, %v", response, err)
	}
	if len(got) == 0 || len(got) > 100_000 || !errors.Is(cut, io.ErrUnexpectedEOF) {
		t.Errorf("the upstream got %d bytes, %v", len(got), cut)
	}
}

func TestAWholePushGoesThroughTheProxy(t *testing.T) {
	upstream := registrytest.Start(t, registrytest.Options{})
	var dropped atomic.Int32
	proxy := registrytest.Faulty(t, upstream.Host(), func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/v2") {
			dropped.Add(1)
			return &registrytest.Fault{DropAnswer: true}
		}
		return nil
	})
	repo := repository(t, proxy)
	repo.Client = http.DefaultClient // does not try again
	push(t, repo, "v1", nil)

	_, err := oras.Tag(t.Context(), repo, "v1", "v2")
	if err == nil || dropped.Load() != 1 {
		t.Errorf("tagging ended with %v after %d dropped answers", err, dropped.Load())
	}
	// The registry did what the client could not see.
	if _, err := repository(t, upstream.Host()).Resolve(t.Context(), "v2"); err != nil {
		t.Error(err)
	}
}

func repository(t *testing.T, host string) *remote.Repository {
	t.Helper()
	repo, err := remote.NewRepository(host + "/test")
	must(t, err)
	repo.PlainHTTP = true
	return repo
}

// push pushes a small artifact, which may be about another one.
func push(t *testing.T, repo *remote.Repository, tag string, subject *ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	layer, err := oras.PushBytes(t.Context(), repo, "text/plain", []byte("content of "+tag))
	must(t, err)
	manifest, err := oras.PackManifest(t.Context(), repo, oras.PackManifestVersion1_1, artifactType,
		oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}, Subject: subject})
	must(t, err)
	must(t, repo.Tag(t.Context(), manifest, tag))
	got, err := content.FetchAll(t.Context(), repo, layer)
	must(t, err)
	if want := "content of " + tag; string(got) != want {
		t.Fatalf("the layer reads %q, want %q", got, want)
	}
	return manifest
}

func roundTrip(client *http.Client, request *http.Request) (*http.Response, []byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	return response, body, errors.Join(err, response.Body.Close())
}

func await(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("waited in vain")
		case <-tick.C:
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
