package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// What the journal is for when the cluster's memory is gone
//
// A Rollout that has recorded nothing, of which nothing is published and the ledger
// remembers nothing, is new, or the cluster is. The journal knows which: its highest entry
// that is ours has the whole record, and the Rollout goes on from there. Until the registry
// has answered nothing is decided, for a first decision could take from users what they have.
//
// An entry counts only with a signature of a key that is held, for this Rollout, app ID and
// channel, and if its record makes the very document that was published with it. Whoever may
// push to the registry can add nothing to that, and at worst hide the end of a journal:
// the new sequence follows the clock, so that host apps take the document all the same.

func (r *RolloutReconciler) giveWayOrTakeUp(ctx context.Context, s *rolloutScope) error {
	return inOrder(ctx, s, r.giveWay, r.takeUp)
}

// takeUp makes the journal's record the Rollout's own.
func (r *RolloutReconciler) takeUp(ctx context.Context, s *rolloutScope) error {
	if !r.mayTakeUp(s) {
		return nil
	}
	cm, err := r.findPublished(ctx, documentName(s.before))
	if err != nil || cm != nil {
		return err
	}
	remembered, err := r.Ledger.Find(ctx, s.seen.AppID, s.before.Spec.Channel, s.program.Spec.HostApps)
	if err != nil || len(remembered) > 0 {
		return err
	}
	record, basis, err := r.findRecord(ctx, s)
	if err != nil {
		return err
	}
	if record == nil {
		r.Journal.look(s.before.UID)
		return nil
	}
	if err := r.readyFor(ctx, s, record); err != nil {
		return err
	}
	r.Journal.keepBasis(s.before.UID, basis)
	return r.recordTakenUp(ctx, s, record)
}

// mayTakeUp tells that the Rollout has decided nothing, may decide, and was not looked up before.
func (r *RolloutReconciler) mayTakeUp(s *rolloutScope) bool {
	st := &s.before.Status
	blank := st.Sequence == 0 && st.Attempt == 0 && st.Stable == nil && st.Document == nil
	return r.Journal != nil && blank && s.before.DeletionTimestamp.IsZero() && s.program != nil && s.claim == nil && !r.Journal.looked(s.before.UID)
}

// findRecord returns the record of the highest entry that is this Rollout's, and what that
// rests on; nil: there is none.
func (r *RolloutReconciler) findRecord(ctx context.Context, s *rolloutScope) (*v1alpha1.RolloutStatus, *journal.Basis, error) {
	ctx, cancel := context.WithTimeout(ctx, takeUpTimeout)
	defer cancel()
	repository := journal.RolloutRepository(s.before.Namespace, s.before.Name)
	tags, err := r.Journal.Registry.Tags(ctx, repository)
	if err != nil {
		return nil, nil, r.journalAway(s, err)
	}
	orders := journal.Sort(tags)
	if len(orders) == 0 {
		return nil, nil, nil
	}
	set, err := r.keys(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range slices.Backward(orders[max(0, len(orders)-entriesTried):]) {
		a, err := r.Journal.Registry.ReadEntry(ctx, repository, o.Tag())
		if known, ok := errors.AsType[*registry.Error](err); ok && known.Reason == registry.RegistryInconsistent {
			r.notTakenUp(s, o, err)
			continue
		}
		if err != nil {
			return nil, nil, r.journalAway(s, err)
		}
		record, basis, err := recordFor(s.before, s.seen.AppID, set.Believed(), a)
		if err == nil {
			return record, basis, nil
		}
		r.notTakenUp(s, o, err)
	}
	return nil, nil, nil
}

const (
	// entriesTried are looked at, the highest first. Others may be able to push there.
	entriesTried  = 100
	takeUpTimeout = 20 * time.Second
)

func (r *RolloutReconciler) notTakenUp(s *rolloutScope, o journal.Order, err error) {
	r.event(s.before, corev1.EventTypeWarning, "JournalEntryIgnored", "Adopt", "entry %s of the journal is not gone on from: %v", o.Tag(), err)
}

func (r *RolloutReconciler) journalAway(s *rolloutScope, err error) error {
	again := retryAfter(s.before.Status.Conditions, s.before.CreationTimestamp, s.now)
	return task.Wait("JournalUnavailable", again, "whether this Rollout has published before could not be looked up in the journal, and nothing is decided before: %v", err)
}

// recordFor returns the record of an entry and what it rests on, if all of it is the Rollout's.
func recordFor(ro *v1alpha1.Rollout, appID string, keys []dsse.Key, a *journal.Artifact) (*v1alpha1.RolloutStatus, *journal.Basis, error) {
	e, doc, err := journal.Read(a, keys)
	if err != nil {
		return nil, nil, err
	}
	own := document.Rollout{Namespace: ro.Namespace, Name: ro.Name}
	if doc == nil || doc.Rollout != own || doc.AppID != appID || doc.Channel != ro.Spec.Channel {
		return nil, nil, fmt.Errorf("it is not of this Rollout for app ID %s and channel %s", appID, ro.Spec.Channel)
	}
	var record v1alpha1.RolloutStatus
	if len(e.Record) == 0 {
		return nil, nil, errors.New("it has no record")
	}
	if err := json.Unmarshal(e.Record, &record); err != nil {
		return nil, nil, fmt.Errorf("its record cannot be read: %w", err)
	}
	again, err := delivery.Render(ro.Namespace, ro.Name, ro.Spec.Channel, &record)
	if err != nil {
		return nil, nil, fmt.Errorf("its record makes no document: %w", err)
	}
	want, err := document.Marshal(doc)
	if err != nil {
		return nil, nil, err
	}
	if got, err := document.Marshal(again); err != nil || string(got) != string(want) {
		return nil, nil, errors.New("its record makes another document than was published")
	}
	switch record.Document.Availability {
	case delivery.Retained, delivery.Removed:
		return nil, nil, errors.New("the Rollout was deleted then")
	}
	return &record, e.Basis, nil
}

// readyFor waits for what must be there again before anything is decided: else users would
// lose for a moment what a host app hands out, or get back what was suspended.
func (r *RolloutReconciler) readyFor(ctx context.Context, s *rolloutScope, record *v1alpha1.RolloutStatus) error {
	again := retryAfter(s.before.Status.Conditions, s.before.CreationTimestamp, s.now)
	if record.Document.Availability == string(document.Suspended) && availability(s.program) != v1alpha1.AvailabilitySuspended && actionVerb(s.program) != "resume" {
		return task.Wait("SuspendedInJournal", again, "the mini program was suspended when this was published last, and MiniProgram %s says nothing of that: set its spec.availability to Suspended, or annotate it with miniprogram.dev/action=suspend@1, or resume@1", s.program.Name)
	}
	var missing []string
	for _, name := range record.Document.HostApps {
		if !slices.Contains(s.program.Spec.HostApps, name) {
			continue
		}
		err := r.Client.Get(ctx, client.ObjectKey{Name: name}, &v1alpha1.HostApp{})
		if apierrors.IsNotFound(err) {
			missing = append(missing, name)
		} else if err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return task.Wait("HostAppMissing", again, "host apps %s were served when this was published last, and do not exist: create these HostApps, or take them from spec.hostApps of MiniProgram %s", strings.Join(missing, ", "), s.program.Name)
	}
	return nil
}

// recordTakenUp writes the record before anything is made of it.
func (r *RolloutReconciler) recordTakenUp(ctx context.Context, s *rolloutScope, record *v1alpha1.RolloutStatus) error {
	was := s.before.Status
	next := rollout.TakeUp(record, s.now)
	next.Conditions, next.ObservedGeneration, next.Summary = was.Conditions, was.ObservedGeneration, was.Summary
	s.rollout.Status = next
	if err := r.updateStatus(ctx, s.before, s.rollout, was, next); err != nil {
		return err
	}
	r.event(s.rollout, corev1.EventTypeNormal, "TakenUp", "Adopt", "goes on from sequence %d of the journal, at %s", record.Sequence, record.Percent)
	s.before = s.rollout.DeepCopy()
	return nil
}
