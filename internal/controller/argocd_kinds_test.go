package controller_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/argocdtest"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// awaitShown waits until Argo CD shows a message of the object that begins so, and
// returns what it shows.
func (a *argoCD) awaitShown(t *testing.T, kind, name, begins string) argocdtest.Health {
	t.Helper()
	var shown *argocdtest.Health
	eventually(t, kind+" "+name+" says "+begins, func() string {
		var err error
		shown, err = a.customizations.Health(a.anonymous(t, a.live(t, kind, name)))
		a.must(t, err)
		if strings.HasPrefix(shown.Message, begins) {
			return ""
		}
		return show(shown)
	})
	return *shown
}

// settles waits until Argo CD shows a status and a message of the object, and
// compares both with the stored object.
func (a *argoCD) settles(t *testing.T, kind, name, file, status, begins string) {
	t.Helper()
	shown := a.awaitShown(t, kind, name, begins)
	if shown.Status != status {
		t.Errorf("%s %s is %s, want %s: %s", kind, name, shown.Status, status, shown.Message)
	}
	a.shows(t, kind, name, file, shown)
}

func TestADecisionInArgoCDIsThatOfItsAccount(t *testing.T) {
	g := newGroup(t, "quality")
	a := newArgoCD(t, g)
	g.program(t, "app")
	a.settles(t, "MiniProgram", "app", "healthy_nothingReleased", "Healthy", "nothing is released yet")
	g.release(t, "app", "1.0.0")
	a.settles(t, "MiniProgramVersion", "app-1.0.0", "healthy_waitsForReview", "Healthy",
		"waits for 1 approval of role quality (needs approve on miniprograms/review-quality)")
	review := g.pending(t, "app-1.0.0", "quality").Name
	a.settles(t, "Review", review, "progressing_pending", "Progressing", "waits for a reviewer of role quality")

	server := account(argoServer)
	refused(t, a.click(t, a.server, "Review", review, "approve", nil),
		"spec.decision: "+server+" may not decide in role quality for mini program app: ask for a Role in namespace "+g.ns)
	g.letApprove(t, server, "quality", "app")
	g.must(t, a.click(t, a.server, "Review", review, "approve", map[string]string{"comment": "Looked at on a device."}))
	a.settles(t, "Review", review, "healthy_approved", "Healthy", "Approved by "+server+" counts")
	a.settles(t, "MiniProgramVersion", "app-1.0.0", "healthy_approved", "Healthy", "has 1 of 1 approvals")
	refused(t, a.click(t, a.server, "Review", review, "reject", map[string]string{"comment": "no"}), "this Review was decided already (Approved), and stays so")

	g.release(t, "app", "1.1.0")
	other := g.pending(t, "app-1.1.0", "quality").Name
	refused(t, a.click(t, a.server, "Review", other, "reject", map[string]string{"comment": ""}), "write in the parameter comment why: it is what the author reads")
	g.must(t, a.click(t, a.server, "Review", other, "reject", map[string]string{"comment": "The camera is asked for at start."}))
	a.settles(t, "Review", other, "healthy_rejected", "Healthy", "rejected by "+server+": The camera is asked for at start.")
	a.settles(t, "MiniProgramVersion", "app-1.1.0", "healthy_rejected", "Healthy", "rejected by "+server)
	// What lifts it is a pending Review that names it, and takes the label.
	lift := g.pending(t, "app-1.1.0", "quality")
	if lift.Spec.Supersedes != other {
		t.Fatalf("the pending Review is %s", show(lift))
	}
	a.settles(t, "Review", lift.Name, "progressing_lifts", "Progressing", "waits for "+server)
	g.must(t, a.click(t, a.server, "Review", lift.Name, "approve", nil))
	a.awaitShown(t, "MiniProgramVersion", "app-1.1.0", "has 1 of 1 approvals")

	// Two roles that one account decides are the word of one reviewer.
	g.letApprove(t, g.rosaName, "privacy", "app")
	g.letApprove(t, server, "privacy", "app")
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) { s.Approvals[0].Count = 2 })
	a.awaitShown(t, "MiniProgramVersion", "app-1.0.0", "waits for 1 approval of role quality")
	again := g.pending(t, "app-1.0.0", "quality").Name
	g.must(t, a.click(t, a.server, "Review", again, "approve", nil))
	a.settles(t, "Review", again, "degraded_sameReviewer", "Degraded", "review app-1.0.0-quality-2-5ca1ab1e and review app-1.0.0-quality-1-5ca1ab1e are both by "+server)
	a.awaitShown(t, "MiniProgramVersion", "app-1.0.0", "waits for 1 approval of role quality")
}

func TestEmergenciesInArgoCD(t *testing.T) {
	g := newGroup(t, "quality")
	a := newArgoCD(t, g)
	g.underWay(t)
	a.settles(t, "MiniProgram", "app", "healthy_released", "Healthy", "released to wallet; 1.1.0 is under way (Rollout app)")
	refused(t, a.click(t, a.bare, "MiniProgramVersion", "app-1.1.0", "withdraw", nil), account(argoBare)+" may not withdraw: ask for verb withdraw on miniprogramversions")
	g.must(t, a.click(t, a.server, "MiniProgramVersion", "app-1.1.0", "withdraw", nil))
	g.awaitAbort(t)
	a.settles(t, "MiniProgramVersion", "app-1.1.0", "healthy_withdrawn", "Healthy", "withdrawn: it is never served again")

	available := func(want document.Availability) {
		t.Helper()
		eventually(t, "availability "+string(want), func() string {
			if doc := g.published(t, "app"); doc.Availability != want {
				return show(doc)
			}
			return ""
		})
	}
	refused(t, a.click(t, a.server, "MiniProgram", "app", "resume", nil), "no action has suspended the mini program: there is nothing to resume")
	refused(t, a.click(t, a.bare, "MiniProgram", "app", "suspend", nil), account(argoBare)+" may not suspend: ask for verb suspend on miniprograms")
	g.must(t, a.click(t, a.server, "MiniProgram", "app", "suspend", nil))
	available(document.Suspended)
	a.settles(t, "MiniProgram", "app", "healthy_suspended", "Healthy", "suspended: no host app hands it out")
	g.must(t, a.click(t, a.server, "MiniProgram", "app", "resume", nil))
	available(document.Listed)
}

func TestWhatArgoCDShowsOfWhatDoesNotGoOn(t *testing.T) {
	g := newGroup(t, "quality")
	a := newArgoCD(t, g)
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.configMap(t, "app-1.0.0", []byte("this is no archive"))
	g.version(t, "app", "1.0.0")
	a.settles(t, "MiniProgramVersion", "app-1.0.0", "degraded_notAccepted", "Degraded", "the bundle was not accepted")
	g.version(t, "app", "1.1.0")
	a.settles(t, "MiniProgramVersion", "app-1.1.0", "degraded_sourceMissing", "Degraded", "spec.source.configMap")
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(away.Close)
	g.version(t, "app", "1.3.0", func(v *v1alpha1.MiniProgramVersion) {
		v.Spec.Source = v1alpha1.BundleSource{HTTP: &v1alpha1.HTTPSource{URL: away.URL + "/b.zip"}}
	})
	a.settles(t, "MiniProgramVersion", "app-1.3.0", "progressing_sourceUnavailable", "Progressing", "http://registry.example.com/b.zip answers 503")
	g.version(t, "app", "1.2.0", func(v *v1alpha1.MiniProgramVersion) { v.Spec.Availability = v1alpha1.AvailabilityWithdrawn })
	g.awaitVersion(t, "app-1.2.0", v1alpha1.ConditionStalled, "True Withdrawn: the version was withdrawn before it was packaged; create another version")
	a.settles(t, "MiniProgramVersion", "app-1.2.0", "healthy_withdrawnBeforePackaging", "Healthy", "withdrawn: it is never served again")
	g.say(t, "early", "app-9.9.9", "sha256:"+strings.Repeat("1", 64), v1alpha1.DecisionApproved, "")
	a.settles(t, "Review", "early", "degraded_versionMissing", "Degraded", "spec.versionRef names MiniProgramVersion app-9.9.9, which does not exist")
	g.must(t, g.dana.Create(ctx(t), &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "thief"},
		Spec:       v1alpha1.MiniProgramSpec{AppID: g.ns + ".app", DisplayName: "thief", HostApps: []string{g.host}, Kind: "WebApp"},
	}))
	a.settles(t, "MiniProgram", "thief", "degraded_appIDTaken", "Degraded", "spec.appID shop-team.app is held by another MiniProgram")
	change(t, g, g.olu, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.Availability = v1alpha1.AvailabilitySuspended })
	adam, name := g.adam(t)
	change(t, g, adam, &v1alpha1.MiniProgram{}, "thief", func(p *v1alpha1.MiniProgram) {
		p.Annotations = map[string]string{v1alpha1.ActionAnnotation: "transfer@1", v1alpha1.ActionByAnnotation: name}
	})
	a.settles(t, "MiniProgram", "thief", "degraded_transferSuspended", "Degraded", "app ID shop-team.app is suspended, and a transfer does not end that")
}

func TestWhatArgoCDShowsOfThePlatform(t *testing.T) {
	g := newGroup(t, "quality")
	a := newArgoCD(t, g)
	a.settles(t, "HostApp", g.host, "healthy_active", "Healthy", "the manifest service answers this host app")
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Availability = v1alpha1.HostAppDisabled })
	a.settles(t, "HostApp", g.host, "healthy_disabled", "Healthy", "the host app is disabled")
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.Availability = v1alpha1.HostAppActive
		h.Spec.Access = &v1alpha1.HostAccess{Type: v1alpha1.AccessToken, SecretRef: &v1alpha1.AccessSecretReference{Name: "wallet-tokens"}}
	})
	a.settles(t, "HostApp", g.host, "degraded_tokensMissing", "Degraded", "Secret miniprogram-system/wallet-tokens may not be read")
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Access, h.Spec.NamespaceSelector = nil, brokenSelector() })
	a.settles(t, "HostApp", g.host, "degraded_selectorInvalid", "Degraded", "HostApp wallet: spec.namespaceSelector cannot be read")

	eventually(t, "the gate is open", func() string {
		shown := a.awaitShown(t, "ReviewPolicy", g.ns, "")
		if shown != healthy("the policy is applied") {
			return show(shown)
		}
		return ""
	})
	a.settles(t, "ReviewPolicy", g.ns, "healthy_applied", "Healthy", "the policy is applied")
	// It only warns from now on, so that it holds back nothing of other tests.
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) {
		s.Enforcement, s.NamespaceSelector = v1alpha1.Warn, brokenSelector()
	})
	a.settles(t, "ReviewPolicy", g.ns, "degraded_selectorInvalid", "Degraded", "ReviewPolicy shop-team: reading spec.namespaceSelector")
}
