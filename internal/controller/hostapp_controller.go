package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// HostAppReconciler publishes what the manifest service must know of a host app.
type HostAppReconciler struct {
	Shared
	// KeysChanged tells that other keys are to be shown.
	KeysChanged <-chan event.GenericEvent
}

type hostScope struct {
	host *v1alpha1.HostApp
	// tokens is how many access tokens are good; unreadable is why none could be read, or they are not new.
	tokens     int
	unreadable error
}

// Reconcile publishes one host app's configuration and reports on it.
func (r *HostAppReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	before := &v1alpha1.HostApp{}
	if err := r.Client.Get(ctx, req.NamespacedName, before); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return ctrl.Result{}, r.withdraw(ctx, req.Name)
		}
		return ctrl.Result{}, err
	}
	s := &hostScope{host: before.DeepCopy()}
	// Blocks are published first: they win over everything that could fail later.
	err := task.Run(ctx, s, []task.Task[hostScope]{
		{Name: "publish configuration", Run: r.publish},
		{Name: "count programs", Run: r.countPrograms},
		{Name: "show keys", Run: r.showKeys},
		{Name: "say what access lacks", Run: func(_ context.Context, s *hostScope) error { return s.unreadable }},
	})
	if overtaken(err) {
		return tryAgain, nil
	}
	st := &s.host.Status
	st.ObservedGeneration = s.host.Generation
	st.Conditions = task.Conditions(st.Conditions, s.host.Generation, err, r.now(), hostMessage(s))
	if perr := r.updateStatus(ctx, before, s.host, before.Status, s.host.Status); perr != nil {
		return unwritten(perr)
	}
	result, err := task.Result(err)
	if asksForTokens(s.host) && err == nil && (result.RequeueAfter == 0 || result.RequeueAfter > tokensRereadAfter) {
		result.RequeueAfter = tokensRereadAfter
	}
	return result, err
}

// hostMessage says what the manifest service does for the host app.
func hostMessage(s *hostScope) string {
	h := s.host
	if h.Spec.Availability == v1alpha1.HostAppDisabled {
		return "the host app is disabled: the manifest service hands it nothing, and nothing changes on its devices"
	}
	message := "the manifest service answers this host app"
	if s.tokens > 0 {
		message += fmt.Sprintf(", with one of %d access tokens", s.tokens)
	}
	message += fmt.Sprintf("; mini programs that it may be sent: %d", h.Status.MiniPrograms)
	if n := len(h.Spec.Blocks); n > 0 {
		message += fmt.Sprintf("; blocks: %d", n)
	}
	return message
}

func (r *HostAppReconciler) publish(ctx context.Context, s *hostScope) error {
	config := delivery.HostAppConfigOf(s.host)
	if asksForTokens(s.host) {
		config.TokenHashes = r.tokenHashes(ctx, s)
	}
	data, err := delivery.MarshalHostApp(config)
	if err != nil {
		return err
	}
	name := delivery.HostAppConfigMap(s.host.Name)
	existing, err := r.findPublished(ctx, name)
	if err != nil {
		return err
	}
	all := r.hostAppItem(existing, config)
	all[delivery.KeyHostApp] = data
	_, err = r.applyOver(ctx, existing, name, map[string]string{delivery.DocumentLabel: delivery.KindHostApp}, all)
	return err
}

// withdraw deletes the configuration of a host app that is gone. What the
// manifest service makes of that is its own affair: absence removes nothing
// from a device.
func (r *HostAppReconciler) withdraw(ctx context.Context, name string) error {
	// Programs may name host apps that never were: only what is there is deleted.
	cm, err := r.findPublished(ctx, delivery.HostAppConfigMap(name))
	if err != nil || cm == nil || cm.Labels[delivery.DocumentLabel] != delivery.KindHostApp {
		return err
	}
	seen := client.Preconditions{UID: &cm.UID, ResourceVersion: &cm.ResourceVersion}
	return client.IgnoreNotFound(r.Client.Delete(ctx, cm, seen))
}

func (r *HostAppReconciler) countPrograms(ctx context.Context, s *hostScope) error {
	if err := checkSelectors(s.host); err != nil {
		return err // also while no program names it
	}
	var programs v1alpha1.MiniProgramList
	// Read only, and for every change of a program: not worth a copy of all.
	if err := r.Client.List(ctx, &programs, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	n := int32(0)
	for i := range programs.Items {
		p := &programs.Items[i]
		if !slices.Contains(p.Spec.HostApps, s.host.Name) {
			continue
		}
		why, err := r.notTaken(ctx, s.host, p)
		if err != nil {
			return err
		}
		if why == "" {
			n++
		}
	}
	s.host.Status.MiniPrograms = n
	s.host.Status.URL, s.host.Status.RunURL = "", ""
	if delivery.HostAppConfigOf(s.host).TakesFiles() {
		s.host.Status.RunURL = clip(r.RunURL, maxURL)
	}
	if r.ManifestURL != "" {
		s.host.Status.URL = clip(delivery.HostURL(r.ManifestURL, s.host.Name), maxURL)
	}
	return nil
}

// showKeys shows all keys that are trusted. One that is missing is told although what
// was read before goes on signing: until the manager starts again.
func (r *HostAppReconciler) showKeys(ctx context.Context, s *hostScope) error {
	set, err := r.keys(ctx)
	if err != nil {
		return err
	}
	s.host.Status.Keys = nil
	for _, k := range set.Keys {
		s.host.Status.Keys = append(s.host.Status.Keys, v1alpha1.SigningKey{
			KeyID: k.KeyID, Algorithm: k.Algorithm, PublicKey: k.PublicKey, State: string(k.State),
		})
	}
	if err := r.Keys.Trouble(); errors.Is(err, signing.ErrKeyMissing) {
		return keyMissing(err)
	}
	return nil
}

// SetupWithManager registers the reconciler and what wakes it.
func (r *HostAppReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("hostapp").
		For(&v1alpha1.HostApp{}).
		Watches(&v1alpha1.MiniProgram{}, handler.EnqueueRequestsFromMapFunc(hostsOfProgram), coveredAnew).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.choosers), labelsChanged).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.hostOfConfigMap)).
		WatchesRawSource(source.Channel(r.KeysChanged, handler.EnqueueRequestsFromMapFunc(r.all))).
		Complete(r)
}

func hostsOfProgram(_ context.Context, o client.Object) []reconcile.Request {
	p, ok := o.(*v1alpha1.MiniProgram)
	if !ok {
		return nil
	}
	var out []reconcile.Request
	for _, h := range p.Spec.HostApps {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKey{Name: h}})
	}
	return out
}

// choosers wakes the host apps that choose namespaces by their labels.
func (r *HostAppReconciler) choosers(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.hosts(ctx, func(h *v1alpha1.HostApp) bool { return h.Spec.NamespaceSelector != nil })
}

// all wakes every host app: each shows the keys.
func (r *HostAppReconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.hosts(ctx, func(*v1alpha1.HostApp) bool { return true })
}

// hostOfConfigMap wakes the host app whose published configuration was touched.
func (r *HostAppReconciler) hostOfConfigMap(ctx context.Context, o client.Object) []reconcile.Request {
	if !strings.HasSuffix(o.GetName(), ".hostapp") {
		return nil
	}
	return r.hosts(ctx, func(h *v1alpha1.HostApp) bool { return delivery.HostAppConfigMap(h.Name) == o.GetName() })
}

func (r *HostAppReconciler) hosts(ctx context.Context, want func(*v1alpha1.HostApp) bool) []reconcile.Request {
	var hosts v1alpha1.HostAppList
	if err := r.Client.List(ctx, &hosts); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing host apps to wake")
		return nil
	}
	var out []reconcile.Request
	for i := range hosts.Items {
		if want(&hosts.Items[i]) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&hosts.Items[i])})
		}
	}
	return out
}
