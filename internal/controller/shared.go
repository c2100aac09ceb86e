package controller

import (
	"context"
	"fmt"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	// Ledger, Keys and Enforcement are shared by several reconcilers.
	Ledger      *ledger.Ledger
	Keys        *signing.Keys
	Enforcement *Enforcement
	// Now is the clock.
	Now func() time.Time
}

func (s *Shared) now() metav1.Time { return metav1.NewTime(s.Now().UTC().Truncate(time.Second)) }

// updateStatus writes the status if it differs from what was read. The write
// carries the version that was read: after somebody else's it conflicts, and the
// pass runs again on what is there then.
func (s *Shared) updateStatus(ctx context.Context, before, after client.Object, beforeStatus, afterStatus any) error {
	if reflect.DeepEqual(beforeStatus, afterStatus) {
		return nil
	}
	after.SetResourceVersion(before.GetResourceVersion())
	if err := s.Client.Status().Update(ctx, after, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// event tells people one fact about an object.
func (s *Shared) event(about client.Object, kind, reason, action, format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	if len(note) > 1000 {
		note = note[:1000]
	}
	s.Events.Eventf(about, nil, kind, reason, action, "%s", note)
}

// ignoreGone turns a write's answer that the object is gone into nothing: there
// is nobody left to tell.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
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

// waitAtLeast is a Wait that honors what a server asked for.
func waitAtLeast(reason string, backoff, asked time.Duration, message string) error {
	return task.Wait(reason, max(backoff, asked), "%s", message)
}

func setCondition(conds *[]metav1.Condition, generation int64, now metav1.Time, kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(conds, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message,
		ObservedGeneration: generation, LastTransitionTime: now,
	})
}
