package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// Where a registry sends its clients is told, and nothing of what else is in the address.
func TestARegistryThatSendsItsClientsAstraySaysWhere(t *testing.T) {
	for name, test := range map[string]struct{ realm, want string }{
		"to an address of its machine": {
			"http://169.254.169.254/token?signature=secret",
			"sends its clients for tokens to 169.254.169.254, whose address 169.254.169.254 is none that credentials are sent to: have it name a token service (realm) at a public address or at its own",
		},
		"to no web address": {
			"ftp://registry.example.com/token?signature=secret",
			`sends its clients for tokens to an address with scheme "ftp": have it name its token service (realm) with https`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRegistry(t)
			r.breakOn(func(*http.Request) *registrytest.Fault {
				return challenge(fmt.Sprintf(`Bearer realm=%q,service="registry"`, test.realm))
			})
			file := filepath.Join(t.TempDir(), "config.json")
			writeDockerConfig(t, file, r.host, "manager", "pw")
			c := New(Options{Host: r.host, Prefix: "mini", PlainHTTP: true, DockerConfig: file})
			_, err := c.Publish(t.Context(), artifact(t))
			wantErr(t, err, RegistryUnavailable, "the registry "+r.host+" "+test.want+"; the push is tried again")
		})
	}
}

// These take a registry behind TLS, so the client's words are given.
func TestWhatTheClientRefusesIsTold(t *testing.T) {
	for text, want := range map[string]string{
		`GET "https://r.example.com/v2/": bearer realm "http://r.example.com/token?signature=secret" uses http but registry was contacted over https`: "sends its clients for tokens to r.example.com over http, and is itself spoken to over https: have it name its token service (realm) with https",
		`blob upload Location "r.example.com:443" downgrades scheme from https`:                                                                       "sends uploads to r.example.com:443 over http, and is itself spoken to over https: have it answer with https (relative URLs, or X-Forwarded-Proto from the proxy before it)",
		`bearer realm host "auth.internal" resolves to fd00::1, in blocked prefix fc00::/7`:                                                           "sends its clients for tokens to auth.internal, whose address fd00::1 is none that credentials are sent to: have it name a token service (realm) at a public address or at its own",
		`something else`: "",
	} {
		if got := misdirected(errors.New(text)); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// A registry that sends a byte now and then keeps each single read alive.
func TestAnAnswerThatDripsEndsInTime(t *testing.T) {
	drips := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Content-Length", "100000")
		if r.Method == http.MethodPost { // an upload begins, and does not come to its end
			w.Header().Set("Location", "/upload")
			w.WriteHeader(http.StatusAccepted)
		}
		answer := http.NewResponseController(w)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-r.Context().Done():
				tick.Stop()
				return
			case <-tick.C:
			}
			if _, err := w.Write([]byte(" ")); err != nil || answer.Flush() != nil {
				tick.Stop()
				return
			}
		}
	}))
	t.Cleanup(drips.Close)
	host := strings.TrimPrefix(drips.URL, "http://")
	for name, op := range operations(t) {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			err := op.run(t.Context(), withTimeout(host, 200*time.Millisecond), withFindings(artifact(t), findings))
			e, ok := errors.AsType[*Error](err)
			if !ok || !strings.HasSuffix(e.Message, op.what+" is tried again") {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	t.Run("a blob", func(t *testing.T) {
		while, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer stop()
		body, _, err := clientOf(host).FetchBlob(while, repository, blobOf("x").Digest)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		if _, err := readAll(body); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("reading ended with %v", err)
		}
	})
}
