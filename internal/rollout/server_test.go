package rollout

import (
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/schedule"
)

// server is what the API server holds, or what somebody has read of it: status and
// the published document, each with the version that a write has to name.
type server struct {
	record        record
	recordVersion int
	// out is the status that was published last.
	out        v1alpha1.RolloutStatus
	outVersion int
}

func (s *server) clone() server {
	return server{record: s.record.clone(), recordVersion: s.recordVersion, out: *s.out.DeepCopy(), outVersion: s.outVersion}
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
	seen := w.seen(&before.status, view.out)
	move := Decide(w.plan, before.status, seen, w.now)
	after := before.clone()
	after.status = stored(t, move.Status)

	checkShare(t, before.status, after.status, seen, move)
	checkGate(t, &before, &after, seen)
	checkCalendar(t, w.plan, before.status, after.status, seen, w)
	checkApprovals(t, w.plan, before.status, after.status, seen)
	checkAborts(t, w.plan, &before, &after)
	if view.recordVersion == w.recordVersion && view.outVersion == w.outVersion {
		checkAudience(t, w, &before, &after, seen)
	}
	checkNumbers(t, before.status, after.status, seen)
	checkSequence(t, before.status, after.status, seen)
	checkDocument(t, after.status, seen)
	checkBounds(t, after.status)
	checkHeld(t, w.plan, after.status, move)
	if view.outVersion == w.outVersion {
		w.checkRepeats(t, before.status, after.status, move)
		w.checkWayOut(t, after.status, move)
	}

	if move.Verb == TakeBack {
		if !w.write(t, view, after) {
			return
		}
		before = after.clone()
	}
	if !w.publish(t, view, before.status, seen) || dies(t) {
		return
	}
	w.remember(before.status, seen)
	if dies(t) {
		return
	}
	w.write(t, view, after)
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
	w.out, w.outVersion = *st.DeepCopy(), w.outVersion+1
	view.out, view.outVersion = *st.DeepCopy(), w.outVersion
	return true
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
