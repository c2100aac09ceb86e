package controller

import (
	"context"
	"errors"
	"reflect"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
)

// notYet ends a pass whose decision has to wait for its turn. Nothing is written
// of it: the next pass decides anew.
type notYet struct{ after time.Duration }

func (e *notYet) Error() string { return "the step waits for its turn" }

// later is when a pass is made again of which nothing is told: it came too early, or
// somebody else was faster.
func later(err error) (again ctrl.Result, untold bool) {
	if queued, ok := errors.AsType[*notYet](err); ok {
		return ctrl.Result{RequeueAfter: queued.after}, true
	}
	return tryAgain, overtaken(err)
}

// awaitTurn keeps a decision back that nobody waits for, until the API server can
// bear it. What takes something back, what people do, and what host apps must know
// at once never waits.
func (r *RolloutReconciler) awaitTurn(_ context.Context, s *rolloutScope) error {
	if !byTheClock(s.before, s.move) {
		r.Pace.Forget(s.before.UID)
		return nil
	}
	if wait := r.Pace.Wait(s.before.UID, s.before.Status.Sequence, s.now); wait > 0 {
		return &notYet{wait}
	}
	return nil
}

// byTheClock tells that a move is made because time has passed, and by nothing
// else: the next step of a plan, or a document that is signed anew. What is recorded
// is out by then, so that nothing is left undone meanwhile.
func byTheClock(before *v1alpha1.Rollout, move rollout.Move) bool {
	was, next := &before.Status, &move.Status
	if was.Document == nil || next.Document == nil || was.Document.IssuedAt.Equal(&next.Document.IssuedAt) {
		return false // no document is made
	}
	grows := move.Verb == rollout.Advance || move.Verb == rollout.Complete
	switch {
	case was.ObservedGeneration != before.Generation, lacks(was.Published, was.Sequence), was.Attempt != next.Attempt:
		return false
	case !reflect.DeepEqual(was.LastAction, next.LastAction):
		return false
	case was.Sequence != next.Sequence && !grows:
		return false
	}
	return reflect.DeepEqual(factsOf(was), factsOf(next)) && reflect.DeepEqual(latest(was), latest(next))
}

// factsOf are what the document says beside the variants and the share.
func factsOf(st *v1alpha1.RolloutStatus) v1alpha1.DocumentFacts {
	facts := *st.Document
	facts.IssuedAt, facts.By, facts.Seed, facts.PollSeconds = v1alpha1.DocumentFacts{}.IssuedAt, "", "", 0
	return facts
}

// latest is the target, or what it has become.
func latest(st *v1alpha1.RolloutStatus) *v1alpha1.Variant {
	if st.Target != nil {
		return st.Target
	}
	return st.Stable
}
