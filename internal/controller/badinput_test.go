package controller_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// hexSum is the SHA-256 of b in hexadecimal digits.
func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestABundleThatIsNotAcceptedSaysWhy(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	const todo = "; publish a corrected bundle as a new MiniProgramVersion"
	manifest := `{"app_id":"com.example.other","name":"x","version":{"code":1,"name":"1.0.2"},"icons":[{"src":"i.svg"}],"pages":["pages/a/a"],"platform_version":{"min_code":1}}`
	for version, test := range map[string]struct {
		data []byte
		want string
	}{
		"1.0.0": {
			data: []byte("this is no archive"),
			want: "False ZipStructure: the bundle was not accepted: ZipStructure: the file is not a zip archive: it has no end record and begins with \"this is no archi\"; upload the .zip or .ma file that your build produces",
		},
		"1.0.1": {
			data: zipOf(t, map[string]string{"index.html": "<!doctype html>", "../evil.js": "x"}),
			want: "False NameTraversal: the bundle was not accepted: NameTraversal: the name has the part \"..\"; rename the file so that it is a plain path below the bundle's root (../evil.js)",
		},
		"1.0.2": {
			data: zipOf(t, map[string]string{"manifest.json": manifest, "app.js": "", "app.css": "", "pages/a/a.js": "", "pages/a/a.html": "", "i.svg": "<svg/>"}),
			want: "False AppIDMismatch: the bundle was not accepted: AppIDMismatch: /app_id is \"com.example.other\", but the mini program's app ID is \"" + g.ns + ".app\"; build the bundle for this mini program (manifest.json)",
		},
	} {
		t.Run(version, func(t *testing.T) {
			name := "app-" + version
			g.configMap(t, name, test.data)
			g.version(t, "app", version)
			v := g.awaitVersion(t, name, v1alpha1.ConditionVerified, test.want+todo)
			if got := condition(v.Status.Conditions, v1alpha1.ConditionStalled); got == "" {
				t.Errorf("not stalled: %s", show(v.Status.Conditions))
			}
			if v.Status.Artifact != nil {
				t.Errorf("an artifact was published: %s", show(v.Status.Artifact))
			}
			if v.Status.Summary != strings.SplitN(condition(v.Status.Conditions, v1alpha1.ConditionReady), ": ", 2)[1] {
				t.Errorf("the summary says %q", v.Status.Summary)
			}
		})
	}
}

func TestASourceThatFailsSaysWhyAndHealsByItself(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	good := archive(t, "good")
	var healthy atomic.Bool
	serve := func(bad http.HandlerFunc) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if healthy.Load() {
				_, _ = w.Write(good)
				return
			}
			bad(w, r)
		}))
		t.Cleanup(s.Close)
		return s
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("PK"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	other := []byte("other bytes")
	cases := map[string]struct {
		server *httptest.Server
		sha256 string
		want   string
	}{
		"1.0.0": {server: serve(status(http.StatusNotFound)), want: "False SourceMissing: %s answers 404 Not Found: correct spec.source.http.url or put the bundle there; it is tried again"},
		"1.0.1": {server: serve(status(http.StatusInternalServerError)), want: "False SourceUnavailable: %s answers 500 Internal Server Error; it is tried again"},
		"1.0.2": {server: serve(endless), want: "False SourceUnavailable: fetching %s was given up: nothing arrived for 1s; it is tried again"},
		"1.0.3": {
			server: serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(other) }), sha256: hexSum(good),
			want: "False SourceDigest: the bundle fetched from %s has sha256 " + hexSum(other) + ", but spec.source.http.sha256 says " + hexSum(good) + ": correct the digest or the file",
		},
	}
	for version, test := range cases {
		g.version(t, "app", version, func(v *v1alpha1.MiniProgramVersion) {
			v.Spec.Source = v1alpha1.BundleSource{HTTP: &v1alpha1.HTTPSource{URL: test.server.URL + "/b.zip", SHA256: test.sha256}}
		})
	}
	for version, test := range cases {
		g.awaitVersion(t, "app-"+version, v1alpha1.ConditionReady, fmt.Sprintf(test.want, test.server.URL+"/b.zip"))
	}
	healthy.Store(true)
	for version := range cases {
		g.awaitVersion(t, "app-"+version, v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	}
}

func TestAConfigMapSourceThatIsMissingOrUnreadableSaysWhat(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	g.version(t, "app", "1.0.0")
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady,
		"False SourceMissing: spec.source.configMap names ConfigMap app-1.0.0, which does not exist in namespace "+g.ns+": create it")
	g.configMap(t, "app-1.0.0", archive(t, "x"))
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
}

func TestARegistryThatIsDownOrRefusesUsIsNamedAndHealsByItself(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	ready := "True Succeeded: the artifact is published and checked"
	t.Cleanup(func() { g.refuse.Store(0) })

	g.refuse.Store(http.StatusUnauthorized)
	g.release(t, "app", "1.0.0")
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionPublished, "False RegistryUnauthorized: the registry "+g.registryHost()+
		" asks for credentials (401 Unauthorized), and the manager has none: give it a dockerconfigjson Secret for that host; the push is tried again")
	g.refuse.Store(http.StatusServiceUnavailable)
	g.release(t, "app", "1.0.1")
	g.awaitVersion(t, "app-1.0.1", v1alpha1.ConditionPublished, "False RegistryUnavailable: the registry "+g.registryHost()+
		" cannot answer now (503 Service Unavailable); the push is tried again")
	g.refuse.Store(0)
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, ready)
	g.awaitVersion(t, "app-1.0.1", v1alpha1.ConditionReady, ready)
}

func TestAReviewThatDoesNotCountSaysWhy(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.bind(t, g.danaName, "Role", "review-quality-app")
	g.release(t, "app", "1.0.0")
	pending := g.pending(t, "app-1.0.0", "quality")

	g.must(t, g.decide(t, g.dana, g.danaName, pending, v1alpha1.DecisionApproved, ""))
	g.awaitReview(t, pending.Name, "True ByAuthor: review "+pending.Name+" is by "+g.danaName+", the author of the version: somebody else has to approve")
	other := "sha256:" + strings.Repeat("a", 64)
	foreign := &v1alpha1.Review{}
	foreign.Namespace, foreign.Name = g.ns, "foreign"
	foreign.Spec = v1alpha1.ReviewSpec{
		MiniProgramRef: pending.Spec.MiniProgramRef, VersionRef: pending.Spec.VersionRef, Digest: other,
		Role: "quality", Decision: v1alpha1.DecisionApproved, Reviewer: g.rosaName,
	}
	g.must(t, g.rosa.Create(ctx(t), foreign))
	g.awaitReview(t, "foreign", "True OtherDigest: review foreign approves "+other[:19]+"…, but the version's artifact is "+pending.Spec.Digest[:19]+"…: a changed bundle needs a new approval")

	var v v1alpha1.MiniProgramVersion
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
	if got := condition(v.Status.Conditions, v1alpha1.ConditionApproved); !strings.HasPrefix(got, "False WaitingForApproval: waits for 1 approval of role quality") {
		t.Fatalf("Approved is %s", got)
	}
	// There is a pending one again for whoever may decide.
	g.approve(t, "app-1.0.0")
	approvedMessage(t, g, "app-1.0.0")
}

func (g *group) awaitReview(t testing.TB, name, stalled string) {
	t.Helper()
	var r v1alpha1.Review
	eventually(t, "Review "+name, func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, name), &r))
		if got := condition(r.Status.Conditions, v1alpha1.ConditionStalled); got != stalled {
			return show(r.Status)
		}
		return ""
	})
}

func TestNobodyWithoutTheRightDecides(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	pending := g.pending(t, "app-1.0.0", "quality")
	err := g.decide(t, g.dana, g.danaName, pending, v1alpha1.DecisionApproved, "")
	if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		t.Errorf("the developer's decision: %v", err)
	}
	err = g.decide(t, g.admin, "kubernetes-admin", pending, v1alpha1.DecisionApproved, "")
	if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		t.Errorf("the all-powerful account's decision: %v", err)
	}
}

func TestARolloutOfAVersionThatIsMissingSaysSoAndStartsWhenItIsThere(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.rollout(t, "app", "1.0.0", percent(5), pauseForPerson())
	g.awaitRollout(t, "app", "the missing version is told", func(ro *v1alpha1.Rollout) bool {
		return condition(ro.Status.Conditions, v1alpha1.ConditionReady) ==
			"False VersionMissing: spec.versionRef names MiniProgramVersion app-1.0.0, which does not exist in namespace "+g.ns+": create it, or name another"
	})
	g.release(t, "app", "1.0.0")
	g.approve(t, "app-1.0.0")
	g.awaitRollout(t, "app", "5 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "5%" })
}

func TestAPublishedDocumentThatIsChangedOrDeletedByHandIsMended(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	g.approve(t, "app-1.0.0")
	g.rollout(t, "app", "1.0.0")
	g.awaitRollout(t, "app", "stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Published != nil && ro.Status.Percent == "100%" })
	g.published(t, "app")
	var good corev1.ConfigMap
	g.must(t, g.admin.Get(ctx(t), rolloutMap(g, "app"), &good))
	handedOut := func(cm *corev1.ConfigMap) string {
		data := maps.Clone(cm.Data)
		for _, news := range []string{delivery.KeyWritten, delivery.KeyBasis, delivery.KeyRecord, delivery.KeyBacklog} {
			delete(data, news) // when it was written again, and what the journal is told of that
		}
		return show(data) + show(cm.Labels)
	}

	for what, harm := range map[string]func(cm *corev1.ConfigMap) error{
		"the envelope is changed": func(cm *corev1.ConfigMap) error {
			cm.Data["envelope"] = "{}"
			return g.admin.Update(ctx(t), cm)
		},
		"the sequence is raised": func(cm *corev1.ConfigMap) error {
			cm.Data["sequence"] = "9000000000000000"
			return g.admin.Update(ctx(t), cm)
		},
		"it is deleted": func(cm *corev1.ConfigMap) error { return g.admin.Delete(ctx(t), cm) },
	} {
		t.Run(what, func(t *testing.T) {
			var cm corev1.ConfigMap
			eventually(t, "harm", func() string { // the controller may write at the same moment
				g.must(t, g.admin.Get(ctx(t), rolloutMap(g, "app"), &cm))
				if err := harm(&cm); err != nil {
					return err.Error()
				}
				return ""
			})
			eventually(t, what, func() string {
				if err := g.admin.Get(ctx(t), rolloutMap(g, "app"), &cm); client.IgnoreNotFound(err) != nil {
					t.Fatal(err)
				} else if err != nil {
					return err.Error()
				}
				if handedOut(&cm) != handedOut(&good) {
					return show(cm)
				}
				return ""
			})
		})
	}
}
