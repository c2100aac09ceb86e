package controller_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// answers are what u1 is handed of the program app in each host app.
func (g *group) answers(t testing.TB, server *httptest.Server, hosts ...string) map[string]string {
	t.Helper()
	got, p := map[string]string{}, &platform{world: g.world}
	for _, host := range hosts {
		a := p.resolve(t, server, host, g.ns+".app", "u1")
		got[host] = a.Version + " " + a.Reason
	}
	return got
}

// Replacing stable would take it from the host apps that do not block it; so it stays,
// and the one that blocks it is handed nothing until another version is stable.
func TestAStableThatOneHostAppBlocksStaysForTheOthers(t *testing.T) {
	g := newGroup(t, "quality")
	other := "other-" + g.ns
	dialects := []string{v1alpha1.DialectSigned, v1alpha1.DialectResolve}
	g.must(t, g.admin.Create(ctx(t), &v1alpha1.HostApp{
		ObjectMeta: metav1.ObjectMeta{Name: other}, Spec: v1alpha1.HostAppSpec{DisplayName: "Other", Dialects: dialects},
	}))
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Dialects = dialects })
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) { p.Spec.HostApps = []string{g.host, other} })
	for _, version := range []string{"1.0.0", "1.1.0"} {
		g.release(t, "app", version)
		g.approve(t, "app-"+version)
	}
	g.rollout(t, "app", "1.0.0")
	g.awaitSummary(t, "1.0.0 is stable for everybody")
	g.target(t, "app", "app-1.1.0")
	g.awaitSummary(t, "1.1.0 is stable for everybody")
	server := g.serving(t)
	handed := func(what string, want map[string]string) {
		t.Helper()
		eventually(t, what, func() string { return cmp.Diff(want, g.answers(t, server, g.host, other)) })
	}
	handed("both have 1.1.0", map[string]string{g.host: "1.1.0 NoTarget", other: "1.1.0 NoTarget"})

	before := g.published(t, "app")
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.Blocks = []v1alpha1.Block{{Digest: before.Stable.Digest, Reason: "it leaks"}}
	})
	handed("the one that blocks it has nothing", map[string]string{g.host: " HostBlocked", other: "1.1.0 NoTarget"})
	g.awaitSummary(t, fmt.Sprintf("1.1.0 is stable for everybody; host app %s blocks stable 1.1.0 and is handed nothing until another version is stable (it leaks)", g.host))
	if after := g.published(t, "app"); after.Stable.Digest != before.Stable.Digest || after.Target != nil {
		t.Errorf("published is %s", show(after))
	}

	g.release(t, "app", "1.2.0")
	g.approve(t, "app-1.2.0")
	g.target(t, "app", "app-1.2.0")
	handed("both have the next version", map[string]string{g.host: "1.2.0 NoTarget", other: "1.2.0 NoTarget"})
	// A rollback must not wait until somebody lifts a block of one host app.
	g.target(t, "app", "app-1.1.0")
	handed("the other goes back", map[string]string{g.host: " HostBlocked", other: "1.1.0 NoTarget"})
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Blocks = nil })
	handed("without the block both have it", map[string]string{g.host: "1.1.0 NoTarget", other: "1.1.0 NoTarget"})
}

// A host app that is added when stable is out is asked for anew, and until it is
// approved there, neither the Rollout nor the MiniProgram says that everybody has it.
func TestAHostAppThatWaitsForAnApprovalIsToldOnTheRollout(t *testing.T) {
	g := newGroup(t, "quality")
	late := "late-" + g.ns
	g.letApproveFor(t, g.rosaName, late)
	g.stableAt(t, "1.0.0")
	g.must(t, g.admin.Create(ctx(t), &v1alpha1.HostApp{
		ObjectMeta: metav1.ObjectMeta{Name: late}, Spec: v1alpha1.HostAppSpec{DisplayName: "Late", Dialects: []string{v1alpha1.DialectResolve}},
	}))
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Dialects = []string{v1alpha1.DialectResolve} })
	g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) { p.Spec.HostApps = []string{g.host, late} })
	g.awaitSummary(t, fmt.Sprintf("1.0.0 is stable for everybody; host app %s is handed nothing until a version is approved for it: see condition Approved of MiniProgramVersion app-1.0.0", late))
	server := g.serving(t)
	eventually(t, "only the first has it", func() string {
		return cmp.Diff(map[string]string{g.host: "1.0.0 NoTarget", late: " UnknownProgram"}, g.answers(t, server, g.host, late))
	})
	g.approve(t, "app-1.0.0")
	g.awaitSummary(t, "1.0.0 is stable for everybody")
	eventually(t, "both have it", func() string {
		return cmp.Diff(map[string]string{g.host: "1.0.0 NoTarget", late: "1.0.0 NoTarget"}, g.answers(t, server, g.host, late))
	})
}

// An approval for a host app that is added later opens nothing that a policy, or what
// the host app can grant, keeps shut.
func TestStableDoesNotGoToANewHostAppThatCannotGrantWhatItNeeds(t *testing.T) {
	g := newGroup(t, "quality")
	late := "late-" + g.ns
	g.letApproveFor(t, g.rosaName, late)
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) {
		p.Spec.Permissions = []v1alpha1.Permission{{Name: "pay", Reason: "to pay", Need: "Required"}}
	})
	g.release(t, "app", "1.0.0")
	g.approve(t, "app-1.0.0")
	g.rollout(t, "app", "1.0.0")
	g.awaitSummary(t, "1.0.0 is stable for everybody")
	digest := g.published(t, "app").Stable.Digest
	g.must(t, g.admin.Create(ctx(t), &v1alpha1.HostApp{
		ObjectMeta: metav1.ObjectMeta{Name: late}, Spec: v1alpha1.HostAppSpec{DisplayName: "Late", Capabilities: []string{"none"}},
	}))
	g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) { p.Spec.HostApps = []string{g.host, late} })
	refused := fmt.Sprintf("1.0.0 is stable for everybody; host app %s is handed nothing: a policy objects to MiniProgramVersion app-1.0.0: see its condition PolicyPassed", late)
	g.awaitSummary(t, refused)
	g.say(t, "for-late", "app-1.0.0", digest, v1alpha1.DecisionApproved, late)
	// A change that comes after the approval shows that this was seen.
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Blocks = []v1alpha1.Block{{Digest: digest, Reason: "seen"}} })
	g.awaitRollout(t, "app", "the block is seen", func(ro *v1alpha1.Rollout) bool {
		return strings.HasSuffix(ro.Status.Summary, "(seen)"+strings.TrimPrefix(refused, "1.0.0 is stable for everybody"))
	})
	if doc := g.published(t, "app"); !slices.Equal(doc.HostApps, []string{g.host}) {
		t.Errorf("it is handed to %v", doc.HostApps)
	}
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Blocks = nil })
	var host v1alpha1.HostApp
	g.must(t, g.admin.Get(ctx(t), key("", late), &host))
	host.Spec.Capabilities = []string{"pay"}
	g.must(t, g.admin.Update(ctx(t), &host))
	g.awaitSummary(t, "1.0.0 is stable for everybody")
	eventually(t, "it goes there", func() string {
		if doc := g.published(t, "app"); !slices.Equal(doc.HostApps, []string{g.host, late}) {
			return show(doc.HostApps)
		}
		return ""
	})
}

// Where nobody is asked for an approval, too, stable is held against the policies
// before it goes to a host app that was added later.
func TestStableIsJudgedForANewHostAppThatNobodyHasToApprove(t *testing.T) {
	g := newGroup(t, v1alpha1.RoleNone)
	late := "late-" + g.ns
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	g.rollout(t, "app", "1.0.0")
	g.awaitSummary(t, "1.0.0 is stable for everybody")
	g.must(t, g.admin.Create(ctx(t), &v1alpha1.HostApp{ObjectMeta: metav1.ObjectMeta{Name: late}, Spec: v1alpha1.HostAppSpec{DisplayName: "Late"}}))
	g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) { p.Spec.HostApps = []string{g.host, late} })
	eventually(t, "it goes there", func() string {
		if doc := g.published(t, "app"); !slices.Equal(doc.HostApps, []string{g.host, late}) {
			return show(doc.HostApps)
		}
		return ""
	})
	g.awaitSummary(t, "1.0.0 is stable for everybody")
}
