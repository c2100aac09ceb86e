package controller_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
)

// edit has the operator merge YAML into the spec of the Rollout.
func (g *group) edit(t testing.TB, spec string) {
	t.Helper()
	patch, err := yaml.YAMLToJSON([]byte("spec: {" + spec + "}"))
	g.must(t, err)
	g.must(t, g.olu.Patch(ctx(t), &v1alpha1.Rollout{ObjectMeta: rolloutMeta(g)}, client.RawPatch(types.MergePatchType, patch)))
}

// user is who asks, and from where: "ada in Lhasa".
type user string

func (u user) request() decide.Request {
	name, city, _ := strings.Cut(string(u), " in ")
	r := decide.Request{User: name}
	if city != "" {
		r.Attributes = map[string]string{"city": city}
	}
	return r
}

// resolved is what each user is answered, as "version reason".
func (g *group) resolved(t testing.TB, server *httptest.Server, users ...user) map[user]string {
	t.Helper()
	return g.resolvedBy(t, server, "", users...)
}

// resolvedBy is that for a host app with a token.
func (g *group) resolvedBy(t testing.TB, server *httptest.Server, token string, users ...user) map[user]string {
	t.Helper()
	got := map[user]string{}
	for _, u := range users {
		r := u.request()
		body := show(map[string]any{"user": r.User, "attributes": r.Attributes, "programs": []any{map[string]string{"appID": g.ns + ".app"}}})
		request, err := http.NewRequestWithContext(ctx(t), "POST", server.URL+"/v1/hosts/"+g.host+"/resolve", strings.NewReader(body))
		g.must(t, err)
		request.Header.Set("Content-Type", "application/json")
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := server.Client().Do(request)
		g.must(t, err)
		text, err := io.ReadAll(response.Body)
		g.must(t, err)
		g.must(t, response.Body.Close())
		var answer struct {
			Programs []struct{ Version, Reason string }
		}
		if err := json.Unmarshal(text, &answer); err != nil || len(answer.Programs) != 1 {
			t.Fatalf("%d %s", response.StatusCode, text)
		}
		got[u] = strings.TrimSpace(answer.Programs[0].Version + " " + answer.Programs[0].Reason)
	}
	return got
}

// awaitResolved waits until the users are answered what is wanted, by the manifest
// service and by whoever decides on the document.
func (g *group) awaitResolved(t testing.TB, server *httptest.Server, want map[user]string) {
	t.Helper()
	users := slices.Sorted(maps.Keys(want))
	eventually(t, "what users get", func() string { return cmp.Diff(want, g.resolved(t, server, users...)) })
	doc, alone := g.published(t, "app"), map[user]string{}
	for _, u := range users {
		r := u.request()
		r.Now = time.Now()
		d, err := decide.Decide(doc, r)
		g.must(t, err)
		version := ""
		if d.Variant != nil {
			version = d.Variant.Version
		}
		alone[u] = strings.TrimSpace(version + " " + d.Reason)
	}
	if diff := cmp.Diff(want, alone); diff != "" {
		t.Errorf("who decides on the document hands out something else:\n%s", diff)
	}
}

// ready has stable 1.0.0 and an approved 1.1.0, and a manifest service that resolves.
func (g *group) ready(t testing.TB, change ...func(*v1alpha1.MiniProgramVersion)) *httptest.Server {
	t.Helper()
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.Dialects = []string{v1alpha1.DialectSigned, v1alpha1.DialectResolve}
	})
	g.stableAt(t, "1.0.0")
	g.configMap(t, "app-1.1.0", archive(t, "app 1.1.0"))
	g.version(t, "app", "1.1.0", change...)
	g.approve(t, "app-1.1.0")
	approvedMessage(t, g, "app-1.1.0")
	return g.serving(t)
}

func TestAnAudienceFromYAMLToWhatEachUserIsAnswered(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	server := g.ready(t)
	g.edit(t, `
		versionRef: {name: app-1.1.0}, steps: [{setPercent: 100}, {pause: {}}], bucketing: {seed: spring},
		audience: {include: {users: [ada-3471]}, exclude: {users: [eve-3471]}, rules: [{attribute: city, operator: In, values: [Shanghai]}]}`)
	at := func(percent string) *v1alpha1.Rollout {
		return g.awaitRollout(t, "app", percent, func(ro *v1alpha1.Rollout) bool {
			return ro.Status.Target != nil && ro.Status.Percent == percent && isOut(ro)
		})
	}
	first := at("100%")
	want := map[user]string{
		"ada-3471": "1.1.0 Included", "ada-3471 in Lhasa": "1.1.0 Included", "eve-3471 in Shanghai": "1.0.0 Excluded",
		"mo in Shanghai": "1.1.0 Bucketed", "mo in Lhasa": "1.0.0 RuleNotMatched", "mo": "1.0.0 RuleNotMatched", " in Shanghai": "1.0.0 NoKey",
	}
	g.awaitResolved(t, server, want)

	g.act(t, "app", "pause@2")
	g.edit(t, "audience: {include: {users: [ada-3471, mo]}}")
	paused := g.awaitRollout(t, "app", "a decision while it is paused", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.PausedReason == "User" && len(ro.Status.Document.Audience.Include) == 2 && ro.Status.Sequence > first.Status.Sequence && isOut(ro)
	})
	want["mo in Shanghai"], want["mo in Lhasa"], want["mo"] = "1.1.0 Included", "1.1.0 Included", "1.1.0 Included"
	g.awaitResolved(t, server, want)

	g.act(t, "app", "resume@2")
	g.awaitRollout(t, "app", "it goes on", func(ro *v1alpha1.Rollout) bool { return ro.Status.PausedReason == "" })
	g.act(t, "app", "promote@2/1")
	served := "AudienceServed: 1.1.0 has gone to all whom spec.audience and spec.window admit: annotate miniprogram.dev/action=promote-full@2 to make it stable for everybody, or abort@2"
	g.awaitRollout(t, "app", "its audience is served", func(ro *v1alpha1.Rollout) bool {
		return condition(ro.Status.Conditions, v1alpha1.ConditionPaused) == "True "+served && condition(ro.Status.Conditions, v1alpha1.ConditionReady) == "False "+served
	})
	g.awaitResolved(t, server, want)

	g.act(t, "app", "abort@2")
	aborted := g.awaitRollout(t, "app", "the abort", func(ro *v1alpha1.Rollout) bool { return ro.Status.Outcome == v1alpha1.OutcomeAborted && isOut(ro) })
	doc := g.published(t, "app")
	for u, recalled := range map[user]bool{"ada-3471": true, "mo": true, "eve-3471": false} {
		d, err := decide.Decide(doc, u.request())
		g.must(t, err)
		if d.Variant.Version != "1.0.0" || (d.Delivery > paused.Status.Target.Delivery) != recalled {
			t.Errorf("%s is handed %s under %d, after the target's %d", u, d.Variant.Version, d.Delivery, paused.Status.Target.Delivery)
		}
	}
	g.act(t, "app", "retry@2")
	g.awaitRollout(t, "app", "again", func(ro *v1alpha1.Rollout) bool { return ro.Status.Attempt == 3 && ro.Status.Target != nil })
	g.act(t, "app", "promote-full@3")
	g.awaitReady(t, "True Succeeded: 1.1.0 is stable for everybody")
	g.awaitResolved(t, server, map[user]string{"ada-3471": "1.1.0 NoTarget", "eve-3471 in Shanghai": "1.1.0 NoTarget", "mo in Lhasa": "1.1.0 NoTarget"})

	var events eventsv1.EventList
	g.must(t, g.admin.List(ctx(t), &events, client.InNamespace(g.ns)))
	if text := show([]any{first.Status, paused.Status, aborted.Status, doc, events.Items}); strings.Contains(text, "-3471") {
		t.Errorf("a key of a user stands in %s", text)
	}
}

func TestAWindowOpensAndClosesByItself(t *testing.T) {
	g := newGroup(t, "quality")
	server := g.ready(t)
	start := time.Now().Add(4 * time.Second).UTC().Truncate(time.Second)
	end := start.Add(5 * time.Second)
	g.edit(t, fmt.Sprintf(`versionRef: {name: app-1.1.0}, steps: [{setPercent: 100}, {pause: {}}], audience: {include: {users: [ada]}},
		window: {start: %q, end: %q, afterWindow: Abort}`, start.Format(time.RFC3339), end.Format(time.RFC3339)))
	g.awaitRollout(t, "app", "it is not open", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Percent == "0%" && isOut(ro) && ro.Status.Summary == fmt.Sprintf("1.1.0 goes out from %s on (spec.window.start)", start.Format(time.RFC3339)) &&
			ro.Status.Step.Until.Time.Equal(start)
	})
	eventually(t, "names get it before", func() string {
		return cmp.Diff(map[user]string{"ada": "1.1.0 Included"}, g.resolved(t, server, "ada"))
	})
	if got := g.resolved(t, server, "mo")["mo"]; time.Now().Before(start) && got != "1.0.0 WindowClosed" {
		t.Errorf("before it opens, everybody is answered %s", got)
	}
	opened := g.awaitRollout(t, "app", "it opens", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Percent == "100%" && ro.Status.Target != nil && isOut(ro)
	})
	if at := opened.Status.Step.Began.Time; at.Before(start) {
		t.Errorf("the pause began at %s, before the window at %s", at, start)
	}
	eventually(t, "everybody gets it", func() string {
		return cmp.Diff(map[user]string{"mo": "1.1.0 Bucketed"}, g.resolved(t, server, "mo"))
	})
	closed := "aborted: its window closed at " + end.Format(time.RFC3339)
	ro := g.awaitRollout(t, "app", closed, func(ro *v1alpha1.Rollout) bool { return ro.Status.Outcome == v1alpha1.OutcomeAborted && isOut(ro) })
	if ro.Status.Refused.Reason != "its window closed at "+end.Format(time.RFC3339) || time.Now().Before(end) {
		t.Errorf("at %s: %s", time.Now(), ro.Status.Refused.Reason)
	}
	g.awaitResolved(t, server, map[user]string{"ada": "1.0.0 NoTarget", "mo": "1.0.0 NoTarget"})
}

func TestWhoIsTooOldForStableGetsAnEarlierVersion(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	server := g.ready(t, func(v *v1alpha1.MiniProgramVersion) {
		v.Spec.Compatibility = &v1alpha1.Compatibility{MinContainerVersion: "2.0"}
	})
	g.target(t, "app", "app-1.1.0")
	g.awaitReady(t, "True Succeeded: 1.1.0 is stable for everybody")
	ask := func(container string) string {
		d, err := decide.Decide(g.published(t, "app"), decide.Request{User: "mo", ContainerVersion: container})
		g.must(t, err)
		if d.Variant == nil {
			return d.Reason
		}
		return d.Variant.Version + " " + d.Reason
	}
	eventually(t, "the earlier one", func() string {
		return cmp.Diff([]string{"1.1.0 NoTarget", "1.0.0 Fallback"}, []string{ask("2.0"), ask("1.9")})
	})
	g.awaitResolved(t, server, map[user]string{"mo": "1.0.0 Fallback"}) // who does not say his version is as old as can be
	g.withdrawVersion(t, "app-1.0.0")
	eventually(t, "nothing", func() string {
		return cmp.Diff([]string{"1.1.0 NoTarget", "Incompatible"}, []string{ask("2.0"), ask("1.9")})
	})
	g.awaitResolved(t, server, map[user]string{"mo": "Incompatible"})
}

func TestAnAudienceThatIsTooLargeForADocumentIsSaid(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	server := g.ready(t)
	change(t, g, g.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) {
		for i := range 50 {
			p.Spec.Locales = append(p.Spec.Locales, v1alpha1.LocalizedText{Lang: fmt.Sprintf("de-%c%c", 'A'+i/26, 'A'+i%26), DisplayName: "App", Description: strings.Repeat("😀", 1024)})
		}
	})
	list := func(name string, n int) string {
		var keys []string
		for i := range n {
			keys = append(keys, fmt.Sprintf("%s-%d", name, i))
		}
		return "[" + strings.Join(keys, ", ") + "]"
	}
	spec := `versionRef: {name: app-1.1.0}, steps: [{setPercent: 100}, {pause: {}}], audience: {include: {users: %s}, exclude: {users: %s}}`
	g.edit(t, fmt.Sprintf(spec, list("in", 1000), list("ex", 1000))+
		", bucketing: {seed: spring}")
	g.edit(t, "audience: {rules: [{attribute: city, operator: In, values: ["+strings.TrimSuffix(strings.Repeat(strings.Repeat("😀", 128)+", ", 100), ", ")+"]}]}")
	g.awaitRollout(t, "app", "it says so", func(ro *v1alpha1.Rollout) bool {
		got := condition(ro.Status.Conditions, v1alpha1.ConditionStalled)
		return strings.HasPrefix(got, "True DocumentTooLarge: the document cannot be published, and what is published stays: the document has ") &&
			strings.HasSuffix(got, " bytes, 262144 are allowed: shorten spec.audience, or the descriptions and declarations of the MiniProgram")
	})
	g.awaitResolved(t, server, map[user]string{"in-1 in Lhasa": "1.0.0 NoTarget"})
	g.edit(t, "audience: {rules: null, exclude: null}")
	g.awaitRollout(t, "app", "it is out", func(ro *v1alpha1.Rollout) bool { return ro.Status.Target != nil && isOut(ro) })
	g.awaitResolved(t, server, map[user]string{"in-1 in Lhasa": "1.1.0 Included", "mo": "1.1.0 Bucketed"})
}

func rolloutMeta(g *group) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: g.ns, Name: "app"} }
