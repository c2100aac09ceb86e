package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/analysis"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// FieldManager is the name under which the controller writes.
const FieldManager = "miniprogram-manager"

// Shared is what all reconcilers need.
type Shared struct {
	// Client reads through the cache and writes directly.
	Client client.Client
	// Live reads past the cache.
	Live client.Reader
	// Events records what happened, for people.
	Events events.EventRecorder
	// Namespace of the manager, and the one that documents are published in.
	Namespace, PublicationNamespace string
	// ManifestURL is where host apps reach the manifest service, for status.
	ManifestURL string
	// RunURL is that of the run host, from which web containers load single files;
	// empty: there is none.
	RunURL string
	// Ledger, Keys and Enforcement are shared by several reconcilers.
	Ledger      *ledger.Ledger
	Keys        *signing.Keys
	Enforcement *Enforcement
	// Pace bounds the writes of what happens by the clock alone; nil: it does not.
	Pace *Pace
	// Guards measures guardrails. Nil: nothing is measured, and what has a guardrail does not grow.
	Guards *analysis.Watcher
	// Journal keeps in the registry what was published; nil: nothing does.
	Journal *Journal
	// Now is the clock.
	Now func() time.Time
}

func (s *Shared) now() metav1.Time { return metav1.NewTime(s.Now().UTC().Truncate(time.Second)) }

// updateStatus writes the status if it differs from what was read. The write
// carries the version that was read: after somebody else's it conflicts, and the
// pass runs again on what is there then.
func (s *Shared) updateStatus(ctx context.Context, before, after client.Object, beforeStatus, afterStatus any) error {
	if equality.Semantic.DeepEqual(beforeStatus, afterStatus) {
		return nil
	}
	after.SetResourceVersion(before.GetResourceVersion())
	if err := s.Client.Status().Update(ctx, after, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// patchFinalizer adds a finalizer to after, a copy of before, or takes it away, and
// writes that. Lists are replaced whole, so it conflicts with every other write.
func (s *Shared) patchFinalizer(ctx context.Context, before, after client.Object, finalizer string, change func(client.Object, string) bool) error {
	change(after, finalizer)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return s.Client.Patch(ctx, after, patch, client.FieldOwner(FieldManager))
}

// event tells people one fact about an object.
func (s *Shared) event(about client.Object, kind, reason, action, format string, args ...any) {
	s.Events.Eventf(about, nil, kind, reason, action, "%s", clip(fmt.Sprintf(format, args...), maxSummary))
}

// overtaken tells that somebody else wrote first, or that the cache lags behind
// what was written. Nothing is wrong: the pass runs again on what is there then,
// and tells nobody of it.
func overtaken(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// tryAgain is the result of a pass that was overtaken.
var tryAgain = ctrl.Result{RequeueAfter: 200 * time.Millisecond}

// unwritten is the result of a pass whose status could not be written. When the
// object is gone, there is nobody left to tell.
func unwritten(err error) (ctrl.Result, error) {
	if overtaken(err) {
		return tryAgain, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

// Bounds of the time between two tries of what no watch can tell about.
const (
	leastRetry = 2 * time.Second
	mostRetry  = 10 * time.Minute
)

// retryAfter grows with the time that the object has not been ready, so that
// each wait is about as long as all before it.
func retryAfter(conds []metav1.Condition, created metav1.Time, now time.Time) time.Duration {
	since := created.Time
	if c := meta.FindStatusCondition(conds, "Ready"); c != nil && c.Status != metav1.ConditionTrue {
		since = c.LastTransitionTime.Time
	}
	return min(max(now.Sub(since), leastRetry), mostRetry)
}

// notAfter has the next pass made at a time, if it was not to be earlier; nil is never.
func notAfter(result ctrl.Result, at *time.Time, now time.Time) ctrl.Result {
	if at == nil {
		return result
	}
	left := max(at.Sub(now), time.Second)
	if result.RequeueAfter == 0 || left < result.RequeueAfter {
		result.RequeueAfter = left
	}
	return result
}

// waitAtLeast is a Wait that honors what a server asked for.
func waitAtLeast(reason string, backoff, asked time.Duration, message string) error {
	return task.Wait(reason, max(backoff, asked), "%s", message)
}

// Bounds of texts in the API, in characters.
const (
	maxSummary = 1000  // status.summary, and the note of an event, take 1024
	maxMessage = 32768 // of a condition
	maxFinding = 1024  // the message of a finding
	maxAction  = 256   // status.lastAction: the annotation and who set it
	maxURL     = 2048  // of a host app
)

// clip shortens a text to at most limit characters. One that is too long would
// make the API server refuse the whole status, and with it what was to be told.
func clip(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:limit-1]) + "…"
}

// actionVerb is what the action annotation of a MiniProgram or a version asks
// for. On these kinds it is a state: it holds for as long as it is there, and
// admission lets only the holders of its verb take it away.
func actionVerb(o client.Object) string {
	verb, _, _ := strings.Cut(o.GetAnnotations()[v1alpha1.ActionAnnotation], "@")
	return verb
}

// withdrawn tells that a version must never be served again, by its spec or by an action.
func withdrawn(v *v1alpha1.MiniProgramVersion) bool {
	return v.Spec.Availability == v1alpha1.AvailabilityWithdrawn || actionVerb(v) == "withdraw"
}

// availability of a program, by an action or by its spec. The action resume ends
// the action suspend, not a suspension that the spec asks for.
func availability(p *v1alpha1.MiniProgram) string {
	if actionVerb(p) == "suspend" {
		return v1alpha1.AvailabilitySuspended
	}
	return p.Spec.Availability
}

func setCondition(conds *[]metav1.Condition, generation int64, now metav1.Time, kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(conds, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: clip(message, maxMessage),
		ObservedGeneration: generation, LastTransitionTime: now,
	})
}
