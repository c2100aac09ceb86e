package controller_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/manifest"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// open asks the manifest service for a path, without any token.
func (g *group) open(t testing.TB, server *httptest.Server, path string) told {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx(t), http.MethodGet, server.URL+path, nil)
	g.must(t, err)
	response, err := server.Client().Do(request)
	g.must(t, err)
	text, err := io.ReadAll(response.Body)
	g.must(t, errors.Join(err, response.Body.Close()))
	return told{response.StatusCode, string(text)}
}

// awaitPreviews waits until the version's previews are as wanted: "state message" of each.
func (g *group) awaitPreviews(t testing.TB, want ...string) {
	t.Helper()
	eventually(t, "previews", func() string {
		var v v1alpha1.MiniProgramVersion
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
		var got []string
		for _, p := range v.Status.Previews {
			got = append(got, strings.TrimSpace(p.State+" "+p.Message))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Sprintf("they are %q, want %q", got, want)
		}
		return ""
	})
}

// askPreview asks as the plugin does, and returns the code.
func (g *group) askPreview(t testing.TB, code, host string, valid time.Duration) (annotation string) {
	t.Helper()
	asked := delivery.PreviewRequest{CodeHash: document.HashPreviewCode(code), HostApp: host, Expires: time.Now().Add(valid)}
	annotation, value := delivery.PreviewAnnotation(&asked)
	change(t, g, g.dana, &v1alpha1.MiniProgramVersion{}, "app-1.0.0", func(v *v1alpha1.MiniProgramVersion) {
		metav1.SetMetaDataAnnotation(&v.ObjectMeta, annotation, value)
	})
	return annotation
}

// awaitPreviewMap waits until the preview of a code has a ConfigMap, or has none.
func (g *group) awaitPreviewMap(t testing.TB, code string, there bool) {
	t.Helper()
	eventually(t, "the preview's ConfigMap", func() string {
		err := g.admin.Get(ctx(t), key(publishedNamespace, delivery.PreviewConfigMap(document.HashPreviewCode(code))), new(corev1.ConfigMap))
		if there == (err == nil) && (err == nil || apierrors.IsNotFound(err)) {
			return ""
		}
		return fmt.Sprintf("it is %v, want there: %t", err, there)
	})
}

// A developer shows a version to somebody before anybody approves it: with the plugin,
// through the manager, to the bytes that the manifest service hands out.
func TestADeveloperLetsSomebodyTryAVersion(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.program(t, "app")
	v := g.release(t, "app", "1.0.0") // which nobody approves
	g.awaitVersion(t, v.Name, v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	server := g.serving(t, func(o *manifest.Options) {
		o.Blobs = registry.New(registry.Options{Host: g.registryHost(), Prefix: "miniprograms", PlainHTTP: true, UserAgent: "test"})
	})
	p := g.plugin(t, "dana-"+g.ns)
	preview := func(want int, says string) string {
		t.Helper()
		code, out, problems := p.run(t, "preview", v.Name, "--host-app", g.host)
		if code != want || !strings.Contains(problems, says) {
			t.Fatalf("exit code %d, %q, want %d, %q", code, problems, want, says)
		}
		return strings.TrimSpace(out)
	}
	preview(1, "host app "+g.host+" does not take channel trial: ask the platform's administrators (HostApp spec.channels)")
	g.awaitPreviews(t) // what was refused is not asked for any more
	g.withToken(t, "release", "trial")

	path := preview(0, "may be tried in host app "+g.host) // dana may not read HostApps, so she is told no more
	if !strings.HasPrefix(path, "/v1/preview/") {
		t.Fatalf("the address is %s", path)
	}
	g.awaitPreviews(t, "Live")
	var answer struct{ Preview document.Preview }
	eventually(t, "it is served", func() string {
		got := g.open(t, server, path)
		if got.Status != http.StatusOK {
			return show(got)
		}
		g.must(t, json.Unmarshal([]byte(got.Body), &answer))
		return ""
	})
	if answer.Preview.AppID != g.ns+".app" || answer.Preview.Version.Version != "1.0.0" || answer.Preview.HostApp != g.host {
		t.Errorf("the preview is %+v", answer.Preview)
	}
	blob := "/v1/blobs/sha256/" + strings.TrimPrefix(answer.Preview.Version.Archive.Digest, "sha256:")
	if got := g.open(t, server, blob); got.Status != http.StatusOK || got.Body != string(archive(t, "app 1.0.0")) {
		t.Errorf("its archive is %d, %d bytes", got.Status, len(got.Body))
	}
	code := strings.TrimPrefix(path, "/v1/preview/")
	var now v1alpha1.MiniProgramVersion
	g.must(t, g.admin.Get(ctx(t), key(g.ns, v.Name), &now))
	if strings.Contains(show(now), code) {
		t.Error("the code stands in the cluster")
	}

	// A block bites in the service; lifting it restores what was.
	gone := func(what string) {
		t.Helper()
		eventually(t, what, func() string {
			if got := g.open(t, server, path); got.Status != http.StatusNotFound || !strings.Contains(got.Body, `"code":"UnknownPreview"`) {
				return show(got)
			}
			return ""
		})
	}
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Blocks = []v1alpha1.Block{{AppID: g.ns + ".app", Reason: "fraud"}} })
	gone("the host app blocks it")
	g.awaitPreviews(t, "Refused host app "+g.host+" blocks it: ask the platform's administrators (HostApp spec.blocks)")
	g.awaitPreviewMap(t, code, false)
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Blocks = nil })
	g.awaitPreviews(t, "Live")
	g.awaitPreviewMap(t, code, true)

	change(t, g, g.dana, &v1alpha1.MiniProgramVersion{}, v.Name, func(v *v1alpha1.MiniProgramVersion) { v.Spec.Availability = v1alpha1.AvailabilityWithdrawn })
	gone("it is withdrawn")
	g.awaitPreviewMap(t, code, false)
}

func TestAPreviewEnds(t *testing.T) {
	const one, two = "AAAAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBBBB"
	g := newGroup(t, "quality")
	g.program(t, "app")
	v := g.release(t, "app", "1.0.0")
	g.withToken(t, "release", "trial")
	code := func(base string) string { return base[:22-6] + g.ns[len(g.ns)-6:] } // hashes are shared by all groups
	first, second := code(one), code(two)
	g.askPreview(t, first, g.host, time.Hour)
	annotation := g.askPreview(t, second, g.host, time.Hour)
	g.awaitPreviews(t, "Live", "Live")
	g.awaitPreviewMap(t, first, true)
	g.awaitPreviewMap(t, second, true)

	// Nobody has another version stand in for it.
	h := newGroup(t, "quality")
	h.program(t, "app")
	h.release(t, "app", "1.0.0")
	h.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) { p.Spec.HostApps = []string{h.host, g.host} })
	h.askPreview(t, second, g.host, time.Hour)
	h.awaitPreviews(t, "Refused another version has a preview under this hash: ask for a new code by kubectl miniprogram preview")

	g.askPreview(t, first, g.host, 3*time.Second) // and then nobody does anything
	g.awaitPreviewMap(t, first, false)
	g.awaitPreviews(t, "Live")
	change(t, g, g.dana, &v1alpha1.MiniProgramVersion{}, v.Name, func(v *v1alpha1.MiniProgramVersion) { delete(v.Annotations, annotation) })
	g.awaitPreviewMap(t, second, false)
	g.awaitPreviews(t)

	g.askPreview(t, first, g.host, time.Hour)
	g.awaitPreviewMap(t, first, true)
	g.must(t, g.admin.Delete(ctx(t), &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: v.Name}}))
	g.awaitPreviewMap(t, first, false)
}
