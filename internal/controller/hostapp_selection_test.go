package controller

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// The API server refuses such a selector; an object from before that rule selects nothing.
func TestAHostAppSelectsProgramsByGuardedLabelsOnly(t *testing.T) {
	in := func(key string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: metav1.LabelSelectorOpExists}}}
	}
	const (
		ask   = ": ask the platform's administrators to correct it"
		own   = `HostApp wallet: spec.miniProgramSelector cannot be read: key "team" does not begin with policy.miniprogram.dev/, so whoever edits a mini program may change such a label` + ask
		other = "host app wallet does not take MiniProgram shop (its spec.miniProgramSelector): ask the platform's administrators to label the MiniProgram (needs verb classify)"
	)
	program := &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop-team", Name: "shop", Labels: map[string]string{"team": "a", "policy.miniprogram.dev/tier": "gold"},
	}}
	type answer struct{ Why, Err string }
	for name, test := range map[string]struct {
		spec v1alpha1.HostAppSpec
		want answer
	}{
		"without selectors it takes all":           {},
		"a guarded label":                          {v1alpha1.HostAppSpec{MiniProgramSelector: in("policy.miniprogram.dev/tier")}, answer{}},
		"a guarded label that it lacks":            {v1alpha1.HostAppSpec{MiniProgramSelector: in("policy.miniprogram.dev/pays")}, answer{Why: other}},
		"a label of its own, by expression":        {v1alpha1.HostAppSpec{MiniProgramSelector: in("team")}, answer{Err: own}},
		"a label of its own, by value":             {v1alpha1.HostAppSpec{MiniProgramSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}}, answer{Err: own}},
		"namespaces may be chosen by any label":    {v1alpha1.HostAppSpec{NamespaceSelector: in("team")}, answer{}},
		"an empty selector of programs takes all":  {v1alpha1.HostAppSpec{MiniProgramSelector: &metav1.LabelSelector{}}, answer{}},
		"one that means nothing is no selector":    {v1alpha1.HostAppSpec{NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "?"}}}}, answer{Err: `HostApp wallet: spec.namespaceSelector cannot be read: "?" is not a valid label selector operator` + ask}},
		"the namespace is looked at first of both": {v1alpha1.HostAppSpec{NamespaceSelector: in("none"), MiniProgramSelector: in("policy.miniprogram.dev/pays")}, answer{Why: "host app wallet does not take mini programs of namespace shop-team (its spec.namespaceSelector): ask the platform's administrators to label the namespace"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &v1alpha1.HostApp{ObjectMeta: metav1.ObjectMeta{Name: "wallet"}, Spec: test.spec}
			why, err := notSelected(h, program, map[string]string{"team": "a"})
			got := answer{Why: why}
			if err != nil {
				got.Err = err.Error()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
