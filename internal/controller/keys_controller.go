package controller

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
)

// KeysReconciler looks after the keys that sign: it leads a rotation from write to
// write, and has every published document signed by a key that is new. There is one set
// of keys, so every request is the same one.
type KeysReconciler struct {
	Shared
	// Changed is told when host apps have other keys to show. It takes at least one event.
	Changed chan<- event.GenericEvent
	// told is what host apps were last told. A controller makes one pass at a time.
	told string
	// complete are the documents that the keys completeBy have signed, by name and version, so
	// that nothing is read again and again of what does not change.
	complete   map[string]string
	completeBy string
}

// Bounds of what a pass does.
const (
	// keysLookedAtAfter is for what cannot be watched: Secrets, and a person's request.
	keysLookedAtAfter = 15 * time.Second
	// signedAnewAtOnce documents are signed by a new key in a pass, one pass a second.
	signedAnewAtOnce = 20
)

// Reconcile does what has fallen due.
func (r *KeysReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	move, err := r.Keys.Advance(ctx, published{&r.Shared})
	r.tell(move, err)
	if overtaken(err) {
		return tryAgain, nil
	}
	if err != nil {
		// A Secret that comes back cannot be watched either.
		ctrl.LoggerFrom(ctx).Error(err, "The signing keys need somebody.")
		return ctrl.Result{RequeueAfter: keysLookedAtAfter}, nil
	}
	set, err := r.Keys.Set(ctx, published{&r.Shared})
	if err != nil {
		return ctrl.Result{}, err
	}
	more, err := r.signAnew(ctx, set)
	switch {
	case overtaken(err):
		return tryAgain, nil
	case err != nil:
		return ctrl.Result{}, err
	case more:
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	return ctrl.Result{RequeueAfter: keysLookedAtAfter}, nil
}

// tell wakes the host apps when what they show of the keys is another.
func (r *KeysReconciler) tell(move signing.Move, err error) {
	now := move.Message
	if err != nil {
		now = err.Error()
	}
	if r.told == now {
		return
	}
	select {
	case r.Changed <- event.GenericEvent{Object: &corev1.ConfigMap{}}:
		r.told = now
	default: // told at the next pass, when the one before was taken
	}
}

// signAnew has some of the documents signed by the keys that have not signed them. A
// document stays what it is: sequence and time of issue are the same, so no host app
// takes it for another. It tells whether more are left.
func (r *KeysReconciler) signAnew(ctx context.Context, set *signing.Set) (bool, error) {
	items, err := published{&r.Shared}.documents(ctx)
	if err != nil {
		return false, err
	}
	was := r.complete
	if keys := set.KeyIDs(); r.completeBy != keys {
		was, r.completeBy = nil, keys
	}
	r.complete = make(map[string]string, len(items))
	n := 0
	for i := range items {
		cm := &items[i]
		if was[cm.Name] == cm.ResourceVersion || set.Complete([]byte(cm.Data[delivery.KeyEnvelope])) {
			r.complete[cm.Name] = cm.ResourceVersion
			continue
		}
		envelope, err := set.SignAnew([]byte(cm.Data[delivery.KeyEnvelope]))
		if err != nil {
			continue // not ours: its Rollout publishes its own again, and nobody is served it
		}
		if n++; n > signedAnewAtOnce {
			return true, nil
		}
		if err := r.replaceEnvelope(ctx, cm, envelope); err != nil {
			return true, err
		}
	}
	return false, nil
}

// replaceEnvelope writes only over what was read: a step that was published meanwhile
// is newer.
func (r *KeysReconciler) replaceEnvelope(ctx context.Context, cm *corev1.ConfigMap, envelope []byte) error {
	data := maps.Clone(cm.Data)
	data[delivery.KeyEnvelope] = string(envelope)
	out := applycorev1.ConfigMap(cm.Name, cm.Namespace).WithLabels(cm.Labels).WithData(data).WithResourceVersion(cm.ResourceVersion)
	err := r.Client.Apply(ctx, out, client.FieldOwner(FieldManager), client.ForceOwnership)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing ConfigMap %s/%s, signed by another key: %w", cm.Namespace, cm.Name, err)
	}
	return nil
}

// SetupWithManager registers the reconciler. It begins once by itself.
func (r *KeysReconciler) SetupWithManager(mgr ctrl.Manager) error {
	once := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(theKeys(r.PublicationNamespace))
		return nil
	})
	chain := func(_ context.Context, o client.Object) []reconcile.Request {
		if o.GetName() != delivery.KeysConfigMap {
			return nil
		}
		return []reconcile.Request{theKeys(r.PublicationNamespace)}
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("keys").
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(chain)).
		WatchesRawSource(once).
		Complete(r)
}

func theKeys(namespace string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: delivery.KeysConfigMap}}
}
