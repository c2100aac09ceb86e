package controller_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// keysOf are users name-0 to name-(n-1), one a line.
func keysOf(name string, n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "%s-%d\n", name, i)
	}
	return text.String()
}

// list puts users' keys into a ConfigMap, and returns how a spec names them.
func (g *group) list(t testing.TB, name, keys string) string {
	t.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name}, Data: map[string]string{"keys": keys}}
	err := g.dana.Create(ctx(t), cm)
	if client.IgnoreAlreadyExists(err) == nil && err != nil {
		err = g.dana.Update(ctx(t), cm)
	}
	g.must(t, err)
	return fmt.Sprintf("{configMap: {name: %s, key: keys, sha256: %x}}", name, sha256.Sum256([]byte(keys)))
}

// partsNow are the parts of the Rollout that are there.
func (g *group) partsNow(t testing.TB) map[string]document.PartData {
	t.Helper()
	var found corev1.ConfigMapList
	g.must(t, g.admin.List(ctx(t), &found, client.InNamespace(publishedNamespace), client.MatchingLabels{delivery.AudienceLabel: delivery.AudienceOwner(g.ns, "app")}))
	parts := map[string]document.PartData{}
	for _, cm := range found.Items {
		data := document.PartData(cm.BinaryData[delivery.KeyPart])
		if err := data.Check(); err != nil || cm.Immutable == nil || !*cm.Immutable || cm.Data[delivery.KeyPartDigest] != data.Digest() {
			t.Errorf("%s: %v, %s of %s", cm.Name, err, cm.Data, data.Digest())
		}
		parts[data.Digest()] = data
	}
	return parts
}

// removeParts has an administrator delete them.
func (g *group) removeParts(t testing.TB) {
	t.Helper()
	g.must(t, g.admin.DeleteAllOf(ctx(t), &corev1.ConfigMap{}, client.InNamespace(publishedNamespace), client.MatchingLabels{delivery.AudienceLabel: delivery.AudienceOwner(g.ns, "app")}))
}

func groupConfigMap(g *group, name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name}}
}

// awaitParts waits until there are so many.
func (g *group) awaitParts(t testing.TB, n int) {
	t.Helper()
	eventually(t, "parts", func() string {
		if got := len(g.partsNow(t)); got != n {
			return fmt.Sprintf("%d, want %d", got, n)
		}
		return ""
	})
}

// delivered is under which number each user is handed what is due, by the published document.
func (g *group) delivered(t testing.TB, users ...string) map[string]int64 {
	t.Helper()
	doc, parts, got := g.published(t, "app"), g.partsNow(t), map[string]int64{}
	for _, u := range users {
		d, err := decide.Decide(doc, decide.Request{User: u, InPart: func(p document.Part, hash document.KeyHash) bool { return parts[p.Digest].Has(hash) }})
		g.must(t, err)
		got[u] = d.Delivery
	}
	return got
}

func (g *group) awaitResolvedBy(t testing.TB, server *httptest.Server, token string, want map[user]string) {
	t.Helper()
	users := slices.Sorted(maps.Keys(want))
	eventually(t, "what users get", func() string { return cmp.Diff(want, g.resolvedBy(t, server, token, users...)) })
}

func TestAHundredThousandKeysFromConfigMapsToWhatEachUserIsAnswered(t *testing.T) {
	g := newGroup(t, "quality")
	server := g.ready(t)
	first, second := g.list(t, "in-a", "in-0\r\n\r\n\n"+keysOf("in", 30000)), g.list(t, "in-b", strings.TrimSuffix(keysOf("inb", 30000), "\n"))
	excluded := g.list(t, "ex", keysOf("ex", 39998)+"in-7\nin-7\nlast")
	lists := fmt.Sprintf("include: {from: [%s, %s]}, exclude: {from: [%s]}", first, second, excluded)
	g.edit(t, "versionRef: {name: app-1.1.0}, steps: [{setPercent: 0}, {pause: {}}], audience: {"+lists+"}")
	held := "False HostAppWithoutTokens: spec.audience has lists in ConfigMaps (from), which are for host apps with access Token, and HostApp " + g.host +
		" is Public: leave it out of spec.hostApps, write the keys as users, or ask the platform's administrators for HostApp spec.access.type Token"
	g.awaitReady(t, held)
	token := g.withToken(t)
	under := g.awaitRollout(t, "app", "the target", func(ro *v1alpha1.Rollout) bool { return ro.Status.Target != nil && isOut(ro) })
	want := map[user]string{
		"in-0": "1.1.0 Included", "in-29999": "1.1.0 Included", "inb-29999": "1.1.0 Included", "inb-0": "1.1.0 Included",
		"in-7": "1.0.0 Excluded", "ex-0": "1.0.0 Excluded", "ex-39997": "1.0.0 Excluded", "last": "1.0.0 Excluded", "mo": "1.0.0 OutsideShare", "": "1.0.0 NoKey",
	}
	g.awaitResolvedBy(t, server, token, want)
	g.awaitParts(t, 7) // 60,000 and 40,000 keys by 16,384
	if got := g.get(t, server, token); got != "409 ServiceDecides" {
		t.Errorf("the document alone is answered with %s", got)
	}
	g.awaitResolvedBy(t, g.serving(t), token, want) // by a service that starts now
	if size := len(show(under.Status)); size > 20<<10 {
		t.Errorf("status has %d bytes", size)
	}

	g.act(t, "app", "abort@2")
	g.awaitRollout(t, "app", "the abort", func(ro *v1alpha1.Rollout) bool { return ro.Status.Outcome == v1alpha1.OutcomeAborted && isOut(ro) })
	for u, number := range g.delivered(t, "in-0", "inb-29999", "in-7", "ex-0", "mo") {
		if recalled := number > under.Status.Target.Delivery; recalled != strings.Contains("in-0 inb-29999", u) {
			t.Errorf("%s is handed stable under %d, after the target's %d", u, number, under.Status.Target.Delivery)
		}
	}
	g.awaitResolvedBy(t, server, token, map[user]string{"in-0": "1.0.0 NoTarget", "ex-0": "1.0.0 NoTarget"})
	g.awaitParts(t, 7)
	g.act(t, "app", "retry@2")
	g.awaitRollout(t, "app", "again", func(ro *v1alpha1.Rollout) bool { return ro.Status.Attempt == 3 && ro.Status.Target != nil && isOut(ro) })
	g.awaitResolvedBy(t, server, token, want)
	g.act(t, "app", "promote-full@3")
	stable := g.awaitRollout(t, "app", "stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Stable.Version == "1.1.0" && isOut(ro) })
	g.awaitResolvedBy(t, server, token, map[user]string{"in-0": "1.1.0 NoTarget", "ex-0": "1.1.0 NoTarget"})
	g.awaitParts(t, 0)
	if got := g.get(t, server, token); got != "200" {
		t.Errorf("the document alone is answered with %s", got)
	}
	var events eventsv1.EventList
	g.must(t, g.admin.List(ctx(t), &events, client.InNamespace(g.ns)))
	if text := show([]any{under.Status, stable.Status, events.Items}); strings.Contains(text, "in-29999") {
		t.Errorf("a key of a user stands in %s", text)
	}
}

// get is how the document is answered: the status, and the code of a problem.
func (g *group) get(t testing.TB, server *httptest.Server, token string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx(t), http.MethodGet, server.URL+"/v1/hosts/"+g.host+"/programs/"+g.ns+".app", nil)
	g.must(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := server.Client().Do(request)
	g.must(t, err)
	text, err := io.ReadAll(response.Body)
	g.must(t, err)
	g.must(t, response.Body.Close())
	_, code, _ := strings.Cut(string(text), `"code":"`)
	code, _, _ = strings.Cut(code, `"`)
	if response.StatusCode == http.StatusOK {
		code = ""
	}
	return strings.TrimSpace(fmt.Sprint(response.StatusCode, " ", code))
}

// What is wrong with a list is said, starts nothing, and keeps what is under way.
func TestListsThatCannotBeHadAreSaid(t *testing.T) {
	g := newGroup(t, "quality")
	server := g.ready(t)
	token := g.withToken(t)
	named := g.list(t, "in", keysOf("in", 3))
	ready := func(what, from, want string) {
		t.Helper()
		g.edit(t, "versionRef: {name: app-1.1.0}, steps: [{setPercent: 0}, {pause: {}}], audience: {include: {from: ["+from+"]}}")
		g.awaitRollout(t, "app", what+": "+want, func(ro *v1alpha1.Rollout) bool {
			return condition(ro.Status.Conditions, v1alpha1.ConditionReady) == want && ro.Status.ObservedGeneration == ro.Generation
		})
		if got := g.resolvedBy(t, server, token, "in-0")["in-0"]; got != "1.0.0 NoTarget" {
			t.Errorf("%s: in-0 is answered %s", what, got)
		}
	}
	const field = "spec.audience.include.from[0].configMap"
	wrong := strings.Repeat("0", 64)
	ready("no ConfigMap", "{configMap: {name: none, key: keys, sha256: '"+wrong+"'}}", "False SourceMissing: "+field+" names ConfigMap none, which does not exist in namespace "+g.ns+": create it")
	ready("no key", "{configMap: {name: in, key: others, sha256: '"+wrong+"'}}", `False SourceMissing: ConfigMap `+g.ns+`/in has no key "others", which `+field+".key names: add it under data")
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(keysOf("in", 3))))
	ready("another digest", "{configMap: {name: in, key: keys, sha256: '"+wrong+"'}}", "False SourceDigest: ConfigMap "+g.ns+"/in, key keys has sha256 "+sum+", but "+field+".sha256 says "+wrong+": correct the digest or the list")
	ready("a table", g.list(t, "table", "ada\n\nben\tlhasa\n"), "False AudienceInvalid: ConfigMap "+g.ns+"/table, key keys, which "+field+" names: line 3 has a control character: write one key a line, and nothing else; correct the list, and the digest in the spec")
	ready("one too many", g.list(t, "many", keysOf("k", delivery.MaxListedKeys/2))+", "+g.list(t, "more", keysOf("l", delivery.MaxListedKeys/2+1)),
		"False AudienceTooLarge: the lists of spec.audience have 100001 keys together, 100000 are allowed: shorten them, or let a rule of spec.audience.rules say who is meant")
	ready("no right", named, g.withoutRight(t))

	g.bindServiceAccount(t)
	g.awaitReading(t, func(err error) bool { return err == nil })
	g.edit(t, "history: 9") // no watch tells of a right
	under := g.awaitRollout(t, "app", "the target", func(ro *v1alpha1.Rollout) bool { return ro.Status.Target != nil && isOut(ro) })
	g.awaitResolvedBy(t, server, token, map[user]string{"in-0": "1.1.0 Included"})
	g.edit(t, "audience: {include: {from: [{configMap: {name: none, key: keys, sha256: '"+wrong+"'}}]}}, steps: [{setPercent: 0}, {setPercent: 50}, {pause: {}}]")
	g.awaitRollout(t, "app", "it keeps its audience and its share", func(ro *v1alpha1.Rollout) bool {
		return strings.HasPrefix(condition(ro.Status.Conditions, v1alpha1.ConditionReady), "False SourceMissing: ") && ro.Status.ObservedGeneration == ro.Generation &&
			ro.Status.BasisPoints == 0 && cmp.Equal(ro.Status.Document.Audience.Parts, under.Status.Document.Audience.Parts)
	})
	g.awaitResolvedBy(t, server, token, map[user]string{"in-0": "1.1.0 Included", "mo": "1.0.0 OutsideShare"})
}

// withoutRight takes the manager's right to read the group's lists, and returns what is said then.
func (g *group) withoutRight(t testing.TB) string {
	t.Helper()
	g.must(t, g.admin.Delete(ctx(t), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "miniprogram-source-reader"}}))
	g.awaitReading(t, apierrors.IsForbidden)
	return "False SourceForbidden: the manager may not read ConfigMap in in namespace " + g.ns + ": give it the right with `kubectl create rolebinding miniprogram-source-reader -n " + g.ns +
		" --clusterrole=miniprogram-source-reader --serviceaccount=" + systemNamespace + ":miniprogram-manager`"
}

// awaitReading waits until the manager's reading of a list is answered in a way.
func (g *group) awaitReading(t testing.TB, as func(error) bool) {
	t.Helper()
	identity, err := g.cp.ServiceAccount(ctx(t), systemNamespace, "miniprogram-manager")
	g.must(t, err)
	manager := g.client(t, identity)
	eventually(t, "the manager's right", func() string {
		if err := manager.Get(ctx(t), key(g.ns, "in"), &corev1.ConfigMap{}); !as(err) {
			return fmt.Sprint("reading is answered with ", err)
		}
		return ""
	})
}
