package rollout

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/schedule"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// TestAnyHistory plays random histories against a model of the world: people
// change the plan, approve, withdraw, suspend, act and delete, calendars shut and
// open, the clock jumps in both directions, a manager dies between any two writes,
// caches lag, another manager still believes that it leads, the Rollout is created
// anew, and status comes back from a backup.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 60).Draw(t, "passes") {
			for range rapid.IntRange(0, 2).Draw(t, "events") {
				name := rapid.SampledFrom(eventNames).Draw(t, "event")
				events[name](w, t)
			}
			w.pass(t, nil)
		}
	})
}

// stored is the status as the API server gives it back.
func stored(t *rapid.T, st v1alpha1.RolloutStatus) v1alpha1.RolloutStatus {
	data, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	var out v1alpha1.RolloutStatus
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(st, out, cmpEmpty); diff != "" {
		t.Fatalf("storing status changes it: %s", diff)
	}
	return out
}

func (r record) clone() record {
	return record{status: *r.status.DeepCopy(), aborted: maps.Clone(r.aborted), admitted: maps.Clone(r.admitted), number: maps.Clone(r.number)}
}

func digest(v *v1alpha1.Variant) string {
	if v == nil {
		return ""
	}
	return v.Digest
}

func checkShare(t *rapid.T, before, after v1alpha1.RolloutStatus, seen Seen, move Move) {
	switch b, a := before.Target, after.Target; {
	case b == nil:
	case a == nil:
		if move.Verb != TakeBack && move.Verb != Complete {
			t.Fatalf("the target is gone by %s %s", move.Verb, move.Reason)
		}
	case a.Digest == b.Digest && a.Delivery == b.Delivery:
		if after.BasisPoints < before.BasisPoints || after.PeakBasisPoints < before.PeakBasisPoints {
			t.Fatalf("the share fell from %d to %d by %s %s", before.BasisPoints, after.BasisPoints, move.Verb, move.Reason)
		}
		if after.Document.Seed != before.Document.Seed || after.Document.By != before.Document.By {
			t.Fatalf("the split changed from %+v to %+v under way", before.Document, after.Document)
		}
	case before.PeakBasisPoints > 0 && digest(after.Stable) != b.Digest && !slices.ContainsFunc(after.Recalls, func(r v1alpha1.Recall) bool {
		return r.Digest == b.Digest && r.Seed == before.Document.Seed && r.By == before.Document.By && (r.BasisPoints == max(before.PeakBasisPoints, out(seen, before)) || r.BasisPoints == 10000 && (len(seen.Lost) > 0 || stableOut(seen, before, b.Digest)))
	}) && (after.Stable == nil || after.Stable.Delivery <= before.LastDelivery):
		t.Fatalf("target %s gave way to %s and who had it is forgotten: %+v", b.Version, a.Version, after.Recalls)
	}
	if after.Target != nil && (after.BasisPoints < 0 || after.BasisPoints > 10000 || after.PeakBasisPoints < after.BasisPoints) {
		t.Fatalf("share %d, peak %d", after.BasisPoints, after.PeakBasisPoints)
	}
}

// checkGate lets nothing become target or stable, and no share grow, but through
// the gate or out of what was let through before.
func checkGate(t *rapid.T, before, after *record, seen Seen) {
	b, a := before.status, after.status
	named := ""
	if open(seen) {
		named = seen.Candidate.Variant.Digest
		if digest(a.Target) == named || digest(a.Stable) == named {
			after.admitted[named] = true
		}
	}
	for what, v := range map[string]*v1alpha1.Variant{"target": a.Target, "stable": a.Stable} {
		if v != nil && !after.admitted[v.Digest] && v.Digest != digest(seen.Adopt) && v.Digest != digest(seen.OutStable) {
			t.Fatalf("%s %s was never let through the gate", what, v.Version)
		}
		if _, bad := seen.Unservable[digest(v)]; bad {
			t.Fatalf("%s %s must not be served", what, v.Version)
		}
		if _, bad := seen.Blocked[digest(v)]; bad && what == "target" {
			t.Fatalf("target %s is blocked, and goes on", v.Version)
		}
	}
	grows := a.Target != nil && (digest(b.Target) != a.Target.Digest || a.BasisPoints > max(b.BasisPoints, out(seen, b)))
	if grows && a.Target.Digest != named {
		t.Fatalf("target %s grows from %d to %d although the gate is shut", a.Target.Version, b.BasisPoints, a.BasisPoints)
	}
	fromHistory := slices.ContainsFunc(b.Rollbacks, func(v v1alpha1.Variant) bool { return v.Digest == digest(a.Stable) })
	adopted := seen.Adopt != nil && digest(a.Stable) == seen.Adopt.Digest ||
		seen.Out != nil && seen.Out.Sequence > b.Sequence && seen.Out.Stable != nil && seen.Out.Stable.Digest == digest(a.Stable)
	if adopted && a.Stable != nil {
		after.admitted[a.Stable.Digest] = true
	}
	if digest(a.Stable) != digest(b.Stable) && a.Stable != nil && !fromHistory && !adopted && a.Stable.Digest != named {
		t.Fatalf("stable goes from %s to %s although the gate is shut", digest(b.Stable), digest(a.Stable))
	}
}

// out is the share of the recorded target that is out already, where the record came
// back from a backup.
func out(seen Seen, b v1alpha1.RolloutStatus) int32 {
	if o := seen.Out; o != nil && o.Sequence > b.Sequence && o.Target != nil && b.Target != nil && is(o.Target, b.Target) {
		return o.Split.BasisPoints
	}
	return 0
}

// stableOut tells that a digest had become stable for everybody, where the record came
// back from a backup.
func stableOut(seen Seen, b v1alpha1.RolloutStatus, digest string) bool {
	o := seen.Out
	return o != nil && o.Sequence > b.Sequence && o.Stable != nil && o.Stable.Digest == digest
}

// checkAborts keeps out what was aborted until Git names another or somebody retries.
func checkAborts(t *rapid.T, plan Plan, before, after *record, seen Seen) {
	b, a := before.status, after.status
	answer := a.LastAction
	if answer != nil && b.LastAction != nil && answer.Value == b.LastAction.Value {
		answer = nil
	}
	retried := answer != nil && strings.HasPrefix(answer.Value, VerbRetry) && answer.Result == resultDone
	for digestAborted, ref := range before.aborted {
		if ref != plan.VersionRef || retried || seen.OutStable != nil && digest(a.Stable) == seen.OutStable.Digest { // of the latter the record knows nothing
			delete(after.aborted, digestAborted)
			continue
		}
		if digest(a.Target) == digestAborted || digest(a.Stable) == digestAborted && digest(b.Stable) != digestAborted {
			t.Fatalf("%s was aborted and is out again by itself", digestAborted)
		}
	}
	newest := len(a.History) - 1
	if b.Target != nil && a.Target == nil && a.Outcome == v1alpha1.OutcomeAborted && newest >= 0 && b.Target.VersionRef == plan.VersionRef {
		after.aborted[b.Target.Digest] = plan.VersionRef
	}
}

func checkNumbers(t *rapid.T, before, after v1alpha1.RolloutStatus, seen Seen) {
	last := max(before.LastDelivery, seen.LastDelivery)
	if after.Sequence < before.Sequence || after.LastDelivery < last || after.Attempt < before.Attempt {
		t.Fatalf("numbers fell: sequence %d → %d, delivery %d → %d, attempt %d → %d",
			before.Sequence, after.Sequence, last, after.LastDelivery, before.Attempt, after.Attempt)
	}
	known := map[int64]bool{}
	for _, st := range []*v1alpha1.RolloutStatus{&before} {
		for _, v := range append(slices.Clone(st.Rollbacks), deref(st.Stable, st.Target, seen.Adopt)...) {
			known[v.Delivery] = true
		}
	}
	for _, v := range deref(after.Stable, after.Target) {
		if v.Delivery > after.LastDelivery || !known[v.Delivery] && v.Delivery <= last {
			t.Fatalf("%s has delivery number %d, the last was %d, is %d", v.Version, v.Delivery, last, after.LastDelivery)
		}
	}
	for i, r := range after.Recalls {
		if r.Delivery > after.LastDelivery || i > 0 && r.Delivery <= after.Recalls[i-1].Delivery || after.Stable != nil && r.Delivery < after.Stable.Delivery {
			t.Fatalf("recall %d of %+v is out of order; stable %+v", i, after.Recalls, after.Stable)
		}
	}
}

func deref(list ...*v1alpha1.Variant) []v1alpha1.Variant {
	var out []v1alpha1.Variant
	for _, v := range list {
		if v != nil {
			out = append(out, *v)
		}
	}
	return out
}

// checkSequence wants a new number for every new content, and for nothing else.
func checkSequence(t *rapid.T, before, after v1alpha1.RolloutStatus, seen Seen) {
	same := contentOf(t, before) == contentOf(t, after)
	behind := seen.LastSequence > before.Sequence
	switch risen := after.Sequence > before.Sequence; {
	case after.Document == nil:
	case risen && same && !behind:
		t.Fatal("the sequence rose although the document says the same")
	case !risen && !same:
		t.Fatal("the document changed under the same sequence")
	case after.Sequence < seen.LastSequence, behind && after.Sequence <= seen.LastSequence:
		t.Fatalf("sequence %d is not above %d, which is out", after.Sequence, seen.LastSequence)
	}
}

// contentOf is all that the document says but for numbers and times.
func contentOf(t *rapid.T, st v1alpha1.RolloutStatus) string {
	if st.Document == nil || st.Sequence == 0 {
		return ""
	}
	st = *st.DeepCopy()
	st.Sequence, st.Document.IssuedAt = 1, *stampAt(now)
	return string(rendered(t, st))
}

// rendered is the document's bytes, which a host app can read.
func rendered(t interface{ Fatalf(string, ...any) }, st v1alpha1.RolloutStatus) []byte {
	doc, err := delivery.Render("shop-team", "shop", v1alpha1.ChannelRelease, &st)
	if err != nil {
		t.Fatalf("rendering: %v", err)
	}
	data, err := document.Marshal(doc)
	if err != nil {
		t.Fatalf("no host app could read the document: %v", err)
	}
	parsed, err := document.Parse(data)
	if err != nil {
		t.Fatalf("no host app could read the document: %v", err)
	}
	if diff := cmp.Diff(doc, parsed, cmpEmpty); diff != "" {
		t.Fatalf("a host app reads something else: %s", diff)
	}
	return data
}

func checkDocument(t *rapid.T, st v1alpha1.RolloutStatus, seen Seen) {
	if st.Document == nil {
		if st.Sequence != 0 {
			t.Fatal("the document is gone")
		}
		return
	}
	doc := new(document.Release)
	if err := json.Unmarshal(rendered(t, st), doc); err != nil {
		t.Fatal(err)
	}
	checkTaken(t, doc, seen)
	if doc.Availability == document.Removed {
		return
	}
	if seen.Program != nil && seen.Program.Availability == v1alpha1.AvailabilitySuspended && doc.Target != nil {
		t.Fatal("a suspended program has a target")
	}
	for _, f := range st.History {
		if f.Outcome != v1alpha1.OutcomeRolledBack || doc.Stable != nil {
			continue
		}
		named := slices.ContainsFunc(doc.Recalls, func(r document.Recall) bool { return r.Digest == f.Digest })
		if digest(st.Target) != f.Digest && !named && doc.Availability != document.Withdrawn && len(doc.Recalls) < 15 {
			t.Fatalf("%s was withdrawn, nothing took its place, and it stays on devices", f.Version)
		}
	}
}

// checkTaken hands nothing to host apps that do not take the program, and takes
// nothing from their devices for that.
func checkTaken(t *rapid.T, doc *document.Release, seen Seen) {
	left := slices.ContainsFunc(doc.HostApps, func(h string) bool { return !slices.Contains(seen.NotTaken, h) })
	for _, h := range doc.HostApps {
		if !slices.Contains(seen.NotTaken, h) {
			continue
		}
		// Of a deleted Rollout the last document stays as it was.
		ended := doc.Tombstone != nil && doc.Tombstone.Reason == "RolloutDeleted"
		if left && !ended {
			t.Fatalf("host app %s does not take the program and is one of %v", h, doc.HostApps)
		}
		if doc.Availability == document.Listed || doc.Availability == document.Hidden || doc.Tombstone != nil && doc.Stable != nil && !ended {
			t.Fatalf("host app %s does not take the program and is handed %+v", h, doc.Stable)
		}
	}
}

func checkBounds(t *rapid.T, st v1alpha1.RolloutStatus) {
	if len(st.Recalls) > 20 || len(st.History) > 50 || len(st.Rollbacks) > 20 {
		t.Fatalf("%d recalls, %d attempts, %d rollbacks", len(st.Recalls), len(st.History), len(st.Rollbacks))
	}
	if st.Outcome != "" && st.Target != nil {
		t.Fatalf("outcome %s while %s is under way", st.Outcome, st.Target.Version)
	}
	if st.Target == nil && st.Promotion != "" {
		t.Fatalf("promotion %s without a target", st.Promotion)
	}
	if (st.Target == nil) != (st.Step == nil) || st.Target == nil && st.PausedReason != "" || (st.PausedReason == "") != (st.PausedSince == nil) {
		t.Fatalf("target %+v, step %+v, paused %s since %v", st.Target, st.Step, st.PausedReason, st.PausedSince)
	}
}

// checkRepeats wants the same answer again at the same time, and nothing to
// change by itself before the time that the move names.
func (w *world) checkRepeats(t *rapid.T, before, st v1alpha1.RolloutStatus, move Move) {
	seen := w.seen(&st, &w.server)
	seen.LastSequence = max(seen.LastSequence, st.Sequence)
	if st.Sequence != before.Sequence {
		seen.Unpublished, seen.OutSince = w.unpublished(before), time.Time{} // as it will be in a moment, in time
	}
	if digest(before.Stable) != digest(st.Stable) || before.Sequence == 0 {
		seen.StableHostApps = nil // where another, or an adopted, stable is approved is news
	}
	if st.Attempt != before.Attempt {
		seen.Installed = 0 // what was counted of an attempt of that number, before a backup came back, is news
	}
	again := Decide(w.plan, st, seen, w.now)
	if diff := cmp.Diff(st, again.Status, cmpEmpty); diff != "" {
		t.Fatalf("asking again changes the record (-first +again): %s", diff)
	}
	wait := again.Recheck
	if wait == 0 {
		wait = 10 * 365 * 24 * time.Hour
	}
	if wait < time.Second || move.Recheck < 0 {
		t.Fatalf("rechecks after %s, then after %s", move.Recheck, wait)
	}
	later := Decide(w.plan, st, seen, w.now.Add(wait-time.Second))
	if diff := cmp.Diff(st, later.Status, cmpEmpty); diff != "" {
		t.Fatalf("the record changes by itself within the %s that %s %s names (-now +then): %s", wait, again.Verb, again.Reason, diff)
	}
}

// servedAnd tells that a host app that is served may get the candidate.
func servedAnd(st v1alpha1.RolloutStatus, seen Seen) bool {
	return st.Document != nil && slices.ContainsFunc(st.Document.HostApps, func(h string) bool {
		return slices.Contains(seen.HostApps, h) && slices.Contains(seen.Candidate.HostApps, h)
	})
}

var command = regexp.MustCompile(`\b(promote|promote-full|abort|retry|resume)@[0-9]+(/[0-9]+)?`)

// checkWayOut wants every waiting move to say what somebody can do, and every
// command that it names to work.
func (w *world) checkWayOut(t *rapid.T, st v1alpha1.RolloutStatus, move Move) {
	if move.Verb != Wait {
		return
	}
	seen := w.seen(&st, &w.server)
	commands := command.FindAllString(move.Message, -1)
	if !strings.Contains(move.Message, "spec.") && !strings.Contains(move.Message, "ask for") && len(commands) == 0 {
		t.Fatalf("%s: %q names no way out", move.Reason, move.Message)
	}
	if move.Waits == (move.Reason == ReasonCalendarClosed) {
		t.Fatalf("%s: nobody is told that somebody has to act", move.Reason)
	}
	for _, c := range commands {
		if strings.HasPrefix(c, VerbRetry) && (!open(seen) || !servedAnd(st, seen) || w.plan.Paused || seen.Candidate.Variant.Digest != st.Refused.Digest) {
			continue // the message names another version as the other way
		}
		if goesOn := strings.HasPrefix(c, VerbPromote) || strings.HasPrefix(c, VerbRetry); goesOn &&
			!schedule.At(w.now, append([]schedule.Calendar{w.plan.Calendar}, seen.Calendars...)...).Open {
			continue // it works when the calendar opens
		}
		if strings.HasPrefix(c, VerbRetry) && w.plan.Window.closed(w.now) {
			continue // the answer says that the window has to be opened first
		}
		if st.LastAction != nil && st.LastAction.Value == c && !strings.HasPrefix(c, VerbResume) {
			continue // it was answered before
		}
		if w.plan.Paused && strings.Contains(move.Message, "spec.state") {
			continue // it works after spec.state was set
		}
		seen.Action = &Action{Value: c, User: "oscar"}
		if got := Decide(w.plan, st, seen, w.now).Status.LastAction; got.Result != resultDone {
			t.Fatalf("%s: %q names %s, which is answered %s: %s", move.Reason, move.Message, c, got.Result, got.Message)
		}
	}
}
