package controller_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
)

const (
	tenantLabel = "platform.example.com/tenant"
	classLabel  = "policy.miniprogram.dev/class"
)

// platform is two policies, two host apps and three developer groups, made as the
// documents say and with the roles that are shipped.
//
//	first   host app wallet            policy all
//	second  host apps wallet and maps  policies all and payments, by its namespace and a label of its program
//	third   host app maps              policy all; its program has no such label
type platform struct {
	*world
	adam                 client.Client
	adamName             string
	wallet, maps         string
	all, payments        *v1alpha1.ReviewPolicy
	first, second, third *group
}

func newPlatform(t testing.TB) *platform {
	t.Helper()
	w := theWorldFor(t)
	p := &platform{world: w}
	p.first, p.second, p.third = p.onboard(t, "first"), p.onboard(t, "second"), p.onboard(t, "third")
	p.adamName = "adam-" + p.first.ns
	p.first.bindEverywhere(t, p.adamName, "miniprogram-admin")
	p.adam = w.as(t, p.adamName)
	p.wallet, p.maps = "wallet-"+p.first.ns, "maps-"+p.first.ns
	p.policies(t)
	p.hostApp(t, p.wallet, p.first.ns, p.second.ns)
	p.hostApp(t, p.maps, p.second.ns, p.third.ns)
	p.reviewers(t)
	return p
}

// onboard applies what docs/tenancy.md says for a new group.
func (p *platform) onboard(t testing.TB, name string) *group {
	t.Helper()
	g := &group{world: p.world, ns: p.cp.Namespace(t)}
	dir := t.TempDir()
	components, err := filepath.Rel(dir, filepath.Join(repositoryRoot(t), "config", "components"))
	p.must(t, err)
	for file, text := range map[string]string{
		"kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [group.yaml]\n" +
			"components: [" + components + "/group]\npatches:\n- target: {kind: Namespace}\n" +
			"  patch: '[{\"op\": \"add\", \"path\": \"/metadata/labels/platform.example.com~1tenant\", \"value\": \"" + g.ns + "\"}]'\n",
		"group.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: group, namespace: " + g.ns + ", annotations: {config.kubernetes.io/local-config: \"true\"}}\n" +
			fmt.Sprintf("data: {appIDPrefixes: %[1]s., developers: %[1]s-developers, operators: %[1]s-operators, viewers: %[1]s-viewers}\n", g.ns),
	} {
		p.must(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	p.must(t, controlplane.Apply(ctx(t), p.cp.Admin(), dir))
	g.danaName, g.rosaName = "dana-"+g.ns, "rosa-"+g.ns
	g.dana = p.client(t, fast(p.cp.User(g.danaName, g.ns+"-developers", g.ns+"-viewers")))
	g.olu = p.client(t, p.cp.User("olu-"+g.ns, g.ns+"-operators"))
	g.rosa, g.piet = p.as(t, g.rosaName), p.as(t, g.pietName())
	eventually(t, "the rights of group "+name, func() string {
		may := &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "may"}, Spec: v1alpha1.MiniProgramSpec{
			AppID: g.ns + ".may", DisplayName: "may", HostApps: []string{"any"}, Kind: "WebApp",
		}}
		return forbiddenText(errors.Join(g.dana.Create(ctx(t), may, client.DryRunAll), g.olu.List(ctx(t), &v1alpha1.RolloutList{}, client.InNamespace(g.ns))))
	})
	return g
}

func forbiddenText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// policies are the platform's: one covers all, one what pays in the second and the third group.
func (p *platform) policies(t testing.TB) {
	t.Helper()
	p.all = &v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: "all-" + p.first.ns}, Spec: v1alpha1.ReviewPolicySpec{
		Enforcement: v1alpha1.Enforce,
		Quality:     &v1alpha1.QualityRules{ForbiddenText: []v1alpha1.ForbiddenText{{Pattern: "debugger", Message: "take it out"}}},
		Approvals:   []v1alpha1.ApprovalRule{{Role: "quality"}},
	}}
	p.payments = &v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: "payments-" + p.first.ns}, Spec: v1alpha1.ReviewPolicySpec{
		NamespaceSelector:   tenants(p.second.ns, p.third.ns),
		MiniProgramSelector: &metav1.LabelSelector{MatchLabels: map[string]string{classLabel: "payments"}},
		Enforcement:         v1alpha1.Enforce,
		Privacy:             &v1alpha1.PrivacyRules{UsedPermissions: v1alpha1.Required, PermissionReason: v1alpha1.Required},
		Approvals:           []v1alpha1.ApprovalRule{{Role: "privacy", HostApps: []string{p.wallet, p.maps}}},
	}}
	for _, one := range []*v1alpha1.ReviewPolicy{p.all, p.payments} {
		p.must(t, p.adam.Create(ctx(t), one))
		t.Cleanup(func() {
			p.must(t, p.admin.Delete(ctx(t), one))
			eventually(t, "the manager knows that policy "+one.Name+" is gone", func() string { // it would cover what other tests make
				if err := p.shared.Client.Get(ctx(t), client.ObjectKeyFromObject(one), &v1alpha1.ReviewPolicy{}); !apierrors.IsNotFound(err) {
					return fmt.Sprint("reading it: ", err)
				}
				return ""
			})
		})
	}
}

func tenants(namespaces ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: tenantLabel, Operator: metav1.LabelSelectorOpIn, Values: namespaces}}}
}

func (p *platform) hostApp(t testing.TB, name string, namespaces ...string) {
	t.Helper()
	p.must(t, p.adam.Create(ctx(t), &v1alpha1.HostApp{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.HostAppSpec{
		DisplayName: name, NamespaceSelector: tenants(namespaces...), Dialects: []string{v1alpha1.DialectSigned, v1alpha1.DialectResolve},
	}}))
}

// reviewers: rosa of each group judges quality; piet of the second judges privacy for
// the wallet, and paula for the maps.
func (p *platform) reviewers(t testing.TB) {
	t.Helper()
	for _, g := range []*group{p.first, p.second, p.third} {
		g.letApprove(t, g.rosaName, "quality", "app")
	}
	p.second.letApprove(t, p.second.pietName(), "privacy", "app")
	p.second.bind(t, p.paulaName(), "Role", "review-privacy-app")
	for user, host := range map[string]string{p.second.pietName(): p.wallet, p.paulaName(): p.maps} {
		role := "review-privacy-" + host
		p.must(t, p.admin.Create(ctx(t), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: role}, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"hostapps/review-privacy"}, ResourceNames: []string{host}, Verbs: []string{"approve"},
		}}}))
		p.second.bindEverywhere(t, user, role)
	}
}

func (p *platform) paulaName() string { return "paula-" + p.second.ns }

// enter creates the program of a group, for both host apps.
func (p *platform) enter(t testing.TB, g *group) {
	t.Helper()
	p.must(t, g.dana.Create(ctx(t), &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"},
		Spec:       v1alpha1.MiniProgramSpec{AppID: g.ns + ".app", DisplayName: "app", HostApps: []string{p.wallet, p.maps}, Kind: "WebApp"},
	}))
}

// awaitSummary waits until the Rollout app of the group says this, and it is published.
func (g *group) awaitSummary(t testing.TB, want string) {
	t.Helper()
	g.awaitRollout(t, "app", want, func(ro *v1alpha1.Rollout) bool { return ro.Status.Summary == want && isOut(ro) })
}

// served is what u1 is handed in each host app of the program of each group: a
// version, or why there is none.
func (p *platform) served(t testing.TB, server *httptest.Server) map[string]string {
	t.Helper()
	got := map[string]string{}
	for host, name := range map[string]string{"wallet": p.wallet, "maps": p.maps} {
		for which, g := range map[string]*group{"first": p.first, "second": p.second, "third": p.third} {
			a := p.resolve(t, server, name, g.ns+".app", "u1")
			got[host+" of "+which] = strings.TrimSpace(a.Version + " " + a.Reason)
		}
	}
	return got
}

type resolved struct{ Version, Reason string }

func (p *platform) resolve(t testing.TB, server *httptest.Server, host, appID, user string) resolved {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx(t), http.MethodPost, server.URL+"/v1/hosts/"+host+"/resolve",
		strings.NewReader(`{"user":"`+user+`","programs":[{"appID":"`+appID+`"}]}`))
	p.must(t, err)
	request.Header.Set("Content-Type", "application/json")
	response, err := server.Client().Do(request)
	p.must(t, err)
	text, err := io.ReadAll(response.Body)
	p.must(t, errors.Join(err, response.Body.Close()))
	var answer struct{ Programs []resolved }
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Programs) != 1 {
		t.Fatalf("%s for %s is told %d %s (%v)", host, appID, response.StatusCode, text, err)
	}
	return answer.Programs[0]
}

func (p *platform) awaitServed(t testing.TB, server *httptest.Server, want map[string]string) {
	t.Helper()
	eventually(t, "what each host app's users are handed", func() string { return cmp.Diff(want, p.served(t, server)) })
}

// play brings the platform from onboarding to releases.
func (p *platform) play(t testing.TB) *httptest.Server {
	t.Helper()
	for _, g := range []*group{p.first, p.second, p.third} {
		p.enter(t, g)
	}
	change(t, p.second, p.adam, &v1alpha1.MiniProgram{}, "app", func(o *v1alpha1.MiniProgram) { o.Labels = map[string]string{classLabel: "payments"} })
	eventually(t, "the manager knows the class", func() string { // the first version is held against today's policies
		var o v1alpha1.MiniProgram
		p.must(t, p.shared.Client.Get(ctx(t), key(p.second.ns, "app"), &o))
		return map[bool]string{false: "not yet", true: ""}[o.Labels[classLabel] == "payments"]
	})
	p.taken(t)
	p.breakRules(t)
	p.obey(t)
	p.firstRelease(t)
	p.secondRelease(t)
	p.thirdRelease(t)
	return p.first.serving(t)
}

// taken: developers are told which host app does not take their program before anything is handed in.
func (p *platform) taken(t testing.TB) {
	t.Helper()
	const nothing = "True Succeeded: nothing is released yet: create a MiniProgramVersion and a Rollout"
	left := func(host string, g *group) string {
		return fmt.Sprintf("; host app %s does not take mini programs of namespace %s (its spec.namespaceSelector): ask the platform's administrators to label the namespace", host, g.ns)
	}
	p.first.awaitProgram(t, v1alpha1.ConditionReady, nothing+left(p.maps, p.first))
	p.second.awaitProgram(t, v1alpha1.ConditionReady, nothing)
	p.third.awaitProgram(t, v1alpha1.ConditionReady, nothing+left(p.wallet, p.third))
}

// breakRules hands in what a policy objects to: each policy speaks for what it covers, and for nothing else.
func (p *platform) breakRules(t testing.TB) {
	t.Helper()
	for _, g := range []*group{p.first, p.second, p.third} {
		g.scripted(t, "0.8.0", "debugger")
		g.awaitVersion(t, "app-0.8.0", v1alpha1.ConditionPolicyPassed, fmt.Sprintf(
			"False PolicyFailed: QualityTextForbidden (app.js:2): column 1 holds text that ReviewPolicy %s forbids (spec.quality.forbiddenText[0].pattern: debugger): take it out", p.all.Name))
		g.scripted(t, "0.9.0", "wx.getLocation({})")
	}
	p.second.awaitVersion(t, "app-0.9.0", v1alpha1.ConditionPolicyPassed, fmt.Sprintf("False PolicyFailed: SensitiveAPIUndeclared (app.js:2): column 4 uses wx.getLocation, and permission %q is not declared, "+
		"as ReviewPolicy %s asks (spec.privacy.usedPermissions): add it to the MiniProgram's spec.permissions, or remove the use", "location", p.payments.Name))
	for _, g := range []*group{p.first, p.third} {
		g.awaitVersion(t, "app-0.9.0", v1alpha1.ConditionPolicyPassed, "True Passed: no policy has an objection")
	}
}

func (p *platform) obey(t testing.TB) {
	t.Helper()
	p.second.changeProgram(t, "app", func(o *v1alpha1.MiniProgram) {
		o.Spec.Permissions = []v1alpha1.Permission{{Name: "location", Reason: "shops near you"}}
	})
	for _, g := range []*group{p.first, p.second, p.third} {
		g.scripted(t, "1.0.0", "wx.getLocation({})")
		g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionPolicyPassed, "True Passed: no policy has an objection")
	}
	const quality = "1 approval of role quality (needs approve on miniprograms/review-quality)"
	p.first.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False WaitingForApproval: waits for "+quality)
	p.third.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False WaitingForApproval: waits for "+quality)
	perHost := func(host string) string {
		return "1 approval of role privacy for host app " + host + " (needs approve on miniprograms/review-privacy and on hostapps/review-privacy)"
	}
	p.second.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False WaitingForApproval: waits for "+perHost(p.maps)+"; "+perHost(p.wallet)+"; "+quality)
}

func (p *platform) firstRelease(t testing.TB) {
	t.Helper()
	p.first.approve(t, "app-1.0.0")
	p.first.rollout(t, "app", "1.0.0")
	p.first.awaitSummary(t, fmt.Sprintf("1.0.0 is stable for everybody; host app %s does not take mini programs of namespace %s (its spec.namespaceSelector): ask the platform's administrators to label the namespace", p.maps, p.first.ns))
}

// decideFor answers the pending Review of role privacy for a host app.
func (p *platform) decideFor(t testing.TB, version, user, host string) error {
	t.Helper()
	var found *v1alpha1.Review
	eventually(t, "a Review of role privacy for "+host, func() string {
		var list v1alpha1.ReviewList
		p.must(t, p.admin.List(ctx(t), &list, client.InNamespace(p.second.ns)))
		for i, r := range list.Items {
			if r.Spec.VersionRef.Name == version && r.Spec.HostApp == host && r.Spec.Decision == v1alpha1.DecisionPending {
				found = &list.Items[i]
				return ""
			}
		}
		return show(list.Items)
	})
	return p.second.decide(t, p.as(t, user), user, found, v1alpha1.DecisionApproved, "")
}

// secondRelease needs quality and, for each host app, privacy of whoever may decide for that one.
func (p *platform) secondRelease(t testing.TB) {
	t.Helper()
	g := p.second
	for _, version := range []string{"1.0.0", "1.1.0"} {
		if version == "1.1.0" {
			g.scripted(t, version, "wx.getLocation({})")
		}
		g.approve(t, "app-"+version)
		err := p.decideFor(t, "app-"+version, g.pietName(), p.maps)
		want := g.pietName() + " may not decide in role privacy for host app " + p.maps
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s decides for %s: %v\nwant %s", g.pietName(), p.maps, err, want)
		}
		p.must(t, p.decideFor(t, "app-"+version, g.pietName(), p.wallet))
		p.must(t, p.decideFor(t, "app-"+version, p.paulaName(), p.maps))
		g.awaitVersion(t, "app-"+version, v1alpha1.ConditionApproved, fmt.Sprintf("True Approved: has 3 of 3 approvals, for host apps %s, %s", p.maps, p.wallet))
	}
	g.rollout(t, "app", "1.0.0")
	g.awaitSummary(t, "1.0.0 is stable for everybody")
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) {
		ro.Spec.VersionRef.Name, ro.Spec.Steps = "app-1.1.0", []v1alpha1.RolloutStep{percent(25), pauseForPerson()}
	})
	g.awaitSummary(t, "1.1.0 is at 25% and waits for a person: annotate miniprogram.dev/action=promote@2/1, or abort@2")
}

func (p *platform) thirdRelease(t testing.TB) {
	t.Helper()
	p.third.approve(t, "app-1.0.0")
	p.third.rollout(t, "app", "1.0.0")
	p.third.awaitSummary(t, fmt.Sprintf("1.0.0 is stable for everybody; host app %s does not take mini programs of namespace %s (its spec.namespaceSelector): ask the platform's administrators to label the namespace", p.wallet, p.third.ns))
}

// handed counts how many of 400 users of a host app are handed each version of the
// second group's program, and fails for each who is handed another than the split says.
func (p *platform) handed(t testing.TB, server *httptest.Server, host string) map[string]int {
	t.Helper()
	doc, got := p.second.published(t, "app"), map[string]int{}
	for i := range 400 {
		user := fmt.Sprint("user-", i)
		version, want := p.resolve(t, server, host, p.second.ns+".app", user).Version, "1.0.0"
		if bucket.Of(doc.Split.Seed, user) < 2500 {
			want = "1.1.0"
		}
		if version != want {
			t.Errorf("%s is handed %s, not %s", user, version, want)
		}
		got[version]++
	}
	return got
}

// TestAPlatformFromOnboardingToRelease plays two policies, three groups and two host
// apps, and what the users of each host app are handed over HTTP.
func TestAPlatformFromOnboardingToRelease(t *testing.T) {
	p := newPlatform(t)
	server := p.play(t)
	eventually(t, "the manifest service has the share", func() string {
		if a := p.resolve(t, server, p.maps, p.third.ns+".app", "u1"); a.Version != "1.0.0" {
			return show(a)
		}
		return ""
	})
	wallet, maps := p.handed(t, server, p.wallet), p.handed(t, server, p.maps)
	if diff := cmp.Diff(wallet, maps); diff != "" || wallet["1.1.0"] < 70 || wallet["1.1.0"] > 130 {
		t.Errorf("the host apps hand out %v and %v", wallet, maps)
	}
	p.second.act(t, "app", "promote@2/1")
	p.second.awaitSummary(t, "1.1.0 is stable for everybody")
	p.awaitServed(t, server, map[string]string{
		"wallet of first": "1.0.0 NoTarget", "wallet of second": "1.1.0 NoTarget", "wallet of third": "UnknownProgram",
		"maps of first": "UnknownProgram", "maps of second": "1.1.0 NoTarget", "maps of third": "1.0.0 NoTarget",
	})
	p.influence(t, server)
}
