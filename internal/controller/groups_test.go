package controller_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// bind gives a user a role in the group's namespace, and waits until it is in force.
func (g *group) bind(t testing.TB, user, kind, role string) {
	t.Helper()
	g.must(t, g.admin.Create(ctx(t), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: strings.ReplaceAll(user, ":", ".") + "-" + role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}))
	var rules []rbacv1.PolicyRule
	if kind == "Role" {
		var r rbacv1.Role
		g.must(t, g.admin.Get(ctx(t), key(g.ns, role), &r))
		rules = r.Rules
	} else {
		rules = g.rulesOf(t, role)
	}
	g.awaitRules(t, user, g.ns, rules)
}

// bindEverywhere gives a user a ClusterRole in all namespaces, and waits until it is in force.
func (g *group) bindEverywhere(t testing.TB, user, role string) {
	t.Helper()
	g.must(t, g.admin.Create(ctx(t), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user + "-" + role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}))
	g.awaitRules(t, user, "", g.rulesOf(t, role))
}

func (g *group) rulesOf(t testing.TB, clusterRole string) []rbacv1.PolicyRule {
	t.Helper()
	var r rbacv1.ClusterRole
	g.must(t, g.admin.Get(ctx(t), key("", clusterRole), &r))
	return r.Rules
}

// awaitRules waits until a user has each of the rights of a role.
func (g *group) awaitRules(t testing.TB, user, namespace string, rules []rbacv1.PolicyRule) {
	t.Helper()
	for _, rule := range rules {
		to := authorizationv1.ResourceAttributes{Namespace: namespace, Verb: rule.Verbs[0], Group: rule.APIGroups[0]}
		to.Resource, to.Subresource, _ = strings.Cut(rule.Resources[0], "/")
		if len(rule.ResourceNames) > 0 {
			to.Name = rule.ResourceNames[0]
		}
		g.cp.AwaitRight(t, user, to)
	}
}

// awaitRight waits until a role that is made of others has a right, too.
func (g *group) awaitRight(t testing.TB, user, verb, resource string) {
	t.Helper()
	g.cp.AwaitRight(t, user, authorizationv1.ResourceAttributes{Namespace: g.ns, Verb: verb, Group: v1alpha1.GroupName, Resource: resource})
}

func (g *group) bindServiceAccount(t testing.TB) {
	t.Helper()
	g.must(t, g.admin.Create(ctx(t), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "miniprogram-source-reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "miniprogram-source-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: systemNamespace, Name: "miniprogram-manager"}},
	}))
}

// letApprove gives a user the right to approve a program in a role.
func (g *group) letApprove(t testing.TB, user, role, program string) {
	t.Helper()
	name := "review-" + role + "-" + program
	err := g.admin.Create(ctx(t), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"miniprograms/review-" + role}, ResourceNames: []string{program}, Verbs: []string{"approve"}},
			{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"reviews"}, Verbs: []string{"get", "list", "watch", "create", "update", "patch"}},
		},
	})
	g.must(t, client.IgnoreAlreadyExists(err))
	g.bind(t, user, "Role", name)
}

// program creates a web mini program for the group's host app.
func (g *group) program(t testing.TB, name string) *v1alpha1.MiniProgram {
	t.Helper()
	p := &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name},
		Spec:       v1alpha1.MiniProgramSpec{AppID: g.ns + "." + name, DisplayName: name, HostApps: []string{g.host}, Kind: "WebApp"},
	}
	g.must(t, g.dana.Create(ctx(t), p))
	return p
}

// archive is a small web bundle that differs by text.
func archive(t testing.TB, text string) []byte {
	t.Helper()
	return zipOf(t, map[string]string{"index.html": "<!doctype html><title>" + text + "</title>"})
}

func zipOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// configMap holds a bundle under the key bundle.zip.
func (g *group) configMap(t testing.TB, name string, data []byte) {
	t.Helper()
	g.must(t, g.dana.Create(ctx(t), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name}, BinaryData: map[string][]byte{"bundle.zip": data},
	}))
}

// version creates a version of a program from a ConfigMap of its own name.
func (g *group) version(t testing.TB, program, version string, change ...func(*v1alpha1.MiniProgramVersion)) *v1alpha1.MiniProgramVersion {
	t.Helper()
	name := program + "-" + version
	v := &v1alpha1.MiniProgramVersion{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name},
		Spec: v1alpha1.MiniProgramVersionSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: program}, Version: version,
			Source: v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: name, Key: "bundle.zip"}},
			Review: v1alpha1.ReviewRequested, SubmittedBy: g.danaName,
		},
	}
	for _, c := range change {
		c(v)
	}
	g.must(t, g.dana.Create(ctx(t), v))
	return v
}

// release creates a version and the ConfigMap that it comes from.
func (g *group) release(t testing.TB, program, version string) *v1alpha1.MiniProgramVersion {
	t.Helper()
	g.configMap(t, program+"-"+version, archive(t, program+" "+version))
	return g.version(t, program, version)
}

// awaitVersion waits until a condition of the version is what is wanted.
func (g *group) awaitVersion(t testing.TB, name, kind, want string) *v1alpha1.MiniProgramVersion {
	t.Helper()
	var v v1alpha1.MiniProgramVersion
	eventually(t, name+" "+kind, func() string {
		if err := g.admin.Get(ctx(t), key(g.ns, name), &v); err != nil {
			return err.Error()
		}
		if got := condition(v.Status.Conditions, kind); got != want {
			return "got  " + got + "\nwant " + want + "\n" + show(v.Status)
		}
		return ""
	})
	return &v
}

// pending waits for a pending Review of the version in a role.
func (g *group) pending(t testing.TB, version, role string) *v1alpha1.Review {
	t.Helper()
	var found *v1alpha1.Review
	eventually(t, "pending Review of "+version, func() string {
		var list v1alpha1.ReviewList
		if err := g.admin.List(ctx(t), &list, client.InNamespace(g.ns)); err != nil {
			return err.Error()
		}
		for i := range list.Items {
			r := &list.Items[i]
			if r.Spec.VersionRef.Name == version && r.Spec.Role == role && r.Spec.Decision == v1alpha1.DecisionPending {
				found = r
				return ""
			}
		}
		return "none of role " + role + " among " + show(list.Items)
	})
	return found
}

// decide answers a pending Review as the user of the client.
func (g *group) decide(t testing.TB, who client.Client, user string, review *v1alpha1.Review, decision, comment string) error {
	t.Helper()
	review = review.DeepCopy()
	before := review.DeepCopy()
	review.Spec.Decision, review.Spec.Reviewer, review.Spec.Comment = decision, user, comment
	return who.Patch(ctx(t), review, client.MergeFrom(before))
}

// approve waits for the pending Review in role quality and lets rosa approve it.
func (g *group) approve(t testing.TB, version string) {
	t.Helper()
	g.must(t, g.decide(t, g.rosa, g.rosaName, g.pending(t, version, "quality"), v1alpha1.DecisionApproved, ""))
}

// rollout creates a Rollout with the steps.
func (g *group) rollout(t testing.TB, program, version string, steps ...v1alpha1.RolloutStep) {
	t.Helper()
	g.must(t, g.olu.Create(ctx(t), &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: program},
		Spec: v1alpha1.RolloutSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: program},
			VersionRef:     v1alpha1.VersionReference{Name: program + "-" + version}, Steps: steps,
		},
	}))
}

// awaitRollout waits until check finds nothing missing.
func (g *group) awaitRollout(t testing.TB, name, what string, check func(*v1alpha1.Rollout) bool) *v1alpha1.Rollout {
	t.Helper()
	var ro v1alpha1.Rollout
	eventually(t, name+": "+what, func() string {
		if err := g.admin.Get(ctx(t), key(g.ns, name), &ro); err != nil {
			return err.Error()
		}
		if !check(&ro) {
			return show(ro.Status)
		}
		return ""
	})
	return &ro
}
