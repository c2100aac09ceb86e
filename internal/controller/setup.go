package controller

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// Setup registers all reconcilers, given the one that has parts of its own.
func Setup(ctx context.Context, mgr ctrl.Manager, versions *MiniProgramVersionReconciler) error {
	shared := versions.Shared
	if err := addIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	keysChanged := make(chan event.GenericEvent, 1)
	for _, r := range []interface{ SetupWithManager(ctrl.Manager) error }{
		versions,
		&MiniProgramReconciler{Shared: shared},
		&ReviewReconciler{Shared: shared},
		&ReviewPolicyReconciler{Shared: shared},
		&HostAppReconciler{Shared: shared, KeysChanged: keysChanged},
		&RolloutReconciler{Shared: shared},
		&KeysReconciler{Shared: shared, Changed: keysChanged},
	} {
		if err := r.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	if shared.Journal != nil {
		if err := (&JournalReconciler{Shared: shared}).SetupWithManager(mgr); err != nil {
			return err
		}
	}
	if shared.Guards != nil {
		if err := mgr.Add(shared.Guards); err != nil {
			return err
		}
	}
	// Last: the reconcilers above have asked to be told of the proof.
	return mgr.Add(shared.Enforcement)
}
