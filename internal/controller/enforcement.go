package controller

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/config/admission"
)

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,verbs=get;list;watch

// decisionPolicy is the ValidatingAdmissionPolicy that keeps others from
// deciding. No other of ours has an objection to the decided probe.
const decisionPolicy = "miniprogram-review-decisions"

// proofInterval is the time between two proofs; proofGrace is how long one is
// good while the next cannot be made. syncTimeout bounds the wait for the first
// sight of the policies.
const (
	proofInterval = time.Minute
	proofGrace    = 5 * time.Minute
	syncTimeout   = 10 * time.Second
)

// probeName is what dry runs are named after. The API server adds other letters to
// it each time, which would make the same failure another one.
const probeName = "enforcement-probe"

var generatedProbe = regexp.MustCompile(probeName + "-[a-z0-9]+")

// errUnguarded says that a proof was made and failed.
var errUnguarded = errors.New("admission does not guard what people approve")

// Enforcement proves that admission keeps everybody without the right from
// deciding a Review, and from whatever else would get around the gate. The
// cluster must have every policy and binding as this version means them; and they
// must bite: the API server has to take a pending Review, and to refuse the same
// one decided in the name of our policy. Both are dry runs.
//
// Without a proof the gate is shut: an approval means nothing where anybody
// could have written it. A proof that cannot be made, as while the API server
// starts, leaves a recent one in force; one that fails shuts the gate at once. So
// does a change of a policy, for they are watched.
type Enforcement struct {
	// Client writes directly, Cache holds the policies and their bindings.
	Client client.Client
	Cache  cache.Cache
	// Namespace of the manager, where the dry runs are made, and the one that is published in.
	Namespace, PublicationNamespace string

	mu     sync.RWMutex
	wake   []chan event.GenericEvent
	proven bool
	last   time.Time // the last proof that was made
	why    string
	known  chan struct{}
	once   sync.Once
	synced []toolscache.InformerSynced
}

// NewEnforcement starts out unproven.
func NewEnforcement(direct client.Client, policies cache.Cache, namespace, publicationNamespace string) *Enforcement {
	return &Enforcement{
		Client: direct, Cache: policies, Namespace: namespace, PublicationNamespace: publicationNamespace,
		why: "admission was not proven to guard approvals yet", known: make(chan struct{}),
	}
}

// Shut says why the gate is shut; empty: it is not.
func (e *Enforcement) Shut() string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.proven {
		return ""
	}
	return e.why
}

// Await returns when the first proof was tried, so that a restart does not shut
// the gate for a moment and write that into every status.
func (e *Enforcement) Await(ctx context.Context) error {
	select {
	case <-e.known:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Start proves every minute and after each change of a policy, and every second
// until the first success.
func (e *Enforcement) Start(ctx context.Context) error {
	log := ctrl.LoggerFrom(ctx).WithName("enforcement")
	changed, err := e.watch(ctx)
	if err != nil {
		return fmt.Errorf("watching admission policies: %w", err)
	}
	for {
		err := e.prove(ctx)
		if isOver(ctx) {
			return nil
		}
		if e.record(err, time.Now()) {
			if err != nil {
				log.Error(err, "the gate is shut: approvals are not guarded")
			} else {
				log.Info("the gate is open: approvals are guarded")
			}
		}
		wait := proofInterval
		if err != nil {
			wait = time.Second
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(wait):
		}
	}
}

// watch tells when a guard, or the publication namespace, may have changed. It
// waits until all were seen, but not for ever: without the right to see them the
// proof says so.
func (e *Enforcement) watch(ctx context.Context) (<-chan struct{}, error) {
	guards, err := admission.Read()
	if err != nil {
		return nil, err
	}
	changed := make(chan struct{}, 1)
	tell := toolscache.FilteringResourceEventHandler{
		FilterFunc: func(o any) bool { return concerns(guards, e.PublicationNamespace, o) },
		Handler: toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { signal(changed) },
			UpdateFunc: func(any, any) { signal(changed) },
			DeleteFunc: func(any) { signal(changed) },
		},
	}
	for _, kind := range []client.Object{
		&admissionregistrationv1.ValidatingAdmissionPolicy{}, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, &corev1.Namespace{},
	} {
		informer, err := e.Cache.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, err
		}
		if _, err := informer.AddEventHandler(tell); err != nil {
			return nil, err
		}
		e.synced = append(e.synced, informer.HasSynced)
	}
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	toolscache.WaitForCacheSync(ctx.Done(), e.synced...)
	return changed, nil
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // is told already
	}
}

// isOver tells that the manager stops: what failed then says nothing.
func isOver(ctx context.Context) bool { return ctx.Err() != nil }

// NeedLeaderElection is false: a standby that takes over has its proof.
func (e *Enforcement) NeedLeaderElection() bool { return false }

// record takes up how a proof ended, and wakes whoever tells of it when that is
// something else than before.
func (e *Enforcement) record(err error, now time.Time) (changed bool) {
	e.mu.Lock()
	if err == nil {
		e.last = now
	} else if e.proven && !errors.Is(err, errUnguarded) && now.Sub(e.last) < proofGrace {
		e.mu.Unlock()
		return false
	}
	why := ""
	if err != nil {
		why = generatedProbe.ReplaceAllString(err.Error(), probeName)
	}
	changed = e.proven != (err == nil) || e.why != why
	e.proven, e.why = err == nil, why
	wake := e.wake
	e.mu.Unlock()
	first := false
	e.once.Do(func() { close(e.known); first = true })
	if !changed && !first {
		return false
	}
	for _, c := range wake {
		select {
		case c <- event.GenericEvent{Object: &v1alpha1.ReviewPolicy{}}:
		default: // is being woken already
		}
	}
	return true
}

// changes returns a channel of its own for each caller, which says that the
// proof has changed, or why there is none. To be called before Start.
func (e *Enforcement) changes() <-chan event.GenericEvent {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := make(chan event.GenericEvent, 1)
	e.wake = append(e.wake, c)
	return c
}

func (e *Enforcement) prove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, synced := range e.synced {
		if !synced() {
			return errors.New("the admission policies were not seen yet, so approvals cannot be shown to be guarded: the manager needs list and watch on validatingadmissionpolicies and validatingadmissionpolicybindings (apply config/rbac of this version)")
		}
	}
	if err := compareGuards(ctx, e.Cache, e.PublicationNamespace); err != nil {
		return err
	}
	pending := e.probe(v1alpha1.DecisionPending)
	if err := e.Client.Create(ctx, pending, client.DryRunAll); err != nil {
		return fmt.Errorf("a dry run of a pending Review in namespace %s failed, so approvals cannot be shown to be guarded: %w", e.Namespace, err)
	}
	decided := e.probe(v1alpha1.DecisionApproved)
	decided.Spec.Reviewer = "nobody"
	err := e.Client.Create(ctx, decided, client.DryRunAll)
	switch {
	case err == nil:
		return fmt.Errorf("%w: the manager itself could decide a Review; apply config/admission, whose ValidatingAdmissionPolicy %s keeps others from deciding", errUnguarded, decisionPolicy)
	case !refusedByPolicy(err) && (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)):
		return fmt.Errorf("%w: a decided Review was refused, but not by ValidatingAdmissionPolicy %s; apply config/admission: %w", errUnguarded, decisionPolicy, err)
	case !refusedByPolicy(err):
		return fmt.Errorf("a dry run of a decided Review was not refused by ValidatingAdmissionPolicy %s (apply config/admission): %w", decisionPolicy, err)
	}
	return nil
}

func refusedByPolicy(err error) bool {
	return (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)) && strings.Contains(err.Error(), "'"+decisionPolicy+"'")
}

func (e *Enforcement) probe(decision string) *v1alpha1.Review {
	return &v1alpha1.Review{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, GenerateName: probeName + "-"},
		Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: probeName},
			VersionRef:     v1alpha1.VersionReference{Name: probeName},
			Digest:         "sha256:" + strings.Repeat("0", 64), Role: "probe", Decision: decision,
		},
	}
}
