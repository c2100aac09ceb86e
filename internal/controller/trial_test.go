package controller_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// withToken has the host app ask with an access token, and returns it.
func (g *group) withToken(t testing.TB, channels ...string) string {
	t.Helper()
	token := strings.Repeat("the-host-app.", 4)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "tokens-" + g.ns, Labels: map[string]string{v1alpha1.AccessTokensLabel: "true"}},
		Data:       map[string][]byte{"a": []byte(token)},
	}
	g.must(t, g.admin.Create(ctx(t), secret))
	g.letRead(t, "access-tokens-"+g.host, secret.Name)
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.Dialects = []string{v1alpha1.DialectSigned, v1alpha1.DialectResolve}
		h.Spec.Access = &v1alpha1.HostAccess{Type: v1alpha1.AccessToken, SecretRef: &v1alpha1.AccessSecretReference{Name: secret.Name}}
		h.Spec.Channels = channels
	})
	return token
}

// onTrial is what users are answered on the channel trial, as "action version reason",
// and under "document" with which status the document itself is.
func (g *group) onTrial(t testing.TB, server *httptest.Server, token string, users ...string) map[string]string {
	t.Helper()
	ask := func(method, path, body string) (int, []byte) {
		request, err := http.NewRequestWithContext(ctx(t), method, server.URL+"/v1/hosts/"+g.host+path, strings.NewReader(body))
		g.must(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := server.Client().Do(request)
		g.must(t, err)
		text, err := io.ReadAll(response.Body)
		g.must(t, err)
		g.must(t, response.Body.Close())
		return response.StatusCode, text
	}
	status, _ := ask("GET", "/programs/"+g.ns+".app?channel=trial", "")
	got := map[string]string{"document": fmt.Sprint(status)}
	for _, u := range users {
		_, text := ask("POST", "/resolve", show(map[string]any{"user": u, "programs": []any{map[string]any{"appID": g.ns + ".app", "channel": "trial"}}}))
		var answer struct {
			Programs []struct{ Action, Version, Reason string }
		}
		if err := json.Unmarshal(text, &answer); err != nil || len(answer.Programs) != 1 {
			got[u] = string(text)
			continue
		}
		p := answer.Programs[0]
		got[u] = strings.Join(strings.Fields(p.Action+" "+p.Version+" "+p.Reason), " ")
	}
	return got
}

func (g *group) awaitTrial(t testing.TB, server *httptest.Server, token string, want map[string]string) {
	t.Helper()
	eventually(t, "on trial", func() string { return cmp.Diff(want, g.onTrial(t, server, token, "tess-7731", "mo")) })
}

func TestATrialGoesToTestersOfAHostAppThatTakesIt(t *testing.T) {
	g := newGroup(t, "quality")
	token := g.withToken(t)
	g.program(t, "app")
	g.release(t, "app", "1.0.0") // which nobody approves
	g.must(t, g.olu.Create(ctx(t), &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "trial"},
		Spec: v1alpha1.RolloutSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"}, Channel: v1alpha1.ChannelTrial,
		},
	}))
	ready := func(want string) func(*v1alpha1.Rollout) bool {
		return func(ro *v1alpha1.Rollout) bool {
			return condition(ro.Status.Conditions, v1alpha1.ConditionReady) == want
		}
	}
	notTaken := "; host app " + g.host + " does not take channel trial: ask the platform's administrators (HostApp spec.channels)"
	g.awaitRollout(t, "trial", "the host app does not take it", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Target == nil && strings.HasSuffix(ro.Status.Summary, notTaken)
	})
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Channels = []string{"release", "trial"} })
	g.awaitRollout(t, "trial", "there are no testers", ready("False NoTesters: the MiniProgram names no testers: add the keys of some to its spec.testers"))
	change(t, g, g.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.Testers = []string{"tess-7731"} })
	onTrial := g.awaitRollout(t, "trial", "it is with them", ready("True Succeeded: 1.0.0 is with the testers of the MiniProgram"))
	server := g.serving(t)
	testers := map[string]string{"document": "200", "tess-7731": "install 1.0.0 Included", "mo": "none OutsideShare"}
	g.awaitTrial(t, server, token, testers)
	if doc := g.published(t, "trial"); doc.Type != document.TypeTrial || doc.Stable != nil || strings.Contains(show([]any{doc, onTrial.Status}), "7731") {
		t.Errorf("published %s", show(doc))
	}
	if got := g.ask(t, server, token); got["list"].Body != fmt.Sprintf(`{"host":%q,"programs":[]}`, g.host) || got[v1alpha1.DialectSigned].Status != http.StatusNotFound {
		t.Errorf("on the channel release there is %s", show(got))
	}

	g.act(t, "trial", "promote-full@1")
	g.awaitRollout(t, "trial", "nobody promotes it", func(ro *v1alpha1.Rollout) bool {
		a := ro.Status.LastAction
		return a != nil && a.Message == "a trial is for testers alone: name the version in a Rollout of channel release" && ro.Status.Stable == nil
	})
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Channels = nil })
	g.awaitTrial(t, server, token, map[string]string{"document": "403", "tess-7731": "none ChannelNotEnabled", "mo": "none ChannelNotEnabled"})
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Channels = []string{"release", "trial"} })
	g.awaitTrial(t, server, token, testers)

	g.withdrawVersion(t, "app-1.0.0")
	g.awaitRollout(t, "trial", "it is taken back", func(ro *v1alpha1.Rollout) bool { return ro.Status.Outcome == v1alpha1.OutcomeAborted && isOut(ro) })
	g.awaitTrial(t, server, token, map[string]string{"document": "200", "tess-7731": "none NoTarget", "mo": "none NoTarget"})
}

// A policy may have somebody look before testers do. Then what counts for a release
// counts for the trial, as far as it was asked for.
func TestATrialWaitsForTheApprovalsThatNameIt(t *testing.T) {
	g := newGroup(t, "quality")
	token := g.withToken(t, "release", "trial")
	g.editPolicy(t, func(p *v1alpha1.ReviewPolicySpec) {
		p.Approvals = []v1alpha1.ApprovalRule{{Role: "quality", Channels: []string{"release", "trial"}}, {Role: "privacy"}}
	})
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	change(t, g, g.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.Testers = []string{"tess-7731"} })
	g.release(t, "app", "1.0.0")
	g.must(t, g.olu.Create(ctx(t), &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "trial"},
		Spec: v1alpha1.RolloutSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"}, Channel: v1alpha1.ChannelTrial,
		},
	}))
	g.awaitRollout(t, "trial", "it waits for quality alone", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Target == nil && condition(ro.Status.Conditions, v1alpha1.ConditionReady) ==
			"False NotApproved: MiniProgramVersion app-1.0.0 is not approved: waits for 1 approval of role quality (needs approve on miniprograms/review-quality)"
	})
	g.must(t, g.decide(t, g.rosa, g.rosaName, g.pending(t, "app-1.0.0", "quality"), v1alpha1.DecisionApproved, ""))
	g.awaitRollout(t, "trial", "testers have it", func(ro *v1alpha1.Rollout) bool { return ro.Status.Target != nil && isOut(ro) })
	g.awaitTrial(t, g.serving(t), token, map[string]string{"document": "200", "tess-7731": "install 1.0.0 Included", "mo": "none OutsideShare"})
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False WaitingForApproval: waits for 1 approval of role privacy (needs approve on miniprograms/review-privacy)")
}

func TestAPolicyThatObjectsKeepsAVersionFromTesters(t *testing.T) {
	g := newGroup(t, "quality")
	g.withToken(t, "release", "trial")
	g.editPolicy(t, func(p *v1alpha1.ReviewPolicySpec) { p.Quality = &v1alpha1.QualityRules{MaxContentBytes: 1} })
	g.program(t, "app")
	change(t, g, g.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.Testers = []string{"tess-7731"} })
	g.configMap(t, "app-1.0.0", zipOf(t, map[string]string{"index.html": "<!doctype html>", "more.html": "<!doctype html>"}))
	g.version(t, "app", "1.0.0")
	g.must(t, g.olu.Create(ctx(t), &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "trial"},
		Spec: v1alpha1.RolloutSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"}, Channel: v1alpha1.ChannelTrial,
		},
	}))
	g.awaitRollout(t, "trial", "the policy objects", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Target == nil && condition(ro.Status.Conditions, v1alpha1.ConditionReady) == "False PolicyFailed: a policy objects to MiniProgramVersion app-1.0.0: see its condition PolicyPassed"
	})
}
