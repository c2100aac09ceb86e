package controller_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestAWindowClosesWhenEnoughUsersHaveTheTarget(t *testing.T) {
	g := newGroup(t, "quality")
	g.ready(t)
	server := g.reporting(t)
	const plan = `versionRef: {name: app-1.1.0}, steps: [{setPercent: 100}, {pause: {}}], audience: {include: {users: [ada]}}, window: {users: 20}`
	g.edit(t, plan)
	g.awaitReady(t, "False HostAppWithoutTokens: spec.window.users counts what host apps with access Token report, and HostApp "+g.host+
		" is Public: leave it out of spec.hostApps, set spec.window.end instead, or ask the platform's administrators for HostApp spec.access.type Token")
	token := g.withToken(t)
	under := g.awaitRollout(t, "app", "the target", func(ro *v1alpha1.Rollout) bool { return ro.Status.Target != nil && isOut(ro) })
	g.awaitResolvedBy(t, server, token, map[user]string{"mo": "1.1.0 Bucketed", "ada": "1.1.0 Included"})

	// It begins to count some seconds after the target is out, so more come until it has enough.
	closed := func(ro *v1alpha1.Rollout) bool { return ro.Status.Document.Window.Closed != nil && isOut(ro) }
	var ro *v1alpha1.Rollout
	eventually(t, "it closes", func() string {
		g.install(t, server, token, under.Status.Target.Digest)
		ro = &v1alpha1.Rollout{}
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), ro))
		if !closed(ro) {
			return show(ro.Status.Document.Window)
		}
		return ""
	})
	if w := ro.Status.Document.Window; w.Installed < 20 || ro.Status.Sequence <= under.Status.Sequence {
		t.Errorf("it closed with %d installations, sequence %d after %d", w.Installed, ro.Status.Sequence, under.Status.Sequence)
	}
	g.awaitResolvedBy(t, server, token, map[user]string{"mo": "1.0.0 WindowClosed", "ada": "1.1.0 Included"})
	waits := condition(ro.Status.Conditions, v1alpha1.ConditionReady)
	if !strings.HasPrefix(waits, "False WindowClosed: the window of 1.1.0 closed at ") || !strings.Contains(waits, "of spec.window.users 20 were reported") {
		t.Errorf("it says %s", waits)
	}
	g.edit(t, "window: {users: 1000000}")
	g.awaitResolvedBy(t, server, token, map[user]string{"mo": "1.1.0 Bucketed", "ada": "1.1.0 Included"})
	g.edit(t, "window: {users: 10, afterWindow: Abort}")
	g.awaitRollout(t, "app", "the abort", func(ro *v1alpha1.Rollout) bool { return ro.Status.Outcome == v1alpha1.OutcomeAborted && isOut(ro) })
	g.awaitResolvedBy(t, server, token, map[user]string{"ada": "1.0.0 NoTarget"})
}

// install reports ten installations of a version.
func (g *group) install(t testing.TB, server *httptest.Server, token, digest string) {
	t.Helper()
	var reports []string
	for range 10 {
		reports = append(reports, fmt.Sprintf(`{"appID":%q,"digest":%q,"event":"installed"}`, g.ns+".app", digest))
	}
	g.post(t, server, token, reports)
}
