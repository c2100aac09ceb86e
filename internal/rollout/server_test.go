package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/schedule"
)

// server is what the API server holds, or what somebody has read of it: status and
// the published document, each with the version that a write has to name.
type server struct {
	record        record
	recordVersion int
	// out is the status that was published last, written the time that is beside it. gone
	// tells that somebody has deleted it since, which takes nothing from users.
	out        v1alpha1.RolloutStatus
	outVersion int
	written    time.Time
	gone       bool
}

func (s *server) clone() server {
	copied := *s
	copied.record, copied.out = s.record.clone(), *s.out.DeepCopy()
	return copied
}

// unpublished tells that what is recorded is not out.
func (s *server) unpublished(st v1alpha1.RolloutStatus) bool {
	return st.Sequence != 0 && (s.gone || s.out.Sequence != st.Sequence)
}

// lose is what happens to a Rollout that somebody deletes by force, and applies again.
func (w *world) lose() {
	w.record = record{aborted: map[string]string{}, admitted: w.record.admitted, number: w.record.number}
	w.recordVersion++
	w.backup = nil // of another object
}

// glance is what a cache shows when it looks away.
func (w *world) glance() *world {
	copied := &world{
		now: w.now, facts: map[string]*facts{}, hostApps: w.hostApps, notTaken: w.notTaken, program: w.program,
		answers: maps.Clone(w.answers), calendars: slices.Clone(w.calendars),
	}
	for version, f := range w.facts {
		one := *f
		copied.facts[version] = &one
	}
	return copied
}

// pass is one of a manager that sees what is there now, or what it saw once. It may
// die after each of its writes.
func (w *world) pass(t *rapid.T, view *server) {
	if view == nil {
		fresh := w.clone()
		view = &fresh
	}
	before := view.record.clone()
	seen := w.seen(&before.status, view)
	move := Decide(w.plan, before.status, seen, w.now)
	after := before.clone()
	after.status = stored(t, move.Status)
	w.checkAll(t, view, &before, &after, seen, move)

	if move.Verb == TakeBack {
		w.claim(before.status, &after.status, seen)
		if !w.write(t, view, after) {
			return
		}
		forgetStable(&seen, before.status, after.status)
		before = after.clone()
	}
	if !w.publish(t, view, before.status, seen) || dies(t) {
		return
	}
	if (seen.Unpublished || move.Verb == TakeBack) && !view.unpublished(before.status) {
		after.status = w.decideAgain(t, view, before.status, seen)
	}
	w.remember(before.status, seen)
	if dies(t) {
		return
	}
	w.checkPause(t, before.status, after.status, seen)
	claimed := w.claim(before.status, &after.status, seen)
	if !w.write(t, view, after) || !claimed {
		return
	}
	forgetStable(&seen, before.status, after.status)
	w.follow(t, view, after, seen)
}

// follow writes the document of what was recorded a moment ago, or some time ago if the
// API server is slow. Status is written again where that was too long, or refused.
func (w *world) follow(t *rapid.T, view *server, after record, seen Seen) {
	took := time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 90, 4000}).Draw(t, "seconds until the document")) * time.Second
	w.now, w.real = w.now.Add(took), w.real+took
	refused := rapid.IntRange(0, 9).Draw(t, "the document is refused") == 0
	if !refused && !w.publish(t, view, after.status, seen) || dies(t) {
		return
	}
	claim := after.status.Published
	if refused {
		after.status.Published = publishedBy(&w.server)
	} else if after.status.Published = publishedBy(&w.server); after.status.Published.Time.After(claim.Time.Time) {
		claimed := after.status.Published
		after.status = w.decideAgain(t, view, after.status, seen)
		after.status.Published = claimed
	} else {
		after.status.Published = claim
		return
	}
	w.write(t, view, after)
}

// decideAgain is for what is out since a moment ago.
func (w *world) decideAgain(t *rapid.T, view *server, st v1alpha1.RolloutStatus, seen Seen) v1alpha1.RolloutStatus {
	seen.Unpublished, seen.OutSince = false, view.written
	return stored(t, Decide(w.plan, st, seen, w.now).Status)
}

// forgetStable forgets what was seen of a stable version that is no longer it.
func forgetStable(seen *Seen, before, after v1alpha1.RolloutStatus) {
	if digest(before.Stable) != digest(after.Stable) {
		seen.StableHostApps = nil
	}
}

// claim says in a status that the document which it makes is out in a moment.
func (w *world) claim(before v1alpha1.RolloutStatus, after *v1alpha1.RolloutStatus, seen Seen) bool {
	if after.Document == nil || after.Sequence == before.Sequence && after.Document.IssuedAt.Equal(&before.Document.IssuedAt) {
		return false
	}
	after.Published = &v1alpha1.PublishedDocument{Sequence: after.Sequence, Time: metav1.NewTime(WholeSecond(seen.OutBy))}
	return true
}

func publishedBy(s *server) *v1alpha1.PublishedDocument {
	if s.gone || s.out.Sequence == 0 {
		return nil
	}
	return &v1alpha1.PublishedDocument{Sequence: s.out.Sequence, Time: metav1.NewTime(s.written)}
}

func (w *world) checkAll(t *rapid.T, view *server, before, after *record, seen Seen, move Move) {
	checkShare(t, before.status, after.status, seen, move)
	checkGate(t, before, after, seen)
	checkCalendar(t, w.plan, before.status, after.status, seen, w)
	checkApprovals(t, w.plan, before.status, after.status, seen)
	checkAborts(t, w.plan, before, after, seen)
	if view.recordVersion == w.recordVersion && view.outVersion == w.outVersion {
		checkAudience(t, w, before, after, seen)
	}
	checkNumbers(t, before.status, after.status, seen)
	checkSequence(t, before.status, after.status, seen)
	checkDocument(t, after.status, seen)
	checkBounds(t, after.status)
	checkHeld(t, w.plan, after.status, move)
	checkRestored(t, before.status, after.status, seen)
	if view.outVersion == w.outVersion {
		w.checkRepeats(t, before.status, after.status, move)
		w.checkWayOut(t, after.status, move)
	}
}

func dies(t *rapid.T) bool { return rapid.IntRange(0, 11).Draw(t, "it dies") == 0 }

// write records a status, unless somebody else wrote first.
func (w *world) write(t *rapid.T, view *server, after record) bool {
	if view.recordVersion != w.recordVersion {
		return false
	}
	w.backup = append(w.backup, w.record.clone())
	w.record = after.clone()
	w.recordVersion++
	view.record, view.recordVersion = after.clone(), w.recordVersion
	return !dies(t)
}

// publish writes the document of a record, unless a later one is out, or somebody
// else wrote first.
func (w *world) publish(t *rapid.T, view *server, st v1alpha1.RolloutStatus, seen Seen) bool {
	if st.Document == nil || st.Sequence == 0 || seen.LastSequence > st.Sequence {
		return true
	}
	if view.outVersion != w.outVersion {
		return false
	}
	w.checkPublished(t, st, seen)
	if w.gone || w.out.Sequence != st.Sequence || w.out.Document == nil || !w.out.Document.IssuedAt.Equal(&st.Document.IssuedAt) {
		w.written = WholeSecond(w.now)
	}
	if key := shareOf(st); key != "" && w.shareOut[key] == 0 {
		w.shareOut[key] = w.real
	}
	w.out, w.outVersion, w.gone = *st.DeepCopy(), w.outVersion+1, false
	view.out, view.outVersion, view.written, view.gone = *st.DeepCopy(), w.outVersion, w.written, false
	return true
}

// shareOf tells the share of one attempt's target from all others; nothing: there is no target.
func shareOf(st v1alpha1.RolloutStatus) string {
	if st.Target == nil {
		return ""
	}
	return fmt.Sprintf("%d of %d", st.BasisPoints, st.Target.Delivery)
}

// checkPause wants every share to have been out for as long as the plan asks for, by a
// clock that never goes back, before it is followed by another.
func (w *world) checkPause(t *rapid.T, before, after v1alpha1.RolloutStatus, seen Seen) {
	if before.Target == nil || before.Step == nil || int(before.Step.Index) >= len(w.plan.Steps) {
		return
	}
	step, wait := w.plan.Steps[before.Step.Index], time.Duration(0)
	switch p := step.Pause; {
	case step.Bake > 0:
		wait = step.Bake
	case p != nil && p.Wait > 0:
		wait = p.Wait
	case p != nil && p.OnTimeout == v1alpha1.OnTimeoutContinue:
		wait = p.Timeout
	}
	answer := after.LastAction
	acted := answer != nil && answer.Result == resultDone && (before.LastAction == nil || before.LastAction.Value != answer.Value)
	grown := after.Target != nil && after.Target.Delivery == before.Target.Delivery && after.BasisPoints > before.BasisPoints
	completed := after.Target == nil && after.Stable != nil && after.Stable.Delivery == before.Target.Delivery
	restored := seen.Out != nil && seen.Out.Sequence > before.Sequence
	edited := w.plan.shareAt(int(before.Step.Index)-1) != before.BasisPoints
	if wait == 0 || acted || before.Promotion != "" || restored || edited || !grown && !completed {
		return
	}
	since, was := w.shareOut[shareOf(before)]
	if !was {
		t.Fatalf("%s of %s gives way to the next, and was never out", before.Percent, before.Target.Version)
	}
	if held := w.real - since; held < wait {
		t.Fatalf("%s of %s was out for %s, and the plan asks for %s; the step began %s", before.Percent, before.Target.Version, held, wait, before.Step.Began)
	}
}

// remember writes to the ledger.
func (w *world) remember(st v1alpha1.RolloutStatus, seen Seen) {
	if st.Document == nil || st.Sequence == 0 || seen.LastSequence > st.Sequence || w.recordVersion == 0 {
		return
	}
	if st.Sequence >= w.sequence {
		w.sequence, w.delivery, w.adopt = st.Sequence, max(w.delivery, st.LastDelivery), st.Stable.DeepCopy()
		if st.Document.Availability == "Removed" {
			w.adopt = nil
		}
	}
}

// checkPublished is about what users have: it never goes back, whoever publishes it,
// and nobody leaves a target that grows.
func (w *world) checkPublished(t *rapid.T, st v1alpha1.RolloutStatus, seen Seen) {
	was := w.out
	if st.Sequence < was.Sequence {
		t.Fatalf("sequence %d is published after %d", st.Sequence, was.Sequence)
	}
	if st.Sequence == was.Sequence && contentOf(t, st) != contentOf(t, was) {
		t.Fatalf("sequence %d is published with two contents", st.Sequence)
	}
	if st.Target == nil {
		return
	}
	for what, list := range map[string]map[string]Hold{"withdrawn": seen.Unservable, "blocked": seen.Blocked} {
		if _, bad := list[st.Target.Digest]; bad {
			t.Fatalf("target %s is %s, and is published", st.Target.Version, what)
		}
	}
	if seen.Program != nil && seen.Program.Availability == v1alpha1.AvailabilitySuspended {
		t.Fatalf("target %s of a suspended program is published", st.Target.Version)
	}
	if was.Target == nil || was.Target.Digest != st.Target.Digest || was.Target.Delivery != st.Target.Delivery {
		return
	}
	if st.BasisPoints < was.BasisPoints || st.Document.Seed != was.Document.Seed || st.Document.By != was.Document.By {
		t.Fatalf("users leave target %s: %d of %s was out, and now %d of %s", st.Target.Version, was.BasisPoints, was.Document.Seed, st.BasisPoints, st.Document.Seed)
	}
}

// checkCalendar lets no share grow, and nothing become stable, while a calendar is
// shut, but by going back.
func checkCalendar(t *rapid.T, plan Plan, before, after v1alpha1.RolloutStatus, seen Seen, w *world) {
	if schedule.At(w.now, append([]schedule.Calendar{plan.Calendar}, seen.Calendars...)...).Open {
		return
	}
	restored := seen.Out != nil && seen.Out.Sequence > before.Sequence
	if a := after.Target; a != nil {
		share := out(seen, before)
		if before.Target != nil && before.Target.Digest == a.Digest && before.Target.Delivery == a.Delivery {
			share = max(share, before.BasisPoints)
		}
		if after.BasisPoints > share {
			t.Fatalf("%s grows from %d to %d while the calendar is shut", a.Version, share, after.BasisPoints)
		}
	}
	earlier := slices.ContainsFunc(before.Rollbacks, func(v v1alpha1.Variant) bool { return v.Digest == digest(after.Stable) })
	if after.Stable != nil && digest(before.Stable) != after.Stable.Digest && !earlier && !restored && digest(seen.Adopt) != after.Stable.Digest {
		t.Fatalf("%s becomes stable while the calendar is shut", after.Stable.Version)
	}
	if a := after.LastAction; a != nil && a.Result == resultDone && (before.LastAction == nil || before.LastAction.Value != a.Value) &&
		(strings.HasPrefix(a.Value, VerbPromote) || strings.HasPrefix(a.Value, VerbRetry)) {
		t.Fatalf("%s is done while the calendar is shut", a.Value)
	}
}

// checkRestored lets nobody have what was stable before that which the ledger remembers,
// unless Git or a person names it, or that must not be served.
func checkRestored(t *rapid.T, before, after v1alpha1.RolloutStatus, seen Seen) {
	known, acted := seen.OutStable, after.LastAction != nil && (before.LastAction == nil || before.LastAction.Value != after.LastAction.Value)
	if known == nil || seen.Overtaken || acted || before.Stable == nil || before.Stable.Digest == known.Digest {
		return
	}
	_, bad := seen.Unservable[known.Digest]
	named := seen.Candidate != nil && seen.Candidate.Variant.Digest == before.Stable.Digest
	if !bad && !named && digest(after.Stable) == before.Stable.Digest {
		t.Fatalf("stable goes back from %s to %s because a record came back from a backup", known.Version, before.Stable.Version)
	}
}

// checkHeld wants the time that a target is held to be told apart from what the plan asks for.
func checkHeld(t *rapid.T, plan Plan, after v1alpha1.RolloutStatus, move Move) {
	step := after.Step
	if step == nil {
		if move.Overdue {
			t.Fatalf("%s is overdue and nothing is under way", move.Reason)
		}
		return
	}
	planned := slices.Contains([]string{"Paused", "WaitsForPromote", "Progressing", "Publishing", ReasonCalendarClosed, ReasonWaitingForApproval}, move.Reason)
	if planned && (step.HeldSince != nil || move.Overdue) {
		t.Fatalf("%s is in the plan, and counts as held since %v, overdue %v", move.Reason, step.HeldSince, move.Overdue)
	}
	if move.Overdue && (plan.ProgressDeadline == 0 || after.PausedReason != "") {
		t.Fatalf("overdue without a deadline, or while paused: %+v", move)
	}
}
