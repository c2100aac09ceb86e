package controller

import (
	"cmp"
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/analysis"
	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
)

// gatherGuardrails finds what watches the target and what was measured last. It
// waits for no measurement and returns no error: whatever cannot be read, a failure
// of the rollout's own guardrails is known. Those of policies that cannot be read
// hold the target anyway, for the candidate needs the same policies.
func (r *RolloutReconciler) gatherGuardrails(ctx context.Context, s *rolloutScope) error {
	guards := r.guards(ctx, s)
	measured := r.measurements(s, guards)
	for _, g := range guards {
		watching := rollout.Guardrail{
			Name: g.Name, OnFailure: cmp.Or(g.OnFailure, v1alpha1.OnFailurePause), OnNoData: cmp.Or(g.OnNoData, v1alpha1.OnNoDataHold),
			Interval: time.Duration(guardrail.Interval(&g.Guardrail)) * time.Second,
		}
		if m, ok := measured[g.Name]; ok {
			watching.Measured = &rollout.Measurement{
				Outcome: m.Outcome, Message: m.Message, NoData: m.NoData, AtMostPause: m.AtMostPause, From: m.From, At: m.At, Since: m.Since,
			}
		}
		s.seen.Guardrails = append(s.seen.Guardrails, watching)
	}
	return nil
}

// gatherInstalled asks how many have the target, where a window closes with them.
func (r *RolloutReconciler) gatherInstalled(_ context.Context, s *rolloutScope) error {
	st, users := &s.before.Status, s.plan.Window.Users
	name := client.ObjectKeyFromObject(s.before)
	switch {
	case r.Guards == nil:
		return nil
	case users == 0 || st.Target == nil || st.Document == nil || s.plan.Deleting:
		r.Guards.CountInstalled(name, analysis.Subject{}, 0, 0)
		return nil
	}
	recorded := int64(0)
	if w := st.Document.Window; w != nil {
		recorded = w.Installed
	}
	subject := analysis.Subject{AppID: s.seen.AppID, Attempt: st.Attempt, Target: analysis.Version{Version: st.Target.Version, Digest: st.Target.Digest}}
	s.seen.Installed = r.Guards.CountInstalled(name, subject, recorded, users)
	return nil
}

// guards are the rollout's own, and those of every policy that covers the program and enforces.
func (r *RolloutReconciler) guards(ctx context.Context, s *rolloutScope) []analysis.Guard {
	var all []analysis.Guard
	for _, g := range s.before.Spec.Guardrails {
		all = append(all, analysis.Guard{Name: g.Name, Guardrail: g})
	}
	if s.program == nil {
		s.seen.PoliciesUnread = true
		return all
	}
	covering, err := r.coveringPolicies(ctx, s.program)
	if s.seen.PoliciesUnread = err != nil; err != nil {
		return all
	}
	for _, p := range covering {
		// A word that nobody understands enforces, as everywhere.
		if p.Spec.Rollout == nil || p.Spec.Enforcement == v1alpha1.Warn || p.Spec.Enforcement == v1alpha1.Audit {
			continue
		}
		for _, g := range p.Spec.Rollout.Guardrails {
			all = append(all, analysis.Guard{Name: p.Name + "/" + g.Name, Guardrail: g})
		}
	}
	return all
}

// measurements has the target measured while it is out.
func (r *RolloutReconciler) measurements(s *rolloutScope, guards []analysis.Guard) map[string]analysis.Measurement {
	st := &s.before.Status
	switch {
	case r.Guards == nil:
		return nil
	case st.Target == nil || st.BasisPoints == 0 || s.plan.Deleting:
		r.forget(client.ObjectKeyFromObject(s.before))
		return nil
	case unpublished(st):
		return nil // what is measured already goes on
	}
	subject := analysis.Subject{
		AppID: s.seen.AppID, Attempt: st.Attempt, Target: analysis.Version{Version: st.Target.Version, Digest: st.Target.Digest},
	}
	if st.Stable != nil {
		subject.Stable = analysis.Version{Version: st.Stable.Version, Digest: st.Stable.Digest}
	}
	return r.Guards.Watch(client.ObjectKeyFromObject(s.before), subject, st.BasisPoints == 10000, guards)
}

// gone ends the measuring of a rollout that is not there any more; of any other error it is.
func (r *RolloutReconciler) gone(name types.NamespacedName, err error) error {
	if apierrors.IsNotFound(err) {
		r.forget(name)
		if r.Guards != nil {
			r.Guards.CountInstalled(name, analysis.Subject{}, 0, 0)
		}
		return nil
	}
	return err
}

// forget ends the measuring of a rollout.
func (r *RolloutReconciler) forget(name types.NamespacedName) {
	if r.Guards != nil {
		r.Guards.Watch(name, analysis.Subject{}, false, nil)
	}
}

// measured wakes a rollout after each measurement of one of its guardrails.
func (r *RolloutReconciler) measured() source.Source {
	events := make(chan event.GenericEvent)
	r.Guards.Measured = func(ctx context.Context, name types.NamespacedName) {
		o := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
		select {
		case events <- event.GenericEvent{Object: o}:
		case <-ctx.Done():
		}
	}
	return source.Channel(events, &handler.EnqueueRequestForObject{})
}

// guardrailsHealthy is there while guardrails watch a target.
func guardrailsHealthy(s *rolloutScope, now metav1.Time) {
	st := &s.rollout.Status
	if len(st.Guardrails) == 0 {
		meta.RemoveStatusCondition(&st.Conditions, v1alpha1.ConditionGuardrailsHealthy)
		return
	}
	status, reason, message := metav1.ConditionTrue, v1alpha1.GuardrailPassed, "every guardrail passed when it was measured last"
	for _, word := range []string{v1alpha1.GuardrailFailed, v1alpha1.GuardrailError, v1alpha1.GuardrailInconclusive} {
		i := slices.IndexFunc(st.Guardrails, func(g v1alpha1.GuardrailStatus) bool { return g.Outcome == word })
		if i < 0 {
			continue
		}
		status, reason, message = metav1.ConditionUnknown, word, st.Guardrails[i].Name+": "+st.Guardrails[i].Message
		if word == v1alpha1.GuardrailFailed {
			status = metav1.ConditionFalse
		}
		break
	}
	setCondition(&st.Conditions, s.rollout.Generation, now, v1alpha1.ConditionGuardrailsHealthy, status, reason, message)
}

// tellGuardrails tells each changed word once. That a guardrail is there, or goes with
// its target, is no news.
func (r *RolloutReconciler) tellGuardrails(before, after *v1alpha1.Rollout) {
	for _, g := range after.Status.Guardrails {
		was := slices.IndexFunc(before.Status.Guardrails, func(o v1alpha1.GuardrailStatus) bool { return o.Name == g.Name })
		if was < 0 || before.Status.Guardrails[was].Outcome == g.Outcome {
			continue
		}
		kind := corev1.EventTypeNormal
		if g.Outcome == v1alpha1.GuardrailFailed || g.Outcome == v1alpha1.GuardrailError {
			kind = corev1.EventTypeWarning
		}
		r.event(after, kind, "Guardrail"+g.Outcome, "Measure", "guardrail %s: %s", g.Name, g.Message)
	}
}
