package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// RolloutReconciler carries a rollout through its steps and publishes the
// document that host apps read.
type RolloutReconciler struct{ Shared }

// rolloutScope is what one pass knows.
type rolloutScope struct {
	before  *v1alpha1.Rollout // as it is in the API server
	rollout *v1alpha1.Rollout // as it will be
	now     time.Time

	plan    rollout.Plan
	program *v1alpha1.MiniProgram
	// version is the candidate's, with what the gate was asked about it; nil where there is none, or it
	// was not looked at.
	version  *v1alpha1.MiniProgramVersion
	question gate.Question
	// judged is what the journal is told about the version; nil: it was not judged.
	judged *journal.Version
	// stepReviews are all that name the rollout; taken are the names of the version's Reviews.
	stepReviews []v1alpha1.Review
	taken       map[string]bool
	seen        rollout.Seen
	// claim is what the ledger says against the program's claim of the app ID; nil: it holds it.
	claim error
	// rivals are what others than the program's rollouts have published for the app ID.
	rivals []rival
	// graves are the last documents of the program's earlier Rollouts.
	graves []rival
	// public are the host apps that may be served and ask for no token.
	public []string
	// missing are the recorded parts of audiences that are not there, by digest; made are the bytes of
	// those that were made of the lists in this pass.
	missing map[string]v1alpha1.AudiencePart
	made    map[string]document.PartData
	// held is what keeps the target where it is, told at the end of the pass.
	held error
	move rollout.Move
	// configMap of the document, as it was read or written last; nil: there is none.
	configMap *corev1.ConfigMap
	// published is the document that is out, and outSince since when, if that is known.
	published *v1alpha1.PublishedDocument
	outSince  time.Time
}

func newRolloutScope(before *v1alpha1.Rollout, now time.Time) *rolloutScope {
	return &rolloutScope{
		before: before, rollout: before.DeepCopy(), now: now, published: before.Status.Published,
		seen: rollout.Seen{
			Unservable: map[string]rollout.Hold{}, Blocked: map[string]rollout.Hold{}, FallbackHostApps: map[string][]string{},
		},
	}
}

// stalledAgain is the least time after which a Rollout that only a change of its spec can
// help is looked at again.
const stalledAgain = time.Hour

// recheck looks again when the move says so, if nothing else is sooner. That is also for a
// Rollout that has stalled: its document has to be signed anew before it expires.
func (s *rolloutScope) recheck(ctx context.Context, outcome error) (ctrl.Result, error) {
	result, err := task.Result(outcome)
	if s.move.Recheck > 0 && errors.Is(err, reconcile.TerminalError(nil)) {
		ctrl.LoggerFrom(ctx).Error(err, "The Rollout has stalled; it goes on when its spec is changed.")
		return ctrl.Result{RequeueAfter: max(s.move.Recheck, stalledAgain)}, nil
	}
	if err == nil && s.move.Recheck > 0 && (result.RequeueAfter == 0 || s.move.Recheck < result.RequeueAfter) {
		result.RequeueAfter = s.move.Recheck
	}
	return result, err
}

// Reconcile brings one rollout as far as it can come now.
func (r *RolloutReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if err := r.Enforcement.Await(ctx); err != nil {
		return ctrl.Result{}, err
	}
	before := &v1alpha1.Rollout{}
	if err := r.Client.Get(ctx, req.NamespacedName, before); err != nil {
		return ctrl.Result{}, r.gone(req.NamespacedName, err)
	}
	if forgotten(before) {
		return ctrl.Result{}, nil
	}
	s := newRolloutScope(before, r.Now().UTC())
	// What takes back is recorded before anything can fail. What was recorded is carried
	// out before anything new is decided, so that a crash repeats a step and skips none.
	err := task.Run(ctx, s, []task.Task[rolloutScope]{
		{Name: "hold on deletion", Run: r.ensureFinalizer},
		{Name: "find the program", Run: r.gatherProgram},
		{Name: "give way, or go on from the journal", Run: r.giveWayOrTakeUp},
		{Name: "gather", Run: r.gather},
		{Name: "decide", Run: r.decide},
		{Name: "record what is taken back", Run: r.recordTakeBack},
		{Name: "publish what was recorded", Run: r.publishRecorded},
		{Name: "count from publication", Run: r.countFromPublication},
		{Name: "remember in the ledger", Run: r.remember},
		{Name: "retire what was published before", Run: r.retire},
		{Name: "wait for its turn", Run: r.awaitTurn},
		{Name: "record the decision", Run: r.recordDecision},
		{Name: "ask for the step's approval", Run: r.askForApproval},
		{Name: "let go", Run: r.letGo},
		{Name: "say what holds", Run: func(_ context.Context, s *rolloutScope) error { return s.held }},
	})
	if again, untold := later(err); untold {
		return again, nil
	}
	r.report(s, err)
	if perr := r.writeStatus(ctx, s); perr != nil {
		return unwritten(perr) // outranks err: running again finds both out again
	}
	return s.recheck(ctx, err)
}

// report makes the status of what the pass has found, and of no document that is not out.
func (r *RolloutReconciler) report(s *rolloutScope, err error) {
	s.rollout.Status.Published = s.published
	reportRollout(s, err, r.now())
}

// forgotten tells that a deleted rollout was let go, and a stale read shows it still.
func forgotten(ro *v1alpha1.Rollout) bool {
	return !ro.DeletionTimestamp.IsZero() && !controllerutil.ContainsFinalizer(ro, v1alpha1.RolloutFinalizer)
}

// ensureFinalizer comes before the first document: it lives in another
// namespace, where garbage collection does not reach.
func (r *RolloutReconciler) ensureFinalizer(ctx context.Context, s *rolloutScope) error {
	if !s.before.DeletionTimestamp.IsZero() || controllerutil.ContainsFinalizer(s.before, v1alpha1.RolloutFinalizer) {
		return nil
	}
	return r.patchFinalizer(ctx, s, controllerutil.AddFinalizer)
}

func (r *RolloutReconciler) patchFinalizer(ctx context.Context, s *rolloutScope, change func(client.Object, string) bool) error {
	after := s.before.DeepCopy()
	if err := r.Shared.patchFinalizer(ctx, s.before, after, v1alpha1.RolloutFinalizer, change); err != nil {
		return err
	}
	s.before.ObjectMeta, s.rollout.ObjectMeta = after.ObjectMeta, *after.ObjectMeta.DeepCopy()
	return nil
}

// decide counts on what it decides to be out in a moment, for else status would have
// to be written again to say since when it is.
func (r *RolloutReconciler) decide(_ context.Context, s *rolloutScope) error {
	s.seen.OutBy = s.now.Add(outWithin)
	s.seen.Unpublished, s.seen.OutSince = s.unpublished(), s.outSince
	s.move = rollout.Decide(s.plan, s.before.Status, s.seen, s.now)
	return nil
}

// decideAgain is for a record whose document is out since a moment ago, so that no
// pass is needed in between.
func (s *rolloutScope) decideAgain() {
	s.seen.Unpublished, s.seen.OutSince = false, s.outSince
	s.move = rollout.Decide(s.plan, s.before.Status, s.seen, s.now)
}

// countFromPublication lets a pause begin when its share is out, where that was not so
// when it was decided: after a crash, or because somebody has deleted the document.
func (r *RolloutReconciler) countFromPublication(_ context.Context, s *rolloutScope) error {
	if s.unpublished() || !s.seen.Unpublished && s.move.Verb != rollout.TakeBack {
		return nil // what stays unpublished begins no pause
	}
	s.decideAgain()
	return nil
}

// recordTakeBack records an abort, a rollback or a deletion at once: neither a
// missing key nor a broken document may keep it from being remembered.
func (r *RolloutReconciler) recordTakeBack(ctx context.Context, s *rolloutScope) error {
	if s.move.Verb != rollout.TakeBack {
		return nil
	}
	if err := r.writeAudience(ctx, s); err != nil {
		return err
	}
	r.adopt(s)
	s.rollout.Status.Published = s.published
	if claim := r.claim(ctx, s); claim != nil {
		s.rollout.Status.Published = claim
	}
	reportRollout(s, nil, r.now())
	return r.writeStatus(ctx, s)
}

// recordDecision makes the move's status the one to write. One whose document
// could not be published is not recorded: what is out would stay for ever. What makes
// a document is written at once, together with the claim that it is out, which is made
// true then. Only if that fails is status written again.
func (r *RolloutReconciler) recordDecision(ctx context.Context, s *rolloutScope) error {
	if _, err := payloadOf(s.before, &s.move.Status); err != nil && !errors.Is(err, delivery.ErrNothingRecorded) {
		return err
	}
	if err := r.writeDecided(ctx, s); err != nil {
		return err
	}
	r.adopt(s)
	s.rollout.Status.Published = s.published
	claim := r.claim(ctx, s)
	if claim == nil {
		return nil
	}
	s.rollout.Status.Published = claim
	reportRollout(s, s.held, r.now())
	if err := r.writeStatus(ctx, s); err != nil {
		return err
	}
	return r.publishDecision(ctx, s)
}

// publishDecision writes the document of what was recorded a moment ago.
func (r *RolloutReconciler) publishDecision(ctx context.Context, s *rolloutScope) error {
	if err := r.publishRecorded(ctx, s); err != nil || !s.late() {
		return err
	}
	s.decideAgain()
	r.adopt(s)
	return nil
}

// adopt takes over what was decided, and leaves alone what the API is told.
func (r *RolloutReconciler) adopt(s *rolloutScope) {
	conditions, published := s.rollout.Status.Conditions, s.rollout.Status.Published
	observed, summary := s.rollout.Status.ObservedGeneration, s.rollout.Status.Summary
	s.rollout.Status = *s.move.Status.DeepCopy()
	s.rollout.Status.Conditions, s.rollout.Status.Published = conditions, published
	s.rollout.Status.ObservedGeneration, s.rollout.Status.Summary = observed, summary
}

// writeStatus writes what changed and tells it as an event.
func (r *RolloutReconciler) writeStatus(ctx context.Context, s *rolloutScope) error {
	decided := s.rollout.Status.Sequence != s.before.Status.Sequence || s.rollout.Status.Attempt != s.before.Status.Attempt
	answered := s.rollout.Status.LastAction != nil &&
		(s.before.Status.LastAction == nil || s.before.Status.LastAction.Value != s.rollout.Status.LastAction.Value)
	if err := r.updateStatus(ctx, s.before, s.rollout, s.before.Status, s.rollout.Status); err != nil {
		return err
	}
	if decided && s.move.Reason != "" {
		kind := corev1.EventTypeNormal
		if s.move.Verb == rollout.TakeBack {
			kind = corev1.EventTypeWarning
		}
		r.event(s.rollout, kind, s.move.Reason, "Decide", "%s", s.move.Message)
	}
	r.tellGuardrails(s.before, s.rollout)
	if a := s.rollout.Status.LastAction; answered {
		r.event(s.rollout, corev1.EventTypeNormal, "Action"+a.Result, "Answer", "%s by %s: %s", a.Value, a.User, a.Message)
	}
	if overdue(&s.rollout.Status) && !overdue(&s.before.Status) {
		r.event(s.rollout, corev1.EventTypeWarning, reasonOverdue, "Hold", "%s", s.move.Message)
	}
	countStep(s)
	if was, is := s.before.Status.Stable, s.rollout.Status.Stable; was != nil && (is == nil || is.Digest != was.Digest) {
		s.seen.StableHostApps = nil // what was seen is about the stable before
	}
	s.before = s.rollout.DeepCopy()
	return nil
}

// letGo removes the finalizer once the last document is out.
func (r *RolloutReconciler) letGo(ctx context.Context, s *rolloutScope) error {
	if s.before.DeletionTimestamp.IsZero() {
		return nil
	}
	if s.before.Status.Sequence != s.move.Status.Sequence {
		return task.Wait("Deleting", time.Second, "the last document is being published")
	}
	return client.IgnoreNotFound(r.patchFinalizer(ctx, s, controllerutil.RemoveFinalizer))
}

// remember writes to the ledger what must outlive the Rollout. A Rollout that
// goes is not kept by a ledger that is gone and that nobody is left to write anew.
func (r *RolloutReconciler) remember(ctx context.Context, s *rolloutScope) error {
	st := &s.before.Status
	if st.Document == nil || st.Sequence == 0 || s.frozen() {
		return nil
	}
	if s.plan.Deleting && errors.Is(s.claim, ledger.ErrUnclaimed) {
		return nil
	}
	err := r.Ledger.Record(ctx, st.Document.AppID, s.holder(), ledgerEntry(s.before))
	if taken, ok := errors.AsType[*ledger.TakenError](err); ok {
		return appIDTaken(s.holder(), taken)
	}
	if err != nil {
		return fmt.Errorf("remembering: %w", err)
	}
	return nil
}
