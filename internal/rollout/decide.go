package rollout

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/schedule"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Candidate is the version that the spec names, as it is now.
type Candidate struct {
	Variant v1alpha1.Variant
	// Problem says why it cannot be released now, and who can change that; empty: it can be.
	Problem *Hold
	// HostApps for which it is approved.
	HostApps []string
}

// Hold is a reason to wait, in one CamelCase word and in words for people.
type Hold struct{ Reason, Message string }

// Seen is what was observed outside the rollout's own record.
type Seen struct {
	// Candidate is what spec.versionRef names; nil: see Missing.
	Candidate *Candidate
	// Missing says why there is no candidate.
	Missing Hold
	// Unservable maps digests that must not be served to the reason: withdrawn or rejected.
	Unservable map[string]Hold
	// Blocked maps digests that one of HostApps blocks to the reason. A target that is
	// among them is taken back, and does not come again before the block is lifted. Stable
	// stays, for the others: the manifest service keeps it from the host app.
	Blocked map[string]Hold
	// AppID of the program.
	AppID string
	// Program is nil when the MiniProgram is gone: then its facts stay as recorded.
	Program *Program
	// HostApps that the rollout may serve now.
	HostApps []string
	// NotTaken are the rollout's host apps that do not take the program (any longer).
	NotTaken []string
	// Remarks are what else people should know: which host apps get nothing, and why.
	Remarks []string
	// StableHostApps are those for which stable is approved.
	StableHostApps []string
	// FallbackHostApps maps digests of the rollback history, and of stable, to the host apps for
	// which they are approved. What is not in it is not known.
	FallbackHostApps map[string][]string
	// Poll intervals of the host apps, in seconds: the least of each.
	PollRest, PollBusy int32
	// Unpublished says that what was recorded is not out yet: no pause counts before it is.
	Unpublished bool
	// OutSince is since when what was recorded is out; zero: it is not, or nobody can tell.
	OutSince time.Time
	// OutBy is by when what is decided now is out, if nothing comes in between, no more than a
	// second from now. What begins with it begins then. Zero: at once.
	OutBy time.Time
	// Calendars of policies, which hold beside the plan's.
	Calendars []schedule.Calendar
	// Answers to the questions of approval steps. What is not in it is not approved.
	Answers map[Question]Answer
	// Lists of the audience that were read; nil: none were. Unlisted says why what the audience
	// or the window rests on is not there; nil: it is, or is not looked at.
	Lists    *Lists
	Unlisted *Hold
	// Lost are the digests of recorded parts that are gone and cannot be made again.
	Lost map[string]bool
	// Installed is how many have installed the target, as far as it was counted.
	Installed int64
	// Guardrails that watch the target. Where those of policies could not be read, PoliciesUnread
	// says so, and what is recorded of them stays.
	Guardrails     []Guardrail
	PoliciesUnread bool
	// Action that is asked for; nil: none.
	Action *Action
	// LastSequence and LastDelivery are the highest numbers known outside the record: the
	// published document and the ledger.
	LastSequence, LastDelivery int64
	// Floor is the highest sequence of the program's earlier Rollouts. The next one goes above
	// it, for host apps may have seen it; but nothing is numbered anew because of it.
	Floor int64
	// Out is the document of this rollout that is out; nil: none is, or nobody can tell.
	Out *document.Release
	// OutStable is the stable version of Out, as the ledger remembers it, where Out is newer than
	// the record and the record knows nothing of it.
	OutStable *v1alpha1.Variant
	// Overtaken says that another MiniProgram has held the app ID and published for it since this
	// rollout has recorded anything: what is recorded is not what users have.
	Overtaken bool
	// Adopt is the stable version that the ledger remembers for a rollout that has recorded nothing, or was overtaken.
	Adopt *v1alpha1.Variant
}

// Program is what the document says of the MiniProgram.
type Program struct {
	Availability, MinimumVersion, DisplayName, Description string
	Locales                                                []v1alpha1.LocalizedText
}

// Verb says what kind of move it is.
type Verb string

// The verbs of a move.
const (
	Wait     Verb = "Hold"     // waits; the reason says for what
	Idle     Verb = "Idle"     // there is nothing to do
	Advance  Verb = "Advance"  // the target starts or its share grows
	Complete Verb = "Complete" // the target became stable
	TakeBack Verb = "TakeBack" // the target, or stable, goes back: recorded before anything else
)

// Move is what to do next, and why.
type Move struct {
	Verb            Verb
	Reason, Message string
	// Status to record. Conditions and what the controller observed of the API stay as they were.
	Status v1alpha1.RolloutStatus
	// Recheck is the time until something can change without anybody's doing; 0: never.
	Recheck time.Duration
	// Waits tells that a person has to act before it goes on.
	Waits bool
	// Overdue tells that the target is held for longer than the plan allows.
	Overdue bool
}

// Poll intervals where no host app says otherwise, and how long after an abort
// host apps keep asking often.
const (
	defaultPollRest = 1800
	defaultPollBusy = 300
	abortPollPeriod = 24 * time.Hour
)

// Decide returns the next move. It is total: it has an answer for every record,
// and asking again with the record that it returned, at the same time, returns
// that record.
func Decide(p Plan, recorded v1alpha1.RolloutStatus, seen Seen, now time.Time) Move {
	d := decider{
		plan: p, seen: seen, now: now.UTC().Truncate(time.Second),
		st: *recorded.DeepCopy(), move: Move{Verb: Idle},
	}
	d.countFromOut()
	d.outNumbers()
	// The ledger is asked only before the first sequence: what it says is kept.
	d.st.LastDelivery = max(d.st.LastDelivery, d.seen.LastDelivery)
	d.adopt()
	d.restore()
	d.forgetLost()
	d.run()
	d.refreshFacts()
	d.number(&recorded)
	d.remark()
	d.move.Status = d.st
	return d.move
}

type decider struct {
	plan Plan
	seen Seen
	now  time.Time
	st   v1alpha1.RolloutStatus
	move Move
	// held tells that what is not in the plan keeps the target where it is.
	held bool
	// asked is the answer of the calendars, once they were asked.
	asked *schedule.Opening
}

// run asks the questions of the package comment in their order.
func (d *decider) run() {
	if d.st.Step != nil {
		d.st.Step.Until = nil // whoever waits says it anew
	}
	d.protect()
	if d.plan.Deleting {
		d.delete()
		return
	}
	d.narrow()
	d.guard() // before the action: who promotes does not outrun a failure
	d.act()
	d.pauseClock()
	d.followAudience()
	d.closeWindow()
	d.follow()
	d.watch()
	d.awaitEnds()
	d.countHeld()
}

// delete records what host apps get after the Rollout is gone.
func (d *decider) delete() {
	if d.st.Target != nil {
		d.takeBack(v1alpha1.OutcomeAborted, "the Rollout was deleted")
	}
	if d.lastAvailability() == delivery.Removed {
		d.say(TakeBack, "Deleted", "the Rollout is deleted; host apps remove the mini program")
		return
	}
	d.say(TakeBack, "Deleted", "the Rollout is deleted; stable stays with host apps")
}

// lastAvailability is what the last document says. A Rollout cannot be deleted to
// bring back what was suspended, or to keep what was withdrawn.
func (d *decider) lastAvailability() string {
	was := ""
	if d.st.Document != nil {
		was = d.st.Document.Availability
	}
	switch {
	case d.plan.DeletionPolicy == v1alpha1.DeletionRemove, was == delivery.Removed,
		d.suspended(), d.seen.Program == nil && was == v1alpha1.AvailabilitySuspended, d.nothingLeft():
		return delivery.Removed
	case was == delivery.NotTaken:
		return delivery.NotTaken
	}
	return delivery.Retained
}

// nothingLeft tells that stable was withdrawn and nothing could take its place.
func (d *decider) nothingLeft() bool {
	return d.st.Stable == nil && d.st.Target == nil && d.st.Outcome == v1alpha1.OutcomeRolledBack
}

// protect takes back what must not be served any longer.
func (d *decider) protect() {
	if t := d.st.Target; t != nil {
		if why, bad := d.seen.Unservable[t.Digest]; bad {
			d.abort(why.Message)
		} else if why, bad := d.seen.Blocked[t.Digest]; bad {
			d.abort(why.Message)
		} else if d.suspended() {
			d.abort("the MiniProgram is suspended")
		}
	}
	d.st.Rollbacks = slices.DeleteFunc(d.st.Rollbacks, func(v v1alpha1.Variant) bool {
		_, bad := d.seen.Unservable[v.Digest]
		return bad
	})
	s := d.st.Stable
	if s == nil {
		return
	}
	why, bad := d.seen.Unservable[s.Digest]
	if !bad {
		return
	}
	d.endStable(why.Message)
}

// endStable replaces a stable version that must not be served by the newest
// earlier one, or by none.
func (d *decider) endStable(why string) {
	left := d.st.Stable
	if left.VersionRef == d.plan.VersionRef {
		// Else what Git names may be an aborted target, which stays out.
		d.st.Refused = &v1alpha1.Refused{VersionRef: left.VersionRef, Digest: left.Digest, Reason: clip(why)}
	}
	d.remember(left, v1alpha1.OutcomeRolledBack, why)
	d.st.Attempt++
	if d.st.Target == nil {
		d.st.Outcome = v1alpha1.OutcomeRolledBack
	}
	d.st.Stable = nil
	if n := len(d.st.Rollbacks); n > 0 {
		stable := d.st.Rollbacks[n-1]
		d.st.Rollbacks = d.st.Rollbacks[:n-1]
		stable.Delivery = d.nextDelivery()
		d.st.Stable = &stable
		d.seen.StableHostApps = nil // what was seen is about the stable before
	} else {
		// It must go from devices also while, and after, another target is under way.
		d.recall(v1alpha1.Recall{By: document.ByUser, Seed: d.seen.AppID, BasisPoints: 10000, Digest: left.Digest})
	}
	d.pruneRecalls()
	d.say(TakeBack, "StableTakenBack", why)
}

// narrow takes from the target's declaration what reviewers have withheld since it
// was recorded: also while it is paused or the gate is shut, and before an action
// makes it stable. It never widens it, for an approval that expires agrees to nothing.
func (d *decider) narrow() {
	t, c := d.st.Target, d.seen.Candidate
	if t == nil || c == nil || t.Digest != c.Variant.Digest || t.Declaration == nil || c.Variant.Declaration == nil {
		return
	}
	t.Declaration.Permissions = slices.DeleteFunc(t.Declaration.Permissions, func(p v1alpha1.Permission) bool {
		return !slices.ContainsFunc(c.Variant.Declaration.Permissions, func(now v1alpha1.Permission) bool { return now.Name == p.Name })
	})
}

func (d *decider) suspended() bool {
	return d.seen.Program != nil && d.seen.Program.Availability == v1alpha1.AvailabilitySuspended
}

// abort ends the target and keeps its digest out.
func (d *decider) abort(why string) {
	t := d.st.Target
	step := int32(0)
	if d.st.Step != nil {
		step = d.st.Step.Index
	}
	d.st.Refused = &v1alpha1.Refused{VersionRef: t.VersionRef, Digest: t.Digest, Reason: clip(why), Step: step}
	d.takeBack(v1alpha1.OutcomeAborted, why)
	d.say(TakeBack, "Aborted", why)
}

// takeBack removes the target and remembers who had it, so that containers that
// only go forward get stable under a new number.
func (d *decider) takeBack(outcome, why string) {
	t := d.st.Target
	if d.st.Document != nil {
		d.recallTarget()
	}
	d.remember(t, outcome, why)
	d.clearTarget()
	d.st.Outcome = outcome
}

func (d *decider) clearTarget() {
	d.st.Target, d.st.Step, d.st.Promotion = nil, nil, ""
	d.st.PeakBasisPoints, d.st.Guardrails = 0, nil
	d.st.PausedReason, d.st.PausedSince = "", nil
}

// remember appends to the history of attempts.
func (d *decider) remember(v *v1alpha1.Variant, outcome, why string) {
	d.st.History = append(d.st.History, v1alpha1.Attempt{
		Attempt: d.st.Attempt, Version: v.Version, Digest: v.Digest,
		Outcome: outcome, Message: clip(why), Ended: metav1.NewTime(d.now),
	})
	if extra := len(d.st.History) - max(d.plan.History, 1); extra > 0 {
		d.st.History = d.st.History[extra:]
	}
}

// number gives a changed document its sequence, and one that grows old a new time.
func (d *decider) number(recorded *v1alpha1.RolloutStatus) {
	if d.st.Document == nil {
		return
	}
	published := d.seen.LastSequence
	switch facts := d.st.Document; {
	case recorded.Document == nil, recorded.Sequence == 0, published > recorded.Sequence, d.seen.Overtaken, d.changed(recorded):
		last := max(recorded.Sequence, published, d.seen.Floor)
		d.st.Sequence = max(last+1, d.now.Unix())
		facts.IssuedAt = metav1.NewTime(d.now)
	case d.now.Sub(facts.IssuedAt.Time) >= delivery.RenewAfter:
		facts.IssuedAt = metav1.NewTime(d.now)
	}
	d.recheckAfter(d.st.Document.IssuedAt.Add(delivery.RenewAfter).Sub(d.now))
}

// changed compares what both records would publish, numbers and times apart.
func (d *decider) changed(recorded *v1alpha1.RolloutStatus) bool {
	return !bytes.Equal(body(recorded), body(&d.st))
}

func body(st *v1alpha1.RolloutStatus) []byte {
	doc, err := delivery.Render("-", "-", v1alpha1.ChannelRelease, st)
	if err != nil {
		return nil
	}
	doc.Sequence, doc.IssuedAt, doc.ExpiresAt = 1, document.At(time.Unix(1, 0)), document.At(time.Unix(2, 0))
	// Not document.Marshal, which refuses what a host app could not read: the
	// comparison must hold for every record.
	b, err := json.Marshal(doc)
	if err != nil {
		return nil
	}
	return b
}

// deliveryEpoch is the origin of delivery numbers, which count minutes.
var deliveryEpoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func (d *decider) nextDelivery() int64 {
	last := max(d.st.LastDelivery, d.seen.LastDelivery)
	d.st.LastDelivery = max(last+1, int64(d.now.Sub(deliveryEpoch)/time.Minute))
	return d.st.LastDelivery
}
