package controller

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// What reconcilers watch beside their own kind changes often in ways that mean
// nothing to them: the status of policies and host apps with every version.
var (
	specChanged   = builder.WithPredicates(predicate.GenerationChangedPredicate{})
	labelsChanged = builder.WithPredicates(predicate.LabelChangedPredicate{})
	// Policies select mini programs by labels and by the host apps in their spec.
	labelsOrSpecChanged = builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}))
)

// Setup registers all reconcilers, given the one that has parts of its own.
func Setup(ctx context.Context, mgr ctrl.Manager, versions *MiniProgramVersionReconciler) error {
	shared := versions.Shared
	for index, name := range map[string]func(v1alpha1.ReviewSpec) string{
		indexVersionRef: func(s v1alpha1.ReviewSpec) string { return s.VersionRef.Name },
		indexProgramRef: func(s v1alpha1.ReviewSpec) string { return s.MiniProgramRef.Name },
		indexRollout: func(s v1alpha1.ReviewSpec) string {
			if s.Rollout == nil {
				return ""
			}
			return s.Rollout.Name
		},
	} {
		err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.Review{}, index, func(o client.Object) []string {
			if review, ok := o.(*v1alpha1.Review); ok {
				return []string{name(review.Spec)}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("indexing Reviews: %w", err)
		}
	}
	err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.Rollout{}, indexPublished, func(o client.Object) []string {
		return []string{delivery.RolloutConfigMap(o.GetNamespace(), o.GetName())}
	})
	if err != nil {
		return fmt.Errorf("indexing Rollouts: %w", err)
	}
	for _, r := range []interface{ SetupWithManager(ctrl.Manager) error }{
		versions,
		&MiniProgramReconciler{Shared: shared},
		&ReviewReconciler{Shared: shared},
		&ReviewPolicyReconciler{Shared: shared},
		&HostAppReconciler{Shared: shared},
		&RolloutReconciler{Shared: shared},
	} {
		if err := r.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	// Last: the reconcilers above have asked to be told of the proof.
	return mgr.Add(shared.Enforcement)
}
