package controller

import (
	"context"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// askHostApps finds out which host apps do not take the program: its developers are
// told before there is a Rollout. A host app whose selector cannot be read is
// not theirs to mend, and keeps them from nothing else.
func (r *MiniProgramReconciler) askHostApps(ctx context.Context, s *programScope) error {
	hosts, err := r.hostApps(ctx, s.program.Spec.HostApps)
	if err != nil {
		return err
	}
	for i := range hosts {
		if err := checkSelectors(&hosts[i]); err != nil {
			s.notTaken = append(s.notTaken, err.Error())
			continue
		}
		why, err := r.notTaken(ctx, &hosts[i], s.program)
		if err != nil {
			return err
		}
		if why != "" {
			s.notTaken = append(s.notTaken, why)
		}
	}
	slices.Sort(s.notTaken)
	return nil
}

// programsOfHostApp wakes the programs that name a host app.
func (r *MiniProgramReconciler) programsOfHostApp(ctx context.Context, o client.Object) []reconcile.Request {
	return r.programs(ctx, func(p *v1alpha1.MiniProgram) bool { return slices.Contains(p.Spec.HostApps, o.GetName()) })
}

// programsOfNamespace wakes the programs of a namespace, whose labels host apps select by.
func (r *MiniProgramReconciler) programsOfNamespace(ctx context.Context, o client.Object) []reconcile.Request {
	return r.programs(ctx, func(*v1alpha1.MiniProgram) bool { return true }, client.InNamespace(o.GetName()))
}

// programs are the keys of those that are wanted. They are only read, so nothing is
// copied out of the cache.
func (r *MiniProgramReconciler) programs(ctx context.Context, want func(*v1alpha1.MiniProgram) bool, opts ...client.ListOption) []reconcile.Request {
	var list v1alpha1.MiniProgramList
	if err := r.Client.List(ctx, &list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing programs to wake")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if want(&list.Items[i]) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return out
}
