package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// answering serves a registry that holds nothing, takes every blob, and gives
// the answer to what goes to a manifest or, with all, to anything.
func answering(t *testing.T, all bool, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case all || (r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/")):
			answer(w, r)
		case r.Method == http.MethodPost:
			w.Header().Set("Location", r.URL.Path+"upload")
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodPut:
			w.WriteHeader(http.StatusCreated)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func refuse(code int, body, after string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func TestAnswersOfTheRegistry(t *testing.T) {
	const unsupported = "the registry HOST refuses the manifest of mini/shop-team/shop (%s): it must take OCI 1.1 artifacts of type application/vnd.miniprogram.package.v1; allow that type there, or use another registry"
	tests := map[string]struct {
		all         bool
		answer      http.HandlerFunc
		reason      string
		want        string // HOST stands for the registry's
		after       time.Duration
		unsupported bool
	}{
		"MANIFEST_INVALID": {
			answer: refuse(http.StatusBadRequest, `{"errors":[{"code":"MANIFEST_INVALID","message":"unknown artifactType"}]}`, ""),
			reason: RegistryUnsupported, unsupported: true,
			want: fmt.Sprintf(unsupported, "400 Bad Request: MANIFEST_INVALID: unknown artifactType"),
		},
		"405": {
			answer: refuse(http.StatusMethodNotAllowed, "", ""),
			reason: RegistryUnsupported, unsupported: true,
			want: fmt.Sprintf(unsupported, "405 Method Not Allowed"),
		},
		"404 on a push": {
			answer: refuse(http.StatusNotFound, `{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}`, ""),
			reason: RegistryRefused,
			want:   "the registry HOST refuses the push to mini/shop-team/shop (404 Not Found: NAME_UNKNOWN: no such repository): make sure that the repository exists and takes pushes; the push is tried again",
		},
		"401": {
			all: true, answer: refuse(http.StatusUnauthorized, "", ""),
			reason: RegistryUnauthorized,
			want:   "the registry HOST asks for credentials (401 Unauthorized), and the manager has none: give it a dockerconfigjson Secret for that host; the push is tried again",
		},
		"401 with a challenge": {
			all: true, answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
			},
			reason: RegistryUnauthorized,
			want:   "the registry HOST asks for credentials (401 Unauthorized), and the manager has none: give it a dockerconfigjson Secret for that host; the push is tried again",
		},
		"403": {
			answer: refuse(http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"no push"}]}`, ""),
			reason: RegistryUnauthorized,
			want:   "the registry HOST asks for credentials (403 Forbidden: DENIED: no push), and the manager has none: give it a dockerconfigjson Secret for that host; the push is tried again",
		},
		"429 with Retry-After": {
			all: true, answer: refuse(http.StatusTooManyRequests, "", "30"),
			reason: RegistryUnavailable, after: 30 * time.Second,
			want: "the registry HOST asks to wait (429 Too Many Requests); the push is tried again after 30s",
		},
		"429": {
			answer: refuse(http.StatusTooManyRequests, "", ""),
			reason: RegistryUnavailable,
			want:   "the registry HOST cannot answer now (429 Too Many Requests); the push is tried again",
		},
		"503": {
			all: true, answer: refuse(http.StatusServiceUnavailable, "", ""),
			reason: RegistryUnavailable,
			want:   "the registry HOST cannot answer now (503 Service Unavailable); the push is tried again",
		},
		"no answer": {
			all: true, answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			reason: RegistryUnavailable,
			want:   "the registry HOST did not finish within 200ms; the push is tried again",
		},
		"something else than a registry": {
			all: true, answer: refuse(http.StatusOK, "hello", ""),
			reason: RegistryUnavailable,
			want:   "what answers at the registry HOST does not keep to the OCI distribution specification: make sure that this is the registry's address; the push is tried again",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := answering(t, tt.all, tt.answer)
			_, err := withTimeout(host, 200*time.Millisecond).Publish(t.Context(), artifact(t))
			wantErr(t, err, tt.reason, strings.ReplaceAll(tt.want, "HOST", host))
			var e *Error
			var u *UnsupportedError
			if errors.As(err, &e) && e.RetryAfter != tt.after {
				t.Errorf("asks to wait %s, want %s", e.RetryAfter, tt.after)
			}
			if errors.As(err, &u) != tt.unsupported {
				t.Errorf("unsupported: got %t", !tt.unsupported)
			}
		})
	}
}

func challenge(scheme string) *registrytest.Fault {
	return &registrytest.Fault{Status: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": {scheme}}}
}

func TestCredentialsAreReadAnewWhenTheyAreRefused(t *testing.T) {
	r := registrytest.Start(t, registrytest.Options{BasicAuth: true})
	host := r.Host()
	file := filepath.Join(t.TempDir(), "config.json")
	c := New(Options{Host: host, Prefix: "mini", PlainHTTP: true, DockerConfig: file})

	_, err := c.Publish(t.Context(), artifact(t))
	wantErr(t, err, RegistryUnauthorized, "the manager's credentials for the registry "+host+" cannot be read: open "+file+": no such file or directory; the push is tried again")

	if err := os.WriteFile(file, []byte(`{secret`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = c.Publish(t.Context(), artifact(t))
	wantErr(t, err, RegistryUnauthorized, "the manager's credentials for the registry "+host+" cannot be read: "+file+" is no Docker configuration in JSON; the push is tried again")

	refused := func(answer string) string {
		return "the registry " + host + " refuses the manager's credentials (401 Unauthorized" + answer + "): put valid ones for that host into the Secret behind " + file + "; the push is tried again"
	}
	writeDockerConfig(t, file, host, registrytest.Username, "wrong")
	_, err = c.Publish(t.Context(), artifact(t))
	wantErr(t, err, RegistryUnauthorized, refused(": UNAUTHORIZED: authentication required"))

	writeDockerConfig(t, file, "elsewhere.example.com", registrytest.Username, registrytest.Password)
	_, err = c.Publish(t.Context(), artifact(t))
	wantErr(t, err, RegistryUnauthorized, refused(""))

	writeDockerConfig(t, file, host, registrytest.Username, registrytest.Password)
	publish(t, c, artifact(t))
}

// What was good may be refused in the middle of a push. The blob is then sent a
// second time, with what the file holds by then.
func TestABlobIsSentAgainWhenItsCredentialsRanOut(t *testing.T) {
	password := "first"
	r := startRegistry(t)
	file := filepath.Join(t.TempDir(), "config.json")
	writeDockerConfig(t, file, r.host, "manager", "first")
	r.breakOn(func(req *http.Request) *registrytest.Fault {
		if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/blobs/") && password == "first" {
			password = "second"
			writeDockerConfig(t, file, r.host, "manager", "second")
		}
		if user, pw, _ := req.BasicAuth(); user == "manager" && pw == password {
			return nil
		}
		return challenge(`Basic realm="registry"`)
	})
	publish(t, New(Options{Host: r.host, Prefix: "mini", PlainHTTP: true, DockerConfig: file}), artifact(t))
	if password != "second" {
		t.Error("the credentials never ran out")
	}
}

func TestTokensThatTheRegistryForgotAreFetchedAnew(t *testing.T) {
	var issued atomic.Int64
	r := startRegistry(t)
	r.breakOn(func(req *http.Request) *registrytest.Fault {
		if req.URL.Path == "/token" {
			if user, pw, _ := req.BasicAuth(); user != "manager" || pw != "pw" {
				return &registrytest.Fault{Status: http.StatusUnauthorized}
			}
			return &registrytest.Fault{Status: http.StatusOK, Body: fmt.Sprintf(`{"token":"token-%d"}`, issued.Add(1))}
		}
		if req.Header.Get("Authorization") == fmt.Sprintf("Bearer token-%d", issued.Load()) {
			return nil
		}
		return challenge(fmt.Sprintf(`Bearer realm="http://%s/token",service="registry"`, r.host))
	})
	file := filepath.Join(t.TempDir(), "config.json")
	writeDockerConfig(t, file, r.host, "manager", "pw")
	c := New(Options{Host: r.host, Prefix: "mini", PlainHTTP: true, DockerConfig: file})
	again := publish(t, c, artifact(t))
	issued.Add(1) // every token so far is void
	again.Adopted = true
	if diff := cmp.Diff(again, publish(t, c, artifact(t))); diff != "" {
		t.Error(diff)
	}
}
