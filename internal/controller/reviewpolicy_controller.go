package controller

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// ReviewPolicyReconciler counts the versions that a policy covers, and says
// whether approvals are guarded at all.
type ReviewPolicyReconciler struct{ Shared }

type policyScope struct {
	policy *v1alpha1.ReviewPolicy
}

// Reconcile brings one policy's status up to date.
func (r *ReviewPolicyReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if err := r.Enforcement.Await(ctx); err != nil {
		return ctrl.Result{}, err
	}
	before := &v1alpha1.ReviewPolicy{}
	if err := r.Client.Get(ctx, req.NamespacedName, before); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	s := &policyScope{policy: before.DeepCopy()}
	err := task.Run(ctx, s, []task.Task[policyScope]{{Name: "count versions", Run: r.count}})
	st, now := &s.policy.Status, r.now()
	st.ObservedGeneration = s.policy.Generation
	st.Conditions = task.Conditions(st.Conditions, s.policy.Generation, err, now, "the policy is applied")
	status, reason, message := metav1.ConditionTrue, "Proven", "admission refuses decisions of whoever lacks the right"
	if why := r.Enforcement.Shut(); why != "" {
		status, reason, message = metav1.ConditionFalse, "NotProven", why+"; until then the gate is shut"
	}
	setCondition(&st.Conditions, s.policy.Generation, now, v1alpha1.ConditionApprovalPolicyEnforced, status, reason, message)
	if perr := r.updateStatus(ctx, before, s.policy, before.Status, s.policy.Status); perr != nil {
		return unwritten(perr)
	}
	return task.Result(err)
}

func (r *ReviewPolicyReconciler) count(ctx context.Context, s *policyScope) error {
	if err := policy.CheckSelectors(s.policy); err != nil {
		return task.Stall("SelectorInvalid", fmt.Errorf("%w; %s", err, strings.Replace(invalidMeans(s.policy), "what it covers", "whatever it might cover", 1)))
	}
	if err := policy.CheckSpec(s.policy); err != nil {
		return task.Stall("PolicyInvalid", fmt.Errorf("%w; %s", err, invalidMeans(s.policy)))
	}
	var versions v1alpha1.MiniProgramVersionList
	if err := r.Client.List(ctx, &versions, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	counts := v1alpha1.PolicyVersions{}
	for i := range versions.Items {
		v := &versions.Items[i]
		covered, err := r.covers(ctx, s.policy, v)
		if err != nil {
			return err
		}
		if !covered {
			continue
		}
		counts.Covered++
		switch by := judgedUnder(s.policy, v); {
		case by == nil:
		case by.Errors+by.Warnings > 0:
			counts.Failed++
		default:
			counts.Passed++
		}
	}
	s.policy.Status.Versions = &counts
	return nil
}

func (r *ReviewPolicyReconciler) covers(ctx context.Context, p *v1alpha1.ReviewPolicy, v *v1alpha1.MiniProgramVersion) (bool, error) {
	var program v1alpha1.MiniProgram
	if err := r.Client.Get(ctx, client.ObjectKey{Namespace: v.Namespace, Name: v.Spec.MiniProgramRef.Name}, &program); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	var namespace corev1.Namespace
	if err := r.Client.Get(ctx, client.ObjectKey{Name: v.Namespace}, &namespace); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return policy.Selects(p, namespace.Labels, program.Labels, program.Spec.HostApps)
}

// invalidMeans says what becomes of what a policy covers that cannot be applied.
func invalidMeans(p *v1alpha1.ReviewPolicy) string {
	if onlyTells(p) {
		return "it is not applied until it is corrected"
	}
	return "what it covers is held back until it is corrected"
}

// judgedUnder is what the policy has said of the version, when that was last held
// against it; nil: it never was.
func judgedUnder(p *v1alpha1.ReviewPolicy, v *v1alpha1.MiniProgramVersion) *v1alpha1.JudgedBy {
	for i := range v.Status.Policies {
		if by := &v.Status.Policies[i]; by.Name == p.Name {
			return by
		}
	}
	return nil
}

// SetupWithManager registers the reconciler and what wakes it.
func (r *ReviewPolicyReconciler) SetupWithManager(mgr ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(r.allPolicies)
	return ctrl.NewControllerManagedBy(mgr).
		Named("reviewpolicy").
		For(&v1alpha1.ReviewPolicy{}).
		Watches(&v1alpha1.MiniProgramVersion{}, all, contentJudged).
		Watches(&v1alpha1.MiniProgram{}, all, coveredAnew).
		Watches(&corev1.Namespace{}, all, labelsChanged).
		WatchesRawSource(source.Channel(r.Enforcement.changes(), all)).
		Complete(r)
}

func (r *ReviewPolicyReconciler) allPolicies(ctx context.Context, _ client.Object) []reconcile.Request {
	var list v1alpha1.ReviewPolicyList
	if err := r.Client.List(ctx, &list); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing policies to wake")
		return nil
	}
	out := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}
