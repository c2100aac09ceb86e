package controller_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// What asks to wait is asked again when it said, from the first time on: the
// condition tells people so.
func TestWhatAsksToWaitIsAskedAgainWhenItSaid(t *testing.T) {
	c := newCrashes(t)
	data := archive(t, "later")
	c.configMap(t, "bundle", data)
	staged := registrytest.Push(t, c.front, "staging/app", "1.0.0", nil, zipLayer(data))
	c.program(t, "app")
	c.awaitCached(t, "app")
	layer := c.front + "/v2/staging/app/blobs/sha256:" + hexSum(data)
	configMap := v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: "bundle", Key: "bundle.zip"}}
	overHTTP := v1alpha1.BundleSource{HTTP: &v1alpha1.HTTPSource{URL: "http://" + layer}}
	overOCI := v1alpha1.BundleSource{OCI: &v1alpha1.OCISource{Ref: c.front + "/staging/app@" + staged.Digest.String()}}
	const soon = time.Duration(0)                 // by the back-off, which has just begun
	const years = "Sun, 22 Nov 2037 11:00:00 GMT" // at most an hour is granted
	for name, tt := range map[string]struct {
		from   v1alpha1.BundleSource
		path   string // of the requests that are refused
		status int
		header string
		after  time.Duration
		want   string
	}{
		"registry-seconds": {configMap, "/manifests/", http.StatusTooManyRequests, "120", 2 * time.Minute,
			"False RegistryUnavailable: the registry " + c.front + " asks to wait (429 Too Many Requests); the push is tried again after 2m0s"},
		"registry-date": {configMap, "/uploads/", http.StatusServiceUnavailable, years, time.Hour,
			"False RegistryUnavailable: the registry " + c.front + " asks to wait (503 Service Unavailable); the push is tried again after 1h0m0s"},
		"registry-silent": {configMap, "/uploads/", http.StatusTooManyRequests, "", soon,
			"False RegistryUnavailable: the registry " + c.front + " cannot answer now (429 Too Many Requests); the push is tried again"},
		"http-seconds": {overHTTP, "/staging/app/blobs/", http.StatusTooManyRequests, "120", 2 * time.Minute,
			"False SourceUnavailable: http://" + layer + " answers 429 Too Many Requests and asks to wait; it is tried again after 2m0s"},
		"http-date": {overHTTP, "/staging/app/blobs/", http.StatusServiceUnavailable, years, time.Hour,
			"False SourceUnavailable: http://" + layer + " answers 503 Service Unavailable and asks to wait; it is tried again after 1h0m0s"},
		"http-silent": {overHTTP, "/staging/app/blobs/", http.StatusTooManyRequests, "", soon,
			"False SourceUnavailable: http://" + layer + " answers 429 Too Many Requests; it is tried again"},
		"oci-seconds": {overOCI, "/staging/app/manifests/", http.StatusTooManyRequests, "120", 2 * time.Minute,
			"False SourceUnavailable: " + overOCI.OCI.Ref + " answers 429 Too Many Requests and asks to wait; it is tried again after 2m0s"},
		"oci-date": {overOCI, "/staging/app/blobs/", http.StatusTooManyRequests, years, time.Hour,
			"False SourceUnavailable: " + overOCI.OCI.Ref + " answers 429 Too Many Requests and asks to wait; it is tried again after 1h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			c.create(t, publication{kind: "app", version: "1.0.0", from: tt.from}, name)
			line := &lifeline{}
			var busy atomic.Bool
			busy.Store(true)
			line.fault = func(r *http.Request) *registrytest.Fault {
				if !busy.Load() || !strings.Contains(r.URL.Path, tt.path) {
					return nil
				}
				return &registrytest.Fault{Status: tt.status, Header: http.Header{"Retry-After": {tt.header}}}
			}
			p := c.process(t, name, t.TempDir(), line)
			ready := func() string {
				var v v1alpha1.MiniProgramVersion
				c.must(t, c.admin.Get(ctx(t), key(c.ns, name), &v))
				return condition(v.Status.Conditions, v1alpha1.ConditionReady)
			}
			result, err := p.reconciler.Reconcile(ctx(t), ctrl.Request{NamespacedName: p.version})
			c.must(t, err)
			after := result.RequeueAfter
			if after > 0 && after < time.Minute {
				after = soon
			}
			if diff := cmp.Diff([]any{tt.want, tt.after}, []any{ready(), after}); diff != "" {
				t.Error(diff)
			}
			busy.Store(false)
			p.ahead += result.RequeueAfter
			p.live(t)
			if got := ready(); got != published {
				t.Errorf("afterwards it is %s", got)
			}
		})
	}
}
