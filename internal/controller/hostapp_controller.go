package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// HostAppReconciler publishes what the manifest service must know of a host app.
type HostAppReconciler struct{ Shared }

type hostScope struct {
	host *v1alpha1.HostApp
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
	})
	if overtaken(err) {
		return tryAgain, nil
	}
	st := &s.host.Status
	st.ObservedGeneration = s.host.Generation
	st.Conditions = task.Conditions(st.Conditions, s.host.Generation, err, r.now(), "the manifest service answers this host app")
	if perr := r.updateStatus(ctx, before, s.host, before.Status, s.host.Status); perr != nil {
		return unwritten(perr)
	}
	return task.Result(err)
}

func hostConfig(h *v1alpha1.HostApp) *delivery.HostAppConfig {
	c := &delivery.HostAppConfig{
		Name: h.Name, DisplayName: h.Spec.DisplayName, Availability: h.Spec.Availability,
		Dialects: slices.Sorted(slices.Values(h.Spec.Dialects)),
		Poll:     delivery.Poll{IntervalSeconds: 1800, MinSeconds: 300},
	}
	if len(c.Dialects) == 0 {
		c.Dialects = []string{v1alpha1.DialectSigned}
	}
	if p := h.Spec.Poll; p != nil {
		c.Poll.IntervalSeconds = cmp.Or(p.IntervalSeconds, c.Poll.IntervalSeconds)
		c.Poll.MinSeconds = cmp.Or(p.MinSeconds, c.Poll.MinSeconds)
	}
	for _, b := range h.Spec.Blocks {
		c.Blocks = append(c.Blocks, delivery.Block{AppID: b.AppID, Digest: b.Digest, Reason: b.Reason})
	}
	return c
}

func (r *HostAppReconciler) publish(ctx context.Context, s *hostScope) error {
	data, err := delivery.MarshalHostApp(hostConfig(s.host))
	if err != nil {
		return err
	}
	return r.applyPublished(ctx, delivery.HostAppConfigMap(s.host.Name),
		map[string]string{delivery.DocumentLabel: delivery.KindHostApp}, map[string]string{delivery.KeyHostApp: data})
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
	if _, err := metav1.LabelSelectorAsSelector(s.host.Spec.NamespaceSelector); err != nil {
		return selectorInvalid(s.host, err) // also while no program names it
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
		takes, err := r.hostTakes(ctx, s.host, p.Namespace)
		if err != nil {
			return err
		}
		if takes {
			n++
		}
	}
	s.host.Status.MiniPrograms = n
	s.host.Status.URL = clip(strings.TrimSuffix(r.ManifestURL, "/")+"/v1/hosts/"+s.host.Name, maxURL)
	return nil
}

// hostTakes tells whether the host app takes programs of the namespace.
func (s *Shared) hostTakes(ctx context.Context, h *v1alpha1.HostApp, namespace string) (bool, error) {
	if h.Spec.NamespaceSelector == nil {
		return true, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(h.Spec.NamespaceSelector)
	if err != nil {
		return false, selectorInvalid(h, err)
	}
	var ns corev1.Namespace
	if err := s.Client.Get(ctx, client.ObjectKey{Name: namespace}, &ns); err != nil {
		return false, fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	return selector.Matches(labels.Set(ns.Labels)), nil
}

func selectorInvalid(h *v1alpha1.HostApp, err error) error {
	return task.Stall("SelectorInvalid", fmt.Errorf("HostApp %s: spec.namespaceSelector cannot be read: %w: ask the platform's administrators to correct it", h.Name, err))
}

func (r *HostAppReconciler) showKeys(ctx context.Context, s *hostScope) error {
	signer, err := r.signer(ctx)
	if err != nil {
		return err
	}
	s.host.Status.Keys = []v1alpha1.SigningKey{{
		KeyID: signer.Key.ID, Algorithm: signing.Algorithm, PublicKey: signer.PEM, State: "Active",
	}}
	return nil
}

// SetupWithManager registers the reconciler and what wakes it.
func (r *HostAppReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("hostapp").
		For(&v1alpha1.HostApp{}).
		Watches(&v1alpha1.MiniProgram{}, handler.EnqueueRequestsFromMapFunc(hostsOfProgram), specChanged).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.choosers), labelsChanged).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.hostOfConfigMap)).
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
