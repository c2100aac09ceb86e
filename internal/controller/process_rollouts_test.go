package controller_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controller"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
)

// deadly makes clients of the manager's identity, some of which die.
type deadly struct {
	through func(http.RoundTripper) client.Client
	base    http.RoundTripper
}

func (p *played) newDeadly(t *testing.T) *deadly {
	t.Helper()
	identity, err := p.cp.ServiceAccount(ctx(t), systemNamespace, "miniprogram-manager")
	p.must(t, err)
	identity = fast(identity)
	base, err := rest.TransportFor(identity)
	p.must(t, err)
	return &deadly{base: base, through: func(transport http.RoundTripper) client.Client {
		made, err := client.New(identity, client.Options{Scheme: p.scheme, Mapper: p.admin.RESTMapper(), HTTPClient: &http.Client{Transport: transport}})
		p.must(t, err)
		return made
	}}
}

// rolloutProcess is a manager with one Rollout to reconcile.
type rolloutProcess struct {
	reconciler *controller.RolloutReconciler
	line       *lifeline
	rollout    client.ObjectKey
	reads      *playedReads
}

func (p *played) process(line *lifeline) *rolloutProcess {
	live := p.transport.through(mortal{p.transport.base, line})
	reads := &playedReads{Client: live, now: p.transport.through(p.transport.base), cache: p.shared.Client}
	shared := p.shared
	shared.Client, shared.Live, shared.Events = reads, live, teller{line: line}
	shared.Ledger = &ledger.Ledger{Client: reads, Namespace: publishedNamespace}
	return &rolloutProcess{
		reconciler: &controller.RolloutReconciler{Shared: shared}, line: line, rollout: key(p.ns, "app"), reads: reads,
	}
}

// pass makes one, and tells whether another is to come at once.
func (p *rolloutProcess) pass(t *testing.T) bool {
	t.Helper()
	wrote := p.line.written()
	result, err := p.reconciler.Reconcile(ctx(t), ctrl.Request{NamespacedName: p.rollout})
	soon := result.RequeueAfter > 0 && result.RequeueAfter <= time.Second
	return err != nil || soon || p.line.written() != wrote
}

// live makes passes until nothing would wake the reconciler, or until it is dead.
func (p *rolloutProcess) live(t *testing.T) {
	t.Helper()
	for range 12 {
		if again := p.pass(t); p.line.dead() || !again {
			return
		}
	}
	t.Fatalf("the Rollout does not come to rest: %v", p.line.all())
}

// stale lets the process see a Rollout, and what is published, as they were once; nil: as
// they are.
func (p *rolloutProcess) stale(ro *v1alpha1.Rollout, published []corev1.ConfigMap) {
	p.reads.rollout, p.reads.published = ro, published
}

// playedReads shows what a cache does: what the process itself changes as it is now, or
// as it was once, and everything else as the cache of the tests' manager has it.
type playedReads struct {
	client.Client // for all but reading
	now, cache    client.Reader
	rollout       *v1alpha1.Rollout
	published     []corev1.ConfigMap
}

func (c *playedReads) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	switch o := into.(type) {
	case *v1alpha1.Rollout:
		if c.rollout != nil {
			c.rollout.DeepCopyInto(o)
			return nil
		}
		return c.now.Get(ctx, key, into, opts...)
	case *corev1.ConfigMap:
		for i := range c.published {
			if c.published[i].Name == key.Name {
				c.published[i].DeepCopyInto(o)
				return nil
			}
		}
		return c.now.Get(ctx, key, into, opts...)
	}
	return c.cache.Get(ctx, key, into, opts...)
}

// List finds by the cache's indexes, which the API server does not have.
func (c *playedReads) List(ctx context.Context, into client.ObjectList, opts ...client.ListOption) error {
	var asked client.ListOptions
	asked.ApplyOptions(opts)
	index := func(name string) (string, bool) {
		if asked.FieldSelector == nil {
			return "", false
		}
		return asked.FieldSelector.RequiresExactMatch(name)
	}
	switch list := into.(type) {
	case *v1alpha1.RolloutList:
		err := c.now.List(ctx, list, client.InNamespace(asked.Namespace))
		list.Items = slices.DeleteFunc(list.Items, func(ro v1alpha1.Rollout) bool {
			program, byProgram := index("spec.miniProgramRef.name")
			published, byPublished := index("published")
			return byProgram && ro.Spec.MiniProgramRef.Name != program || byPublished && delivery.RolloutConfigMap(ro.Namespace, ro.Name) != published
		})
		return err
	case *corev1.ConfigMapList:
		if owner, byAudience := index("audience"); byAudience {
			return c.now.List(ctx, list, client.InNamespace(asked.Namespace), client.MatchingLabels{delivery.AudienceLabel: owner})
		}
		page, byLedger := index("ledger")
		if !byLedger {
			return fmt.Errorf("listing ConfigMaps by %v: only by their ledger or audience is known here", asked.FieldSelector)
		}
		return c.now.List(ctx, list, client.InNamespace(asked.Namespace), client.MatchingLabels{delivery.LedgerLabel: page})
	}
	return c.cache.List(ctx, into, opts...)
}
