package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/config/admission"
)

// Names in config/admission and config/install that tell which namespace is
// published in: the policy is bound to the stock one by its name, and to any
// other by the label.
const (
	stockPublication   = "miniprogram-published"
	publicationBinding = "miniprogram-publication"
	publicationLabel   = "miniprogram.dev/publication"
)

// compareGuards returns nil when the cluster has every policy and binding of
// config/admission as this version means them, with the API server's defaults.
// Otherwise its error names the first object that differs, where, and what to do.
func compareGuards(ctx context.Context, cluster client.Reader, publicationNamespace string) error {
	want, err := admission.Read()
	if err != nil {
		return err
	}
	if err := forPublication(ctx, cluster, want, publicationNamespace); err != nil {
		return err
	}
	for i := range want.Policies {
		live := &admissionregistrationv1.ValidatingAdmissionPolicy{}
		if err := findGuard(ctx, cluster, &want.Policies[i], "ValidatingAdmissionPolicy", live); err != nil {
			return err
		}
		if err := sameGuard("ValidatingAdmissionPolicy "+live.Name, normalPolicy(want.Policies[i].Spec), normalPolicy(live.Spec)); err != nil {
			return err
		}
	}
	for i := range want.Bindings {
		live := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
		if err := findGuard(ctx, cluster, &want.Bindings[i], "ValidatingAdmissionPolicyBinding", live); err != nil {
			return err
		}
		if err := sameGuard("ValidatingAdmissionPolicyBinding "+live.Name, normalBinding(want.Bindings[i].Spec), normalBinding(live.Spec)); err != nil {
			return err
		}
	}
	return nil
}

func unguarded(format string, args ...any) error {
	return fmt.Errorf("%w: %s: ask a cluster administrator to apply config/admission of this version", errUnguarded, fmt.Sprintf(format, args...))
}

// findGuard reads the live object of the same name. One that is being deleted
// guards no longer than its finalizers last.
func findGuard(ctx context.Context, cluster client.Reader, want client.Object, kind string, live client.Object) error {
	err := cluster.Get(ctx, client.ObjectKeyFromObject(want), live)
	switch {
	case apierrors.IsNotFound(err):
		return unguarded("%s %s is missing", kind, want.GetName())
	case err != nil:
		return fmt.Errorf("reading %s %s: %w", kind, want.GetName(), err)
	case live.GetDeletionTimestamp() != nil:
		return unguarded("%s %s is being deleted", kind, want.GetName())
	}
	return nil
}

// forPublication brings the bindings of the publication policy in line with a
// namespace of another name. There are two ways to have one: with the label, and
// with its name in place of the stock one in both bindings.
func forPublication(ctx context.Context, cluster client.Reader, want *admission.Guards, namespace string) error {
	if namespace == stockPublication {
		return nil
	}
	var live admissionregistrationv1.ValidatingAdmissionPolicyBinding
	if err := client.IgnoreNotFound(cluster.Get(ctx, client.ObjectKey{Name: publicationBinding}, &live)); err != nil {
		return fmt.Errorf("reading ValidatingAdmissionPolicyBinding %s: %w", publicationBinding, err)
	}
	if m := live.Spec.MatchResources; m != nil && m.NamespaceSelector != nil && m.NamespaceSelector.MatchLabels[corev1.LabelMetadataName] == namespace {
		for i := range want.Bindings {
			renamePublication(want.Bindings[i].Spec.MatchResources, namespace)
		}
		return nil
	}
	var ns corev1.Namespace
	if err := client.IgnoreNotFound(cluster.Get(ctx, client.ObjectKey{Name: namespace}, &ns)); err != nil {
		return fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	if ns.Labels[publicationLabel] != "true" {
		return fmt.Errorf("%w: no ValidatingAdmissionPolicyBinding covers publication namespace %s: ask a cluster administrator to label it %s=true",
			errUnguarded, namespace, publicationLabel)
	}
	return nil
}

func renamePublication(m *admissionregistrationv1.MatchResources, namespace string) {
	if m == nil || m.NamespaceSelector == nil {
		return
	}
	if m.NamespaceSelector.MatchLabels[corev1.LabelMetadataName] == stockPublication {
		m.NamespaceSelector.MatchLabels[corev1.LabelMetadataName] = namespace
	}
	for _, e := range m.NamespaceSelector.MatchExpressions {
		if i := slices.Index(e.Values, stockPublication); i >= 0 {
			e.Values[i] = namespace
		}
	}
}

// normalPolicy fills in what the API server does, and orders what has no order.
func normalPolicy(s admissionregistrationv1.ValidatingAdmissionPolicySpec) any {
	s = *s.DeepCopy()
	s.FailurePolicy = orDefault(s.FailurePolicy, admissionregistrationv1.Fail)
	s.MatchConstraints = normalMatch(s.MatchConstraints)
	for i := range s.Validations {
		s.Validations[i].Reason = orDefault(s.Validations[i].Reason, metav1.StatusReasonInvalid)
	}
	return &s
}

func normalBinding(s admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec) any {
	s = *s.DeepCopy()
	slices.Sort(s.ValidationActions)
	s.MatchResources = normalMatch(s.MatchResources)
	return &s
}

func normalMatch(m *admissionregistrationv1.MatchResources) *admissionregistrationv1.MatchResources {
	if m == nil {
		m = &admissionregistrationv1.MatchResources{}
	}
	m.MatchPolicy = orDefault(m.MatchPolicy, admissionregistrationv1.Equivalent)
	m.NamespaceSelector = orDefault(m.NamespaceSelector, metav1.LabelSelector{})
	m.ObjectSelector = orDefault(m.ObjectSelector, metav1.LabelSelector{})
	for _, rules := range [][]admissionregistrationv1.NamedRuleWithOperations{m.ResourceRules, m.ExcludeResourceRules} {
		for i := range rules {
			r := &rules[i]
			r.Scope = orDefault(r.Scope, admissionregistrationv1.AllScopes)
			for _, list := range [][]string{r.ResourceNames, r.APIGroups, r.APIVersions, r.Resources} {
				slices.Sort(list)
			}
			slices.Sort(r.Operations)
		}
	}
	return m
}

func orDefault[T any](value *T, otherwise T) *T {
	if value == nil {
		return &otherwise
	}
	return value
}

// sameGuard compares two specs, given as pointers.
func sameGuard(what string, want, live any) error {
	w, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
	if err != nil {
		return err
	}
	l, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return err
	}
	if d := firstDifference("spec", w, l); d != "" {
		return unguarded("%s %s", what, d)
	}
	return nil
}

// firstDifference says where two values of JSON differ first, fields in the order
// of their names; empty: nowhere.
func firstDifference(path string, want, live any) string {
	switch w := want.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			break
		}
		fields := maps.Clone(w)
		maps.Copy(fields, l)
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			if d := firstDifference(path+"."+field, w[field], l[field]); d != "" {
				return d
			}
		}
		return ""
	case []any:
		l, ok := live.([]any)
		if !ok {
			break
		}
		for i := range max(len(w), len(l)) {
			if d := firstDifference(fmt.Sprintf("%s[%d]", path, i), at(w, i), at(l, i)); d != "" {
				return d
			}
		}
		return ""
	}
	switch w, l := short(want), short(live); {
	case want == nil && live == nil:
		return ""
	case want == nil:
		return "has " + path + ", which it must not have"
	case live == nil:
		return "has no " + path
	case want == live:
		return ""
	case w == "" || l == "":
		return "has another " + path
	default:
		return fmt.Sprintf("has %s %s, which must be %s", path, l, w)
	}
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// short writes a value that fits into a message; empty: it does not.
func short(value any) string {
	const most = 40
	text, err := json.Marshal(value)
	if err != nil || len(text) > most {
		return ""
	}
	return string(text)
}
