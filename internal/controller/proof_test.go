package controller_test

import (
	"fmt"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

const (
	unguarded = "False NotProven: admission does not guard what people approve: "
	applyIt   = ": ask a cluster administrator to apply config/admission of this version; until then the gate is shut"
	guarded   = "True Proven: admission refuses decisions of whoever lacks the right"
)

// awaitProof waits until the group's policy says this about the proof.
func (g *group) awaitProof(t testing.TB, want string) {
	t.Helper()
	eventually(t, "the proof", func() string {
		var policy v1alpha1.ReviewPolicy
		g.must(t, g.admin.Get(ctx(t), key("", g.ns), &policy))
		if got := condition(policy.Status.Conditions, v1alpha1.ConditionApprovalPolicyEnforced); got != want {
			return fmt.Sprintf("is %q, want %q", got, want)
		}
		return ""
	})
}

// alter changes a cluster-wide object and returns how to put it back.
func alter[O client.Object](t testing.TB, g *group, o O, how func(O)) (restore func()) {
	t.Helper()
	g.must(t, g.admin.Get(ctx(t), client.ObjectKeyFromObject(o), o))
	before, ok := o.DeepCopyObject().(O)
	if !ok {
		t.Fatal("a copy of another type")
	}
	how(o)
	g.must(t, g.admin.Patch(ctx(t), o, client.MergeFrom(before)))
	restore = func() {
		g.must(t, g.admin.Get(ctx(t), client.ObjectKeyFromObject(o), o))
		before.SetResourceVersion(o.GetResourceVersion())
		g.must(t, g.admin.Patch(ctx(t), before, client.MergeFrom(o)))
	}
	t.Cleanup(restore)
	return restore
}

// without deletes a cluster-wide object and returns how to put it back.
func without(t testing.TB, g *group, o client.Object) (restore func()) {
	t.Helper()
	g.must(t, g.admin.Get(ctx(t), client.ObjectKeyFromObject(o), o))
	g.must(t, g.admin.Delete(ctx(t), o))
	restore = func() {
		o.SetResourceVersion("")
		o.SetUID("")
		g.must(t, client.IgnoreAlreadyExists(g.admin.Create(ctx(t), o)))
	}
	t.Cleanup(restore)
	return restore
}

func guard(name string) *admissionregistrationv1.ValidatingAdmissionPolicy {
	return &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func bound(name string) *admissionregistrationv1.ValidatingAdmissionPolicyBinding {
	return &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func TestTheGateShutsWhenAGuardIsTouched(t *testing.T) {
	g := newGroup(t, "quality")
	g.awaitProof(t, guarded)
	ignore := admissionregistrationv1.Ignore
	for name, test := range map[string]struct {
		touch func(t *testing.T) (restore func())
		want  string
	}{
		"a binding is removed": {
			touch: func(t *testing.T) func() { return without(t, g, bound("miniprogram-status-writers")) },
			want:  "ValidatingAdmissionPolicyBinding miniprogram-status-writers is missing",
		},
		"a policy is removed": {
			touch: func(t *testing.T) func() { return without(t, g, guard("miniprogram-review-vetoes")) },
			want:  "ValidatingAdmissionPolicy miniprogram-review-vetoes is missing",
		},
		"a binding only warns": {
			touch: func(t *testing.T) func() {
				return alter(t, g, bound("miniprogram-actions"), func(b *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
					b.Spec.ValidationActions = []admissionregistrationv1.ValidationAction{admissionregistrationv1.Warn}
				})
			},
			want: `ValidatingAdmissionPolicyBinding miniprogram-actions has spec.validationActions[0] "Warn", which must be "Deny"`,
		},
		"a binding looks elsewhere": {
			touch: func(t *testing.T) func() {
				return alter(t, g, bound("miniprogram-review-decisions"), func(b *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
					b.Spec.MatchResources = &admissionregistrationv1.MatchResources{
						NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "other"}},
					}
				})
			},
			want: "ValidatingAdmissionPolicyBinding miniprogram-review-decisions has spec.matchResources.namespaceSelector.matchLabels, which it must not have",
		},
		"an expression is weakened": {
			touch: func(t *testing.T) func() {
				return alter(t, g, guard("miniprogram-review-lifecycle"), func(p *admissionregistrationv1.ValidatingAdmissionPolicy) {
					p.Spec.Validations[2].Expression = "true"
				})
			},
			want: "ValidatingAdmissionPolicy miniprogram-review-lifecycle has another spec.validations[2].expression",
		},
		"a validation is dropped": {
			touch: func(t *testing.T) func() {
				return alter(t, g, guard("miniprogram-publication"), func(p *admissionregistrationv1.ValidatingAdmissionPolicy) {
					p.Spec.Validations = p.Spec.Validations[:len(p.Spec.Validations)-1]
				})
			},
			want: "ValidatingAdmissionPolicy miniprogram-publication has no spec.validations[4]",
		},
		"a condition is added": {
			touch: func(t *testing.T) func() {
				return alter(t, g, guard("miniprogram-review-decisions"), func(p *admissionregistrationv1.ValidatingAdmissionPolicy) {
					p.Spec.MatchConditions = append(p.Spec.MatchConditions, admissionregistrationv1.MatchCondition{
						Name: "not-mine", Expression: "request.userInfo.username != 'mallory'",
					})
				})
			},
			want: "ValidatingAdmissionPolicy miniprogram-review-decisions has spec.matchConditions[1], which it must not have",
		},
		"its own failure is ignored": {
			touch: func(t *testing.T) func() {
				return alter(t, g, guard("miniprogram-version-authors"), func(p *admissionregistrationv1.ValidatingAdmissionPolicy) { p.Spec.FailurePolicy = &ignore })
			},
			want: `ValidatingAdmissionPolicy miniprogram-version-authors has spec.failurePolicy "Ignore", which must be "Fail"`,
		},
		"a policy is being deleted": {
			touch: func(t *testing.T) func() {
				policy := guard("miniprogram-mini-programs")
				g.must(t, g.admin.Get(ctx(t), client.ObjectKeyFromObject(policy), policy))
				policy.Finalizers = []string{"example.com/later"}
				g.must(t, g.admin.Update(ctx(t), policy))
				restore := without(t, g, policy)
				return func() {
					policy.Finalizers = nil
					g.must(t, client.IgnoreNotFound(g.admin.Patch(ctx(t), guard(policy.Name), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))))
					restore()
				}
			},
			want: "ValidatingAdmissionPolicy miniprogram-mini-programs is being deleted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			restore := test.touch(t)
			g.awaitProof(t, unguarded+test.want+applyIt)
			restore()
			g.awaitProof(t, guarded)
		})
	}
}

func TestAnApprovalCountsOnlyWhileItIsGuarded(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	pending := g.pending(t, "app-1.0.0", "quality")
	g.approve(t, "app-1.0.0")
	approved := func(status string) {
		t.Helper()
		eventually(t, "Approved "+status, func() string {
			var v v1alpha1.MiniProgramVersion
			g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
			if got := condition(v.Status.Conditions, v1alpha1.ConditionApproved); !strings.HasPrefix(got, status) {
				return fmt.Sprintf("is %q", got)
			}
			return ""
		})
	}
	says := func(ready string) {
		t.Helper()
		eventually(t, "the Review says "+ready, func() string {
			var r v1alpha1.Review
			g.must(t, g.admin.Get(ctx(t), key(g.ns, pending.Name), &r))
			if got := condition(r.Status.Conditions, v1alpha1.ConditionReady); !strings.HasPrefix(got, ready) {
				return fmt.Sprintf("it says %q", got)
			}
			return ""
		})
	}
	approved("True ")
	says("True Succeeded: Approved by ")
	restore := without(t, g, bound("miniprogram-review-deletion"))
	approved("False ApprovalPolicyNotEnforced: admission does not guard what people approve: ValidatingAdmissionPolicyBinding miniprogram-review-deletion is missing")
	says("False ApprovalPolicyNotEnforced: an approval does not count while the gate is shut: admission does not guard what people approve: ")
	restore()
	approved("True ")
	says("True Succeeded: Approved by ")
}
