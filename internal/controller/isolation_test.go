package controller_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// namesOf are ways to write the name of another namespace's object.
func namesOf(ns, kind, name string) []string {
	return []string{
		name, ns + "/" + name, ns + "." + name, "../" + ns + "/" + name,
		"../../" + ns + "/" + kind + "/" + name, "../../../namespaces/" + ns + "/" + kind + "/" + name, "..%2f..%2f" + ns + "%2f" + kind + "%2f" + name,
	}
}

func TestNoSourceOfAnotherGroupIsRead(t *testing.T) {
	first, second := newGroup(t, "quality"), newGroup(t, "quality")
	first.configMap(t, "bundle", archive(t, "theirs"))
	first.must(t, first.dana.Create(ctx(t), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: first.ns, Name: "token", Labels: map[string]string{v1alpha1.SourceLabel: "true"}},
		StringData: map[string]string{"username": "theirs", "password": "theirs"},
	}))
	second.program(t, "app")
	var sources []v1alpha1.BundleSource
	for _, name := range namesOf(first.ns, "configmaps", "bundle") {
		sources = append(sources, v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: name, Key: "bundle.zip"}})
	}
	for _, name := range namesOf(first.ns, "secrets", "token") {
		sources = append(sources, v1alpha1.BundleSource{OCI: &v1alpha1.OCISource{
			Ref: second.registryHost() + "/theirs:1.0.0", SecretRef: &v1alpha1.SecretReference{Name: name},
		}})
	}
	for i, source := range sources {
		t.Run(show(source), func(t *testing.T) {
			version := fmt.Sprintf("1.0.%d", i)
			second.version(t, "app", version, func(v *v1alpha1.MiniProgramVersion) { v.Spec.Source = source })
			var v v1alpha1.MiniProgramVersion
			eventually(t, "it is looked at", func() string {
				second.must(t, second.admin.Get(ctx(t), key(second.ns, "app-"+version), &v))
				if v.Status.ObservedGeneration != v.Generation {
					return show(v.Status)
				}
				return ""
			})
			ready := condition(v.Status.Conditions, v1alpha1.ConditionReady)
			notThere := strings.HasPrefix(ready, "False SourceMissing: ") && strings.Contains(ready, "which does not exist in namespace "+second.ns)
			noName := strings.HasPrefix(ready, "False Error: ") && strings.Contains(ready, "invalid resource name")
			if !notThere && !noName || v.Status.Artifact != nil {
				t.Errorf("it is %s\n%s", ready, show(v.Status))
			}
		})
	}
}

func TestNoVersionOfAnotherGroupIsRolledOut(t *testing.T) {
	first, second := newGroup(t, "quality"), newGroup(t, "quality")
	first.stableAt(t, "1.0.0")
	second.program(t, "app")
	names := namesOf(first.ns, "miniprogramversions", "app-1.0.0")
	for i, name := range names {
		program := "app"
		if i%2 == 1 { // by the program as well
			program = namesOf(first.ns, "miniprograms", "app")[i]
		}
		ro := &v1alpha1.Rollout{
			ObjectMeta: metav1.ObjectMeta{Namespace: second.ns, Name: fmt.Sprintf("take-%d", i)},
			Spec: v1alpha1.RolloutSpec{
				MiniProgramRef: v1alpha1.MiniProgramReference{Name: program}, VersionRef: v1alpha1.VersionReference{Name: name}, HostApps: []string{first.host},
			},
		}
		second.must(t, second.olu.Create(ctx(t), ro))
		ro = second.awaitRollout(t, ro.Name, "it is looked at", func(ro *v1alpha1.Rollout) bool { return ro.Status.ObservedGeneration == ro.Generation })
		if ro.Status.Target != nil || ro.Status.Stable != nil || ro.Status.Published != nil {
			t.Errorf("%s of program %s is served: %s", name, program, show(ro.Status))
		}
	}
	if docs := first.documents(t, first.ns+".app"); len(docs) != 1 || docs[first.ns] == nil {
		t.Errorf("published are %s", show(docs))
	}
}

// Each of two programs whose names read alike with a dash has a repository of its own.
func TestEachProgramHasItsOwnRepository(t *testing.T) {
	g := newGroup(t, "quality")
	var got []string
	for _, program := range []string{"app", "app.x", "app-x"} {
		g.program(t, program)
		g.configMap(t, program+"-1.0.0", archive(t, program))
		g.version(t, program, "1.0.0")
		v := g.awaitVersion(t, program+"-1.0.0", v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
		got = append(got, strings.TrimPrefix(v.Status.Artifact.Repository, g.registryHost()))
	}
	want := []string{"/miniprograms/" + g.ns + "/app", "/miniprograms/" + g.ns + "/app.x", "/miniprograms/" + g.ns + "/app-x"}
	if show(got) != show(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
