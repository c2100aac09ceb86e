package controller_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/argocdtest"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

var update = flag.Bool("update", false, "write the objects that config/argocd is tested with anew, as they are in this control plane")

// Accounts in the namespace argocd.
const (
	argoServer = "argocd-server"       // with config/argocd/server_role.yaml
	argoBare   = "argocd-without-ours" // with what Argo CD's own installation gives, alone
)

func account(name string) string { return "system:serviceaccount:argocd:" + name }

// argoCD is Argo CD in the hands of somebody who looks and clicks.
type argoCD struct {
	*group
	customizations *argocdtest.Customizations
	server, bare   client.Client
}

func newArgoCD(t testing.TB, g *group) *argoCD {
	t.Helper()
	a := &argoCD{group: g}
	g.must(t, controlplane.Apply(ctx(t), g.cp.Admin(), filepath.Join(repositoryRoot(t), "internal/controller/testdata/argocd")))
	for _, who := range []struct {
		name   string
		client *client.Client
		may    string
	}{{argoServer, &a.server, "abort"}, {argoBare, &a.bare, "patch"}} {
		cfg, err := g.cp.ServiceAccount(ctx(t), "argocd", who.name)
		g.must(t, err)
		*who.client = g.client(t, cfg)
		g.cp.AwaitRight(t, account(who.name), authorizationv1.ResourceAttributes{Namespace: g.ns, Verb: who.may, Group: v1alpha1.GroupName, Resource: "rollouts"})
	}
	var cm corev1.ConfigMap
	g.must(t, g.admin.Get(ctx(t), key("argocd", "argocd-cm"), &cm))
	if cm.Data["application.resourceTrackingMethod"] != "annotation" {
		t.Errorf("what was in argocd-cm is gone: %v", cm.Data)
	}
	var err error
	a.customizations, err = argocdtest.New(cm.Data)
	g.must(t, err)
	return a
}

func (a *argoCD) live(t testing.TB, kind, name string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	at := key(a.ns, name)
	if kind == "HostApp" || kind == "ReviewPolicy" {
		at.Namespace = ""
	}
	a.must(t, a.server.Get(ctx(t), at, o))
	return o
}

// click performs an action as Argo CD's server does: it reads the object, lets the
// script change it, and sends the difference as a merge patch.
func (a *argoCD) click(t testing.TB, as client.Client, kind, name, action string, params map[string]string) error {
	t.Helper()
	before := a.live(t, kind, name)
	after, err := a.customizations.Run(before, action, params)
	if err != nil {
		return err
	}
	return as.Patch(ctx(t), after, client.MergeFrom(before))
}

// acts clicks on the Rollout and waits for the answer.
func (a *argoCD) acts(t testing.TB, action, value, answer string) {
	t.Helper()
	a.must(t, a.click(t, a.server, "Rollout", "app", action, nil))
	a.awaitRollout(t, "app", value+": "+answer, func(ro *v1alpha1.Rollout) bool {
		l := ro.Status.LastAction
		return l != nil && l.Value == value && l.User == account(argoServer) && l.Result+", "+l.Message == answer
	})
}

// shows compares what Argo CD shows of a live object with what it shows of the
// object that the scripts' tests have for the same state. So those are as real as they
// were when they were written.
func (a *argoCD) shows(t testing.TB, kind, name, file string, want argocdtest.Health) {
	t.Helper()
	live := a.anonymous(t, a.live(t, kind, name))
	path := filepath.Join(repositoryRoot(t), "config/argocd/resource_customizations/miniprogram.dev", kind, "testdata", file+".yaml")
	if *update {
		data, err := yaml.Marshal(live.Object)
		a.must(t, err)
		a.must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		a.must(t, os.WriteFile(path, data, 0o644))
	}
	stored := &unstructured.Unstructured{}
	data, err := os.ReadFile(path)
	a.must(t, err)
	a.must(t, yaml.Unmarshal(data, &stored.Object))
	for what, o := range map[string]*unstructured.Unstructured{"the live object": live, path: stored} {
		health, err := a.customizations.Health(o)
		a.must(t, err)
		if diff := cmp.Diff(&want, health); diff != "" {
			t.Errorf("health of %s (-want +got):\n%s", what, diff)
		}
	}
	menus := make([]map[string]argocdtest.Action, 2)
	for i, o := range []*unstructured.Unstructured{stored, live} {
		menus[i], err = a.customizations.Discover(o)
		a.must(t, err)
	}
	if diff := cmp.Diff(menus[0], menus[1]); diff != "" {
		t.Errorf("actions of %s and of the live object (-stored +live):\n%s", path, diff)
	}
}

var (
	anyTime     = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	anyDigest   = regexp.MustCompile(`[0-9a-f]{64}`)
	anyReview   = regexp.MustCompile(`(app-\d\.\d\.\d-quality-\d)-[0-9a-f]{8}`)
	anyRegistry = regexp.MustCompile(`127\.0\.0\.1:\d+`)
)

// anonymous takes out what is of this run only.
func (a *argoCD) anonymous(t testing.TB, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	o = o.DeepCopy()
	o.SetManagedFields(nil)
	o.SetUID("")
	o.SetResourceVersion("")
	o.SetOwnerReferences(nil)
	data, err := json.Marshal(o.Object)
	a.must(t, err)
	text := strings.NewReplacer("host-"+a.ns, "wallet", "dana-"+a.ns, "dana", "rosa-"+a.ns, "rosa", "olu-"+a.ns, "olu", a.ns, "shop-team").Replace(string(data))
	text = anyTime.ReplaceAllString(text, "2026-01-05T09:00:00Z")
	text = anyDigest.ReplaceAllString(text, strings.Repeat("5ca1ab1e", 8))
	text = anyReview.ReplaceAllString(text, "$1-5ca1ab1e")
	text = anyRegistry.ReplaceAllString(text, "registry.example.com")
	out := &unstructured.Unstructured{}
	a.must(t, out.UnmarshalJSON([]byte(text)))
	return out
}
