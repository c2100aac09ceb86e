package controller

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
)

// rolloutsAtOnce is how many passes are made side by side, so that an abort does not
// wait behind a pass that the API server answers slowly. Each is of another Rollout; what
// they share is guarded by versions of what they write.
const rolloutsAtOnce = 4

// SetupWithManager registers the reconciler and what wakes it.
func (r *RolloutReconciler) SetupWithManager(mgr ctrl.Manager) error {
	wake := func(which func(client.Object) []client.ListOption) handler.EventHandler {
		return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
			return r.rollouts(ctx, which(o)...)
		})
	}
	all := wake(func(client.Object) []client.ListOption { return nil })
	ofProgram := wake(func(o client.Object) []client.ListOption { return beside(o, indexProgram, programOf(o)) })
	served := wake(func(o client.Object) []client.ListOption { return beside(o, indexServes, o.GetName()) })
	build := ctrl.NewControllerManagedBy(mgr).
		Named("rollout").
		WithOptions(controller.Options{MaxConcurrentReconciles: rolloutsAtOnce}).
		For(&v1alpha1.Rollout{}).
		Watches(&v1alpha1.Rollout{}, ofProgram).
		Watches(&v1alpha1.MiniProgramVersion{}, served).
		Watches(&v1alpha1.MiniProgram{}, wake(func(o client.Object) []client.ListOption { return beside(o, indexProgram, o.GetName()) })).
		// A veto must not wait until a version, which may be fetching, has told of it.
		Watches(&v1alpha1.Review{}, ofProgram, becameVeto).
		Watches(&v1alpha1.Review{}, handler.EnqueueRequestsFromMapFunc(rolloutOfStep), specChanged).
		Watches(&v1alpha1.HostApp{}, all, specChanged).
		Watches(&v1alpha1.ReviewPolicy{}, all, specChanged).
		Watches(&corev1.Namespace{}, wake(func(o client.Object) []client.ListOption {
			return []client.ListOption{client.InNamespace(o.GetName())}
		}), labelsChanged).
		Watches(&corev1.ConfigMap{}, r.publishedChanged())
	if r.Guards != nil {
		build = build.WatchesRawSource(r.measured())
	}
	return build.Complete(r)
}

// publishedChanged wakes those whom a ConfigMap of the publication namespace concerns. A
// ledger is written for each Rollout of a program, and woke all of them each time, were it
// not for what has changed in it.
func (r *RolloutReconciler) publishedChanged() handler.EventHandler {
	wake := handler.EnqueueRequestsFromMapFunc(r.rolloutsOfConfigMap)
	narrow := handler.Funcs{CreateFunc: wake.Create, DeleteFunc: wake.Delete, GenericFunc: wake.Generic}
	narrow.UpdateFunc = func(ctx context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		before, _ := e.ObjectOld.(*corev1.ConfigMap)
		after, isConfigMap := e.ObjectNew.(*corev1.ConfigMap)
		if !isConfigMap || after.Labels[delivery.DocumentLabel] != delivery.KindLedger {
			wake.Update(ctx, e, queue)
			return
		}
		difference := ledger.Compare(before, after)
		if difference.Holder {
			wake.Update(ctx, e, queue)
		}
		for _, key := range difference.Rollouts {
			queue.Add(reconcile.Request{NamespacedName: key})
		}
	}
	return narrow
}

// beside selects by an index in the namespace of an object.
func beside(o client.Object, index, value string) []client.ListOption {
	return []client.ListOption{client.InNamespace(o.GetNamespace()), client.MatchingFields{index: value}}
}

// servedBy names the versions that a Rollout hands out, is to hand out, or could go back to.
func servedBy(ro *v1alpha1.Rollout) []string {
	names := []string{ro.Spec.VersionRef.Name}
	for _, v := range []*v1alpha1.Variant{ro.Status.Stable, ro.Status.Target} {
		if v != nil {
			names = append(names, v.VersionRef)
		}
	}
	for _, v := range ro.Status.Rollbacks {
		names = append(names, v.VersionRef)
	}
	return names
}

// rollouts are the keys of those that the options select. Only names are read, so
// nothing is copied out of the cache.
func (r *RolloutReconciler) rollouts(ctx context.Context, opts ...client.ListOption) []reconcile.Request {
	var list v1alpha1.RolloutList
	if err := r.Client.List(ctx, &list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing rollouts to wake")
		return nil
	}
	out := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}
