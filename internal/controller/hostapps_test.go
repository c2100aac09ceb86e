package controller_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/manifest"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

const tierLabel = "policy.miniprogram.dev/tier"

// changeHost changes the group's host app, as an administrator does.
func (g *group) changeHost(t testing.TB, change func(*v1alpha1.HostApp)) {
	t.Helper()
	var host v1alpha1.HostApp
	g.must(t, g.admin.Get(ctx(t), key("", g.host), &host))
	before := host.DeepCopy()
	change(&host)
	g.must(t, g.admin.Patch(ctx(t), &host, client.MergeFrom(before)))
}

// awaitHost waits until the condition Ready of the host app is what is wanted.
func (g *group) awaitHost(t testing.TB, want string) *v1alpha1.HostApp {
	t.Helper()
	var host v1alpha1.HostApp
	eventually(t, "host app", func() string {
		g.must(t, g.admin.Get(ctx(t), key("", g.host), &host))
		if got := condition(host.Status.Conditions, v1alpha1.ConditionReady); got != want || host.Status.ObservedGeneration != host.Generation {
			return "got  " + got + "\nwant " + want
		}
		return ""
	})
	return &host
}

func (g *group) awaitReady(t testing.TB, want string) {
	t.Helper()
	g.awaitRollout(t, "app", want, func(ro *v1alpha1.Rollout) bool {
		return condition(ro.Status.Conditions, v1alpha1.ConditionReady) == want && isOut(ro)
	})
}

func (g *group) classify(t testing.TB, program, tier string) {
	t.Helper()
	change(t, g, g.admin, &v1alpha1.MiniProgram{}, program, func(p *v1alpha1.MiniProgram) {
		delete(p.Labels, tierLabel)
		if tier != "" {
			p.Labels = map[string]string{tierLabel: tier}
		}
	})
}

func TestALabelOfTheProgramDecidesWhetherAHostAppTakesIt(t *testing.T) {
	g := newGroup(t, "quality")
	first := g.stableAt(t, "1.0.0")
	g.awaitHost(t, "True Succeeded: the manifest service answers this host app; mini programs that it may be sent: 1")
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.MiniProgramSelector = &metav1.LabelSelector{MatchLabels: map[string]string{tierLabel: "gold"}}
	})
	notTaken := fmt.Sprintf("False NotTaken: nobody is handed 1.0.0, for none of spec.hostApps takes the mini program; "+
		"host app %s does not take MiniProgram app (its spec.miniProgramSelector): ask the platform's administrators to label the MiniProgram (needs verb classify)", g.host)
	g.awaitReady(t, notTaken)
	g.awaitHost(t, "True Succeeded: the manifest service answers this host app; mini programs that it may be sent: 0")
	doc := g.published(t, "app")
	gone := &document.Tombstone{Reason: "HostAppDoesNotTakeIt", Installed: document.Retain}
	if diff := cmp.Diff(gone, doc.Tombstone); diff != "" || doc.Stable != nil || len(doc.AlsoServed) > 0 {
		t.Errorf("the host app is told %s", show(doc))
	}
	g.awaitProgram(t, v1alpha1.ConditionReady, fmt.Sprintf("True Succeeded: nothing is released yet: create a MiniProgramVersion and a Rollout; "+
		"host app %s does not take MiniProgram app (its spec.miniProgramSelector): ask the platform's administrators to label the MiniProgram (needs verb classify)", g.host))
	g.classify(t, "app", "gold")
	g.awaitReady(t, "True Succeeded: 1.0.0 is stable for everybody")
	g.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: released to "+g.host)
	back := g.published(t, "app")
	if back.Tombstone != nil || back.Stable.Digest != first.Status.Stable.Digest || back.Stable.Delivery != first.Status.Stable.Delivery || back.Sequence <= doc.Sequence {
		t.Errorf("after the label is there, it is told %s", show(back))
	}
	g.awaitHost(t, "True Succeeded: the manifest service answers this host app; mini programs that it may be sent: 1")

	g.classify(t, "app", "")
	g.awaitReady(t, notTaken)
	g.deleteRollout(t)
	doc = g.published(t, "app")
	if diff := cmp.Diff(gone, doc.Tombstone); diff != "" || doc.Stable != nil {
		t.Errorf("after the Rollout is gone, the host app is told %s", show(doc))
	}
}

func TestAProgramWithoutARolloutIsToldWhichHostAppsDoNotTakeIt(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	const unreleased = "True Succeeded: nothing is released yet: create a MiniProgramVersion and a Rollout"
	g.awaitProgram(t, v1alpha1.ConditionReady, unreleased)
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.MiniProgramSelector = &metav1.LabelSelector{MatchLabels: map[string]string{tierLabel: "gold"}}
	})
	g.awaitProgram(t, v1alpha1.ConditionReady, fmt.Sprintf(unreleased+"; host app %s does not take MiniProgram app (its spec.miniProgramSelector): "+
		"ask the platform's administrators to label the MiniProgram (needs verb classify)", g.host))
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.MiniProgramSelector = nil })
	g.awaitProgram(t, v1alpha1.ConditionReady, unreleased)
}

func TestOneOfTwoHostAppsTakesTheProgramNoLonger(t *testing.T) {
	g := newGroup(t, "quality")
	other := "other-" + g.ns
	g.must(t, g.admin.Create(ctx(t), &v1alpha1.HostApp{
		ObjectMeta: metav1.ObjectMeta{Name: other}, Spec: v1alpha1.HostAppSpec{DisplayName: "Other", Availability: v1alpha1.HostAppActive},
	}))
	g.letApprove(t, g.rosaName, "quality", "app")
	p := &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"},
		Spec:       v1alpha1.MiniProgramSpec{AppID: g.ns + ".app", DisplayName: "app", HostApps: []string{g.host, other}, Kind: "WebApp"},
	}
	g.must(t, g.dana.Create(ctx(t), p))
	g.release(t, "app", "1.0.0")
	g.approve(t, "app-1.0.0")
	g.rollout(t, "app", "1.0.0")
	g.awaitReady(t, "True Succeeded: 1.0.0 is stable for everybody")
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "nobody"}}
	})
	g.awaitReady(t, fmt.Sprintf("True Succeeded: 1.0.0 is stable for everybody; host app %s does not take mini programs of namespace %s (its spec.namespaceSelector): "+
		"ask the platform's administrators to label the namespace", g.host, g.ns))
	notTaken := fmt.Sprintf("host app %s does not take mini programs of namespace %s (its spec.namespaceSelector): ask the platform's administrators to label the namespace", g.host, g.ns)
	g.awaitProgram(t, v1alpha1.ConditionReady, "True Succeeded: released to "+other+"; "+notTaken)
	doc := g.published(t, "app")
	if diff := cmp.Diff([]string{other}, doc.HostApps); diff != "" || doc.Tombstone != nil || doc.Stable.Version != "1.0.0" {
		t.Errorf("published %s", show(doc))
	}
}

// serving is the manifest service, with its own rights, for what the manager publishes.
func (g *group) serving(t testing.TB, adjust ...func(*manifest.Options)) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(g.service(t, adjust...).Handler())
	t.Cleanup(server.Close)
	return server
}

// service is a manifest service that runs until the test ends.
func (g *group) service(t testing.TB, adjust ...func(*manifest.Options)) *manifest.Service {
	t.Helper()
	var trusted corev1.ConfigMap
	g.must(t, g.admin.Get(ctx(t), key(systemNamespace, "miniprogram-trusted-keys"), &trusted))
	keys := filepath.Join(t.TempDir(), "keys.pem")
	for _, pem := range trusted.Data {
		g.must(t, os.WriteFile(keys, []byte(pem), 0o600))
	}
	identity, err := g.cp.ServiceAccount(ctx(t), systemNamespace, "miniprogram-manifest-service")
	g.must(t, err)
	api, err := kubernetes.NewForConfig(identity)
	g.must(t, err)
	options := manifest.Options{
		Client: api, Namespace: publishedNamespace, TrustedKeys: keys, Blobs: noBlobs{}, CacheDir: t.TempDir(), Log: logr.Discard(),
	}
	for _, a := range adjust {
		a(&options)
	}
	service, err := manifest.New(options)
	g.must(t, err)
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the manifest service is ready", func() string {
		if !service.Ready() {
			return "nothing was listed yet"
		}
		return ""
	})
	return service
}

// noBlobs is a registry without blobs.
type noBlobs struct{}

func (noBlobs) FetchBlob(context.Context, string, string) (io.ReadCloser, int64, error) {
	return nil, 0, errors.New("there are no blobs")
}

// told is what a host app is answered in one dialect.
type told struct {
	Status int
	Body   string
}

// ask asks in each dialect for the program, with an access token if there is one.
func (g *group) ask(t testing.TB, server *httptest.Server, token string) map[string]told {
	t.Helper()
	appID := g.ns + ".app"
	all := map[string]told{}
	for dialect, q := range map[string]struct{ method, path, body string }{
		v1alpha1.DialectSigned:  {"GET", "/v1/hosts/" + g.host + "/programs/" + appID, ""},
		v1alpha1.DialectResolve: {"POST", "/v1/hosts/" + g.host + "/resolve", `{"user":"u1","programs":[{"appID":"` + appID + `"}]}`},
		v1alpha1.DialectDimina:  {"GET", "/dimina/v1/hosts/" + g.host + "/" + appID + ".json?user=u1", ""},
		"list":                  {"GET", "/v1/hosts/" + g.host + "/programs", ""},
	} {
		request, err := http.NewRequestWithContext(ctx(t), q.method, server.URL+q.path, strings.NewReader(q.body))
		g.must(t, err)
		request.Header.Set("Content-Type", "application/json")
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := server.Client().Do(request)
		g.must(t, err)
		text, err := io.ReadAll(response.Body)
		g.must(t, errors.Join(err, response.Body.Close()))
		all[dialect] = told{response.StatusCode, string(text)}
	}
	return all
}

// opened has the host app speak every dialect, with a target under way.
func (g *group) opened(t testing.TB) *httptest.Server {
	t.Helper()
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.Dialects = []string{v1alpha1.DialectSigned, v1alpha1.DialectResolve, v1alpha1.DialectDimina}
	})
	g.stableAt(t, "1.0.0", percent(5), pauseForPerson())
	g.release(t, "app", "1.1.0")
	g.approve(t, "app-1.1.0")
	g.target(t, "app", "app-1.1.0")
	g.awaitRollout(t, "app", "5 % of 1.1.0", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "5%" && isOut(ro) })
	server := g.serving(t)
	eventually(t, "it is served", func() string {
		if got := g.ask(t, server, ""); !strings.Contains(got[v1alpha1.DialectResolve].Body, `"version":"1.`) || got[v1alpha1.DialectSigned].Status != http.StatusOK {
			return show(got)
		}
		return ""
	})
	return server
}

// blocked has the host app block something, and returns how long it took until
// nothing of the program was handed out in any dialect.
func (g *group) blocked(t testing.TB, server *httptest.Server, block v1alpha1.Block) time.Duration {
	t.Helper()
	refused := told{http.StatusForbidden, fmt.Sprintf(
		`{"title":"The host app blocks the program","status":403,"detail":"host app %s blocks %s.app: %s","code":"Blocked"}`, g.host, g.ns, block.Reason)}
	began := time.Now()
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Blocks = []v1alpha1.Block{block} })
	for {
		got := g.ask(t, server, "")
		if got[v1alpha1.DialectSigned] == refused && got[v1alpha1.DialectDimina] == refused &&
			strings.Contains(got[v1alpha1.DialectResolve].Body, `"action":"none"`) && strings.Contains(got[v1alpha1.DialectResolve].Body, `"reason":"HostBlocked"`) &&
			!strings.Contains(got["list"].Body, g.ns+".app") {
			return time.Since(began)
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("it is handed out still: %s", show(got))
		}
		<-time.After(time.Millisecond)
	}
}

func TestABlockWinsAndLiftingItRestoresWhatWas(t *testing.T) {
	g := newGroup(t, "quality")
	server := g.opened(t)
	before := g.ask(t, server, "")
	lift := func() {
		t.Helper()
		g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Blocks = nil })
		eventually(t, "everything is as before", func() string { return cmp.Diff(before, g.ask(t, server, "")) })
	}
	t.Logf("the block of an app ID took %s", g.blocked(t, server, v1alpha1.Block{AppID: g.ns + ".app", Reason: "fraud"}))
	g.awaitRollout(t, "app", "the Rollout says so", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Target != nil && strings.Contains(ro.Status.Summary, fmt.Sprintf("; host app %s blocks app ID %s.app and is handed nothing (fraud)", g.host, g.ns))
	})
	lift()
	stable := g.published(t, "app").Stable.Digest
	t.Logf("the block of stable took %s", g.blocked(t, server, v1alpha1.Block{Digest: stable, Reason: "it leaks"}))
	g.awaitRollout(t, "app", "the Rollout says so", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Target != nil && strings.Contains(ro.Status.Summary, "; host app "+g.host+" blocks stable 1.0.0 and is handed nothing until another version is stable (it leaks)")
	})
	lift()
}

func TestATargetThatAHostAppBlocksIsAborted(t *testing.T) {
	g := newGroup(t, "quality")
	server := g.opened(t)
	target := g.published(t, "app").Target.Digest
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Blocks = []v1alpha1.Block{{Digest: target, Reason: "it crashes"}} })
	g.awaitAbort(t)
	eventually(t, "stable is handed out", func() string {
		if got := g.ask(t, server, ""); got[v1alpha1.DialectSigned].Status != http.StatusOK || !strings.Contains(got[v1alpha1.DialectResolve].Body, `"version":"1.0.0"`) {
			return show(got)
		}
		return ""
	})
	why := fmt.Sprintf("host app %s blocks %s (it crashes): name another version, or ask the platform's administrators to lift it (HostApp spec.blocks)", g.host, target)
	g.act(t, "app", "retry@2")
	g.awaitRollout(t, "app", "the retry is refused", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.LastAction != nil && ro.Status.LastAction.Message == why && ro.Status.Refused.Reason == why
	})
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Blocks = nil })
	g.act(t, "app", "")
	g.awaitRollout(t, "app", "the refusal is forgotten", func(ro *v1alpha1.Rollout) bool { return ro.Status.LastAction == nil })
	g.act(t, "app", "retry@2")
	g.awaitRollout(t, "app", "5 % again", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "5%" && isOut(ro) })
}

// BenchmarkHostapp measures the time from the write of a block to the answer of
// the manifest service, in every dialect, while a target is under way.
func BenchmarkHostapp(b *testing.B) {
	g := newGroup(b, "quality")
	server := g.opened(b)
	var times []time.Duration
	for b.Loop() {
		times = append(times, g.blocked(b, server, v1alpha1.Block{AppID: g.ns + ".app", Reason: "fraud"}))
		b.StopTimer()
		g.changeHost(b, func(h *v1alpha1.HostApp) { h.Spec.Blocks = nil })
		eventually(b, "it is served again", func() string {
			if got := g.ask(b, server, "")[v1alpha1.DialectSigned]; got.Status != http.StatusOK {
				return got.Body
			}
			return ""
		})
		b.StartTimer()
	}
	report(b, "block-ms", times)
}

// look has the host app's Secret looked at now, and not in up to 30 seconds.
func (g *group) look(t testing.TB) {
	t.Helper()
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Annotations = map[string]string{"example.com/looked": time.Now().String()}
	})
}

// awaitLook waits for the condition, and has the Secret looked at meanwhile.
func (g *group) awaitLook(t testing.TB, want string) {
	t.Helper()
	eventually(t, "access tokens", func() string {
		g.look(t)
		var host v1alpha1.HostApp
		g.must(t, g.admin.Get(ctx(t), key("", g.host), &host))
		if got := condition(host.Status.Conditions, v1alpha1.ConditionReady); got != want {
			return "got  " + got + "\nwant " + want
		}
		return ""
	})
}

func TestAccessTokensComeFromASecretThatSaysSo(t *testing.T) {
	g := newGroup(t, "quality")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "tokens-" + g.ns}}
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.Access = &v1alpha1.HostAccess{Type: v1alpha1.AccessToken, SecretRef: &v1alpha1.AccessSecretReference{Name: secret.Name}}
	})
	role := "access-tokens-" + g.host
	g.awaitLook(t, fmt.Sprintf("False AccessTokensMissing: Secret %[1]s/%[2]s may not be read; access tokens from before count on, and without any nobody is let in: "+
		"kubectl create role %[3]s -n %[1]s --verb=get --resource=secrets --resource-name=%[2]s && kubectl create rolebinding %[3]s -n %[1]s --role=%[3]s --serviceaccount=%[1]s:miniprogram-manager",
		systemNamespace, secret.Name, role))
	g.letRead(t, role, secret.Name)
	g.awaitLook(t, fmt.Sprintf("False AccessTokensMissing: spec.access.secretRef names Secret %s, which does not exist in namespace %s, so that nobody is let in: "+
		"create it with a token under each key and the label %s=true", secret.Name, systemNamespace, v1alpha1.AccessTokensLabel))
	older, newer := strings.Repeat("older-token.", 4), strings.Repeat("newer-token.", 4)
	secret.Data = map[string][]byte{"a": []byte(older)}
	g.must(t, g.admin.Create(ctx(t), secret))
	g.awaitLook(t, fmt.Sprintf("False AccessTokensMissing: Secret %[1]s/%[2]s is not marked as one with access tokens, so that nobody is let in: kubectl label secret %[2]s -n %[1]s %[3]s=true",
		systemNamespace, secret.Name, v1alpha1.AccessTokensLabel))
	server := g.serving(t)
	tokens := func(want string, data map[string][]byte, opens map[string]int) {
		t.Helper()
		secret.Data, secret.Labels = data, map[string]string{v1alpha1.AccessTokensLabel: "true"}
		g.must(t, g.admin.Update(ctx(t), secret))
		g.awaitLook(t, want)
		for token, status := range opens {
			eventually(t, "token "+token, func() string {
				if got := g.ask(t, server, token)["list"]; got.Status != status {
					return fmt.Sprintf("%d %s, want %d", got.Status, got.Body, status)
				}
				return ""
			})
		}
	}
	tokens("False AccessTokensMissing: Secret "+systemNamespace+"/"+secret.Name+": key a: an access token is 32 to 512 letters, digits or characters of -._~+/ and may end in =: write one as openssl rand -hex 32 makes it",
		map[string][]byte{"a": []byte("short")}, map[string]int{"": 401, "short": 401})
	const ready = "True Succeeded: the manifest service answers this host app, with one of %d access tokens; mini programs that it may be sent: 0"
	tokens(fmt.Sprintf(ready, 1), map[string][]byte{"a": []byte(older)}, map[string]int{"": 401, older: 200, newer: 401})
	tokens(fmt.Sprintf(ready, 2), map[string][]byte{"a": []byte(older), "b": []byte(newer)}, map[string]int{"": 401, older: 200, newer: 200})
	tokens(fmt.Sprintf(ready, 1), map[string][]byte{"b": []byte(newer)}, map[string]int{older: 401, newer: 200})

	var published corev1.ConfigMap
	g.must(t, g.admin.Get(ctx(t), key(publishedNamespace, delivery.HostAppConfigMap(g.host)), &published))
	if text := show(published); strings.Contains(text, "newer-token") || !strings.Contains(text, delivery.TokenHash(g.host, newer)) {
		t.Errorf("published is %s", text)
	}
	g.changeHost(t, func(h *v1alpha1.HostApp) { h.Spec.Access = &v1alpha1.HostAccess{Type: v1alpha1.AccessPublic} })
	g.awaitHost(t, "True Succeeded: the manifest service answers this host app; mini programs that it may be sent: 0")
}

// letRead lets the manager read one Secret of its namespace, as the condition says.
func (g *group) letRead(t testing.TB, role, secret string) {
	t.Helper()
	g.must(t, g.admin.Create(ctx(t), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: role},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{secret}, Verbs: []string{"get"}}},
	}))
	g.must(t, g.admin.Create(ctx(t), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: systemNamespace, Name: "miniprogram-manager"}},
	}))
	g.cp.AwaitRight(t, "system:serviceaccount:"+systemNamespace+":miniprogram-manager",
		authorizationv1.ResourceAttributes{Namespace: systemNamespace, Verb: "get", Resource: "secrets", Name: secret})
}

// The name of a Secret in a HostApp gives nobody what is in it.
func TestOfASecretThatHoldsNoAccessTokensNothingIsPublished(t *testing.T) {
	g := newGroup(t, "quality")
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.Access = &v1alpha1.HostAccess{Type: v1alpha1.AccessToken, SecretRef: &v1alpha1.AccessSecretReference{Name: "miniprogram-signing-key"}}
	})
	g.awaitHost(t, fmt.Sprintf("False AccessTokensMissing: Secret %[1]s/miniprogram-signing-key is not marked as one with access tokens, so that nobody is let in: "+
		"kubectl label secret miniprogram-signing-key -n %[1]s %[2]s=true", systemNamespace, v1alpha1.AccessTokensLabel))
	var published corev1.ConfigMap
	g.must(t, g.admin.Get(ctx(t), key(publishedNamespace, delivery.HostAppConfigMap(g.host)), &published))
	config, err := delivery.ParseHostApp(published.Data[delivery.KeyHostApp])
	g.must(t, err)
	if config.Access != v1alpha1.AccessToken || len(config.TokenHashes) != 0 {
		t.Errorf("published is %+v", config)
	}
}
