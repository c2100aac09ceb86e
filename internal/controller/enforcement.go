package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// decisionPolicy is the ValidatingAdmissionPolicy that keeps others from
// deciding. No other of ours has an objection to the decided probe.
const decisionPolicy = "miniprogram-review-decisions"

// proofInterval is the time between two proofs; proofGrace is how long one is
// good while the next cannot be made.
const (
	proofInterval = time.Minute
	proofGrace    = 5 * time.Minute
)

// errUnguarded says that a proof was made and failed: decisions are not guarded.
var errUnguarded = errors.New("decisions are not guarded")

// Enforcement proves that admission keeps everybody without the right from
// deciding a Review: the API server must take a pending Review, and refuse the
// same one decided in the name of our policy. Both are dry runs.
//
// Without a proof the gate is shut: an approval means nothing where anybody
// could have written it. A proof that cannot be made, as while the API server
// starts, leaves a recent one in force; one that fails shuts the gate at once.
type Enforcement struct {
	Client    client.Client
	Namespace string

	mu     sync.RWMutex
	wake   []chan event.GenericEvent
	proven bool
	last   time.Time // the last proof that was made
	why    string
	known  chan struct{}
	once   sync.Once
}

// NewEnforcement starts out unproven.
func NewEnforcement(c client.Client, namespace string) *Enforcement {
	return &Enforcement{
		Client: c, Namespace: namespace,
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

// Start proves every minute, and every second until the first success.
func (e *Enforcement) Start(ctx context.Context) error {
	log := ctrl.LoggerFrom(ctx).WithName("enforcement")
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
		case <-time.After(wait):
		}
	}
}

// isOver tells that the manager stops: what failed then says nothing.
func isOver(ctx context.Context) bool { return ctx.Err() != nil }

// NeedLeaderElection is false: a standby that takes over has its proof.
func (e *Enforcement) NeedLeaderElection() bool { return false }

func (e *Enforcement) record(err error, now time.Time) (changed bool) {
	e.mu.Lock()
	if err == nil {
		e.last = now
	} else if e.proven && !errors.Is(err, errUnguarded) && now.Sub(e.last) < proofGrace {
		e.mu.Unlock()
		return false
	}
	changed = e.proven != (err == nil)
	e.proven, e.why = err == nil, ""
	if err != nil {
		e.why = err.Error()
	}
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
// proof has changed. To be called before Start.
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
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, GenerateName: "enforcement-probe-"},
		Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "enforcement-probe"},
			VersionRef:     v1alpha1.VersionReference{Name: "enforcement-probe"},
			Digest:         "sha256:" + strings.Repeat("0", 64), Role: "probe", Decision: decision,
		},
	}
}
