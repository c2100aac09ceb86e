package controller_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/manifest"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
)

// file asks the run host.
func (g *group) file(t testing.TB, server *httptest.Server, path string) told {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx(t), http.MethodGet, server.URL+path, nil)
	g.must(t, err)
	request.Host = "run.example.net"
	response, err := server.Client().Do(request)
	g.must(t, err)
	text, err := io.ReadAll(response.Body)
	g.must(t, errors.Join(err, response.Body.Close()))
	return told{response.StatusCode, string(text)}
}

// From the developer's archive to the file that a browser loads: packed and pushed by
// the manager, unpacked by the manifest service.
func TestSingleFilesAreForHostAppsThatOptedIn(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	server := g.serving(t, func(o *manifest.Options) {
		o.RunURL = "https://run.example.net"
		o.Blobs = registry.New(registry.Options{Host: g.registryHost(), Prefix: "miniprograms", PlainHTTP: true, UserAgent: "test"})
	})
	index := "/r/" + g.ns + ".app/" + strings.TrimPrefix(g.published(t, "app").Stable.Digest, "sha256:") + "/"
	runURL := func(want string) {
		t.Helper()
		eventually(t, "status.runURL", func() string {
			var h v1alpha1.HostApp
			g.must(t, g.admin.Get(ctx(t), key("", g.host), &h))
			if h.Status.ObservedGeneration != h.Generation || h.Status.RunURL != want {
				return "it is " + h.Status.RunURL + ", want " + want
			}
			return ""
		})
	}
	// until waits for the status, and returns how long it took.
	until := func(status int, text string) time.Duration {
		t.Helper()
		began := time.Now()
		for {
			got := g.file(t, server, index)
			if got.Status == status && strings.Contains(got.Body, text) {
				return time.Since(began)
			}
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%s is %s, want %d", index, show(got), status)
			}
			<-time.After(time.Millisecond)
		}
	}
	const none = `"code":"UnknownFile"`
	runURL("")
	until(http.StatusNotFound, none)

	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Dialects = []string{v1alpha1.DialectSigned, v1alpha1.DialectFiles} })
	runURL("https://run.example.net")
	until(http.StatusOK, "app 1.0.0")

	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Blocks = []v1alpha1.Block{{AppID: g.ns + ".app", Reason: "fraud"}} })
	t.Logf("a block took %s", until(http.StatusNotFound, none))
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Blocks = nil })
	until(http.StatusOK, "app 1.0.0")

	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Dialects = []string{v1alpha1.DialectSigned} })
	runURL("")
	until(http.StatusNotFound, none)
}
