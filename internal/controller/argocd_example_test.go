package controller_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

const (
	waveAnnotation = "argocd.argoproj.io/sync-wave"
	syncOptions    = "argocd.argoproj.io/sync-options"
)

// application is what Argo CD would sync as one: objects in the order of their waves.
func (a *argoCD) application(t *testing.T, kubeconfig, folder string) []*unstructured.Unstructured {
	t.Helper()
	out, err := a.cp.Kubectl(ctx(t), kubeconfig, "kustomize", filepath.Join(repositoryRoot(t), "config/argocd/example", folder))
	a.must(t, err)
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq(out, "\n---\n") {
		o := &unstructured.Unstructured{}
		a.must(t, yaml.Unmarshal([]byte(document), &o.Object))
		objects = append(objects, o)
	}
	slices.SortStableFunc(objects, func(x, y *unstructured.Unstructured) int { return wave(t, x) - wave(t, y) })
	return objects
}

func wave(t *testing.T, o *unstructured.Unstructured) int {
	t.Helper()
	text := o.GetAnnotations()[waveAnnotation]
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
	}
	return n
}

// sync applies objects as Argo CD does: a wave begins when what was applied before is
// Healthy, and nobody waits for the last.
func (a *argoCD) sync(t *testing.T, as client.Client, objects []*unstructured.Unstructured) {
	t.Helper()
	var applied []*unstructured.Unstructured
	for i, o := range objects {
		if i > 0 && wave(t, o) > wave(t, objects[i-1]) {
			a.awaitHealthy(t, applied)
		}
		if o.GroupVersionKind().Group == "argoproj.io" {
			continue // no kind of this control plane
		}
		a.apply(t, as, o)
		applied = append(applied, o)
	}
}

// apply returns what the API server made of an object.
func (a *argoCD) apply(t *testing.T, as client.Client, o *unstructured.Unstructured, options ...client.ApplyOption) *unstructured.Unstructured {
	t.Helper()
	o = o.DeepCopy()
	options = append(options, client.FieldOwner("argocd-controller"), client.ForceOwnership)
	if err := as.Apply(ctx(t), client.ApplyConfigurationFromUnstructured(o), options...); err != nil {
		t.Fatalf("applying %s %s: %v", o.GetKind(), o.GetName(), err)
	}
	return o
}

func (a *argoCD) awaitHealthy(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, o := range objects {
		if o.GroupVersionKind().Group != v1alpha1.GroupName {
			continue
		}
		eventually(t, o.GetKind()+" "+o.GetName()+" is Healthy", func() string {
			health, err := a.customizations.Health(a.current(t, o))
			a.must(t, err)
			if health.Status == "Healthy" {
				return ""
			}
			return show(health)
		})
	}
}

// current reads an object anew.
func (a *argoCD) current(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(o.GroupVersionKind())
	a.must(t, a.server.Get(ctx(t), client.ObjectKeyFromObject(o), live))
	return live
}

// syncAccount is a client of the account that a group's project names, for Argo CD to
// impersonate.
func (a *argoCD) syncAccount(t *testing.T, group string) client.Client {
	t.Helper()
	cfg := a.cp.Admin()
	cfg.Impersonate.UserName = "system:serviceaccount:" + group + ":argocd-sync"
	a.cp.AwaitRight(t, cfg.Impersonate.UserName, authorizationv1.ResourceAttributes{Namespace: group, Verb: "submit-as", Group: v1alpha1.GroupName, Resource: "miniprogramversions"})
	return a.client(t, cfg)
}

func TestArgoCDSyncsTheExampleWaveByWave(t *testing.T) {
	g := newGroup(t)
	a := newArgoCD(t, g)
	argo := g.gitOps(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	g.must(t, g.cp.WriteKubeconfig(kubeconfig, g.cp.Admin()))
	var all []*unstructured.Unstructured
	t.Cleanup(func() {
		for _, o := range slices.Backward(all) { // rollouts before what they are about
			if o.GroupVersionKind().Group != "argoproj.io" {
				g.must(t, client.IgnoreNotFound(g.admin.Delete(ctx(t), o)))
			}
		}
	})
	as := map[string]client.Client{}
	for _, folder := range []string{"platform", "groups/shop-team", "groups/transit-team"} {
		objects := a.application(t, kubeconfig, folder)
		all = append(all, objects...)
		account := argo
		if group, is := strings.CutPrefix(folder, "groups/"); is {
			account = a.syncAccount(t, group)
		}
		for _, o := range objects {
			as[o.GetKind()+o.GetName()+o.GetNamespace()] = account
		}
		a.sync(t, account, objects)
	}
	type order struct {
		Wave    int
		Confirm string
	}
	got := map[string]order{}
	for _, o := range all {
		got[o.GetKind()] = order{wave(t, o), o.GetAnnotations()[syncOptions]}
	}
	const confirm = "Prune=confirm,Delete=confirm"
	want := map[string]order{
		"Namespace": {-3, confirm}, "HostApp": {-2, confirm}, "ReviewPolicy": {-2, ""},
		"ServiceAccount": {-1, ""}, "Role": {-1, ""}, "RoleBinding": {-1, ""}, "AppProject": {-1, ""},
		"ConfigMap": {0, ""}, "MiniProgram": {1, confirm}, "MiniProgramVersion": {2, ""}, "Rollout": {3, confirm},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order and confirmation (-want +got):\n%s", diff)
	}

	rollouts := map[string]string{"shop": "shop-1-0-0", "notes": "notes-0-9-0", "transit": "transit-2-3-0"}
	for _, o := range all {
		if o.GroupVersionKind().Group == "argoproj.io" {
			continue
		}
		switch o.GetKind() {
		case "Rollout":
			want := progressing("MiniProgramVersion " + rollouts[o.GetName()] + " is not approved: waits for 1 approval of role privacy (needs approve on miniprograms/review-privacy); 1 approval of role quality (needs approve on miniprograms/review-quality)")
			eventually(t, "Rollout "+o.GetName()+" waits for people", func() string {
				health, err := a.customizations.Health(a.current(t, o))
				g.must(t, err)
				return cmp.Diff(&want, health)
			})
			delete(rollouts, o.GetName())
		case "MiniProgramVersion":
			author, _, _ := unstructured.NestedStringMap(a.current(t, o).Object, "status", "author")
			if want := map[string]string{"shop-team": "dana", "transit-team": "tariq"}[o.GetNamespace()]; author["name"] != want || author["standing"] != "Declared" {
				t.Errorf("the author of %s is %v, want %s, Declared", o.GetName(), author, want)
			}
		}
		// What Git says once more changes nothing: no difference has to be ignored.
		before := a.current(t, o)
		again := a.apply(t, as[o.GetKind()+o.GetName()+o.GetNamespace()], o, client.DryRunAll)
		if diff := cmp.Diff(before.Object["spec"], again.Object["spec"]); diff != "" || before.GetGeneration() != again.GetGeneration() {
			t.Errorf("%s %s would be changed by another sync (-live +synced):\n%s", o.GetKind(), o.GetName(), diff)
		}
	}
	if len(rollouts) > 0 {
		t.Errorf("the example lacks Rollouts: %v", rollouts)
	}
	a.groupsGitIsBounded(t, a.syncAccount(t, "shop-team"))
}

// groupsGitIsBounded tries what a group's repository could say, and may not.
func (a *argoCD) groupsGitIsBounded(t *testing.T, git client.Client) {
	t.Helper()
	program := func(change func(*v1alpha1.MiniProgram)) error {
		var p v1alpha1.MiniProgram
		a.must(t, a.admin.Get(ctx(t), key("shop-team", "shop"), &p))
		before := p.DeepCopy()
		change(&p)
		return git.Patch(ctx(t), &p, client.MergeFrom(before))
	}
	a.must(t, program(func(p *v1alpha1.MiniProgram) { p.Spec.Description = "Groceries from around the corner." }))
	refused(t, program(func(p *v1alpha1.MiniProgram) { p.Spec.Availability = v1alpha1.AvailabilitySuspended }), "spec.availability: system:serviceaccount:shop-team:argocd-sync may not suspend")
	refused(t, program(func(p *v1alpha1.MiniProgram) {
		p.Labels = map[string]string{"policy.miniprogram.dev/payments": "reviewed"}
	}), "may not")
	refused(t, program(func(p *v1alpha1.MiniProgram) { p.Annotations[v1alpha1.ActionAnnotation] = "suspend@1" }), "system:serviceaccount:shop-team:argocd-sync may not suspend")
	review := &v1alpha1.Review{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop-team", Name: "from-git"},
		Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "shop"}, VersionRef: v1alpha1.VersionReference{Name: "shop-1-0-0"},
			Digest: "sha256:" + strings.Repeat("1", 64), Role: "quality", Decision: v1alpha1.DecisionApproved,
		},
	}
	refused(t, git.Create(ctx(t), review), `cannot create resource "reviews"`)
	stranger := &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: "transit-team", Name: "transit-too"},
		Spec:       v1alpha1.MiniProgramSpec{AppID: "com.example.transit.too", DisplayName: "x", HostApps: []string{"wallet"}, Kind: "WebApp"},
	}
	refused(t, git.Create(ctx(t), stranger), `cannot create resource "miniprograms" in API group "miniprogram.dev" in the namespace "transit-team"`)
}
