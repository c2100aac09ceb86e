package rollout

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Results of an action.
const (
	resultDone    = "Done"
	resultRefused = "Refused"
	resultStale   = "Stale"
	resultInvalid = "Invalid"
)

// Values of status.pausedReason.
const (
	pausedByUser = "User"
	pausedBySpec = "Spec"
)

// act answers an action that was not answered yet.
func (d *decider) act() {
	a := d.seen.Action
	if a == nil && d.st.LastAction != nil && d.st.LastAction.Result != resultDone {
		d.st.LastAction = nil // nothing was done: who took it back may ask again, when the world has changed
	}
	if a == nil || (d.st.LastAction != nil && d.st.LastAction.Value == a.Value) {
		return
	}
	result, message := d.perform(*a)
	d.st.LastAction = &v1alpha1.ActionAnswer{
		Value: a.Value, User: a.User, Result: result, Message: clip(message), Time: metav1.NewTime(d.now),
	}
}

func (d *decider) perform(a Action) (result, message string) {
	p, err := parseAction(a.Value)
	if err != nil {
		return resultInvalid, err.Error()
	}
	if p.attempt < 1 || p.attempt != d.st.Attempt {
		return resultStale, d.staleMessage(p)
	}
	by := a.User
	if by == "" {
		by = "an unnamed user"
	}
	switch p.verb {
	case VerbAbort:
		if d.st.Target == nil {
			return resultRefused, "no target is under way: there is nothing to abort"
		}
		d.abort("aborted by " + by)
		return resultDone, "the target was taken back"
	case VerbRetry:
		return d.retry()
	case VerbRollback:
		return d.rollbackAction(p.arg, by)
	case VerbPause, VerbResume:
		return d.pauseOrResume(p.verb)
	default:
		return d.promote(p)
	}
}

func (d *decider) staleMessage(p parsedAction) string {
	if d.st.Attempt == 0 {
		return fmt.Sprintf("the rollout has not begun yet, so there is nothing to %s", p.verb)
	}
	again := fmt.Sprintf("%s@%d", p.verb, d.st.Attempt)
	switch {
	case p.verb == VerbRollback:
		again += "/" + p.arg
	case p.verb == VerbPromote && d.st.Step != nil:
		again += fmt.Sprintf("/%d", d.st.Step.Index)
	}
	return fmt.Sprintf("the rollout is at attempt %d, not %d: look at it again, then write %s", d.st.Attempt, p.attempt, again)
}

// promote ends the pause that the action names, or all that are left. An approval
// step it does not pass.
func (d *decider) promote(p parsedAction) (result, message string) {
	if d.st.Target == nil || d.st.Step == nil {
		return resultRefused, "no target is under way: there is nothing to promote"
	}
	if d.plan.Trial {
		return resultRefused, "a trial is for testers alone: name the version in a Rollout of channel release"
	}
	if c := d.seen.Candidate; c == nil || c.Variant.Digest != d.st.Target.Digest {
		return resultRefused, "spec.versionRef no longer names the target that is under way"
	} else if shut := d.gate(c); shut != nil {
		return resultRefused, shut.Message
	}
	if d.plan.Paused {
		return resultRefused, "spec.state is Paused: set it to Running first"
	}
	if d.st.PausedReason != "" {
		return resultRefused, fmt.Sprintf("the rollout is paused: write resume@%d first", d.st.Attempt)
	}
	if why := d.shut(); why != "" {
		return resultRefused, why
	}
	if p.verb == VerbPromoteFull {
		return d.promoteFull()
	}
	index := d.st.Step.Index
	if p.arg != strconv.Itoa(int(index)) {
		return resultStale, fmt.Sprintf("the rollout is at step %d, not %s: look at it again, then write promote@%d/%d",
			index, p.arg, d.st.Attempt, index)
	}
	if d.windowClosed() {
		return resultRefused, d.sayClosed()
	}
	at, ok := d.place()
	if !ok {
		return resultRefused, d.wouldFall()
	}
	if int(at) >= len(d.plan.Steps) {
		return resultRefused, fmt.Sprintf("no step is left to promote: write promote-full@%d to make the target stable for everybody", d.st.Attempt)
	}
	if q, lacks := d.lacking(at + 1); lacks {
		return resultRefused, d.unpromotable(q)
	}
	if why := d.promotable(at); why != nil {
		return resultRefused, why.Message
	}
	d.goTo(index + 1)
	return resultDone, fmt.Sprintf("step %d is done", index)
}

func (d *decider) pauseOrResume(verb string) (result, message string) {
	switch {
	case d.st.Target == nil:
		return resultRefused, "no target is under way"
	case verb == VerbPause:
		if d.st.PausedReason != pausedByGuardrail { // which says more, and needs a person as well
			d.pause(pausedByUser)
		}
		return resultDone, "the share does not grow until somebody resumes"
	case d.plan.Paused:
		return resultRefused, "spec.state is Paused: set it to Running instead"
	case d.st.PausedReason == "":
		return resultRefused, "the rollout is not paused"
	}
	d.resume()
	d.measureAnew()
	return resultDone, "the rollout goes on"
}

func (d *decider) pause(reason string) {
	if d.st.PausedSince == nil {
		since := metav1.NewTime(d.now)
		d.st.PausedSince = &since
	}
	d.st.PausedReason = reason
}

// resume moves the step's beginning by the time that was paused, so that a pause
// of the plan is not shortened by it.
func (d *decider) resume() {
	if s := d.st.Step; s != nil && s.Began != nil && d.st.PausedSince != nil {
		paused := d.now.Sub(d.st.PausedSince.Time)
		began := metav1.NewTime(s.Began.Add(paused))
		s.Began = &began
		if s.HeldSince != nil {
			since := metav1.NewTime(s.HeldSince.Add(paused))
			s.HeldSince = &since
		}
	}
	d.st.PausedReason, d.st.PausedSince = "", nil
}

// pauseClock follows spec.state.
func (d *decider) pauseClock() {
	switch {
	case d.st.Target == nil:
		d.st.PausedReason, d.st.PausedSince = "", nil
	case d.plan.Paused && d.st.PausedReason == "":
		d.pause(pausedBySpec)
	case !d.plan.Paused && d.st.PausedReason == pausedBySpec:
		d.resume()
	}
}

func (d *decider) retry() (result, message string) {
	r := d.st.Refused
	switch c := d.seen.Candidate; {
	case r == nil:
		return resultRefused, "no aborted target is waiting for a retry"
	case d.plan.VersionRef != r.VersionRef || c == nil || c.Variant.Digest != r.Digest:
		return resultRefused, fmt.Sprintf("spec.versionRef no longer names what was aborted (%s)", r.VersionRef)
	case d.gate(c) != nil:
		return resultRefused, d.gate(c).Message
	case d.unstarted() != nil:
		return resultRefused, d.unstarted().Message
	case d.plan.Paused:
		return resultRefused, "spec.state is Paused: set it to Running first"
	case d.shut() != "":
		return resultRefused, d.shut()
	case int(r.Step) >= len(d.plan.Steps):
		// What was aborted must not go to everybody because its step is no more.
		d.start(c.Variant, 0)
		return resultDone, "the target starts again at the first step"
	default:
		d.start(c.Variant, r.Step)
		if at := d.st.Step.Index; at < r.Step {
			return resultDone, fmt.Sprintf("the target starts again at step %d, which has to be approved anew", at)
		}
		return resultDone, "the target starts again at the step where it was aborted"
	}
}

func (d *decider) rollbackAction(version, by string) (result, message string) {
	i := slices.IndexFunc(d.st.Rollbacks, func(v v1alpha1.Variant) bool { return v.Version == version })
	if i < 0 {
		return resultRefused, fmt.Sprintf("version %s is not in the rollback history (status.rollbacks)", version)
	}
	// What Git names stays out, whether it is stable, under way, or neither.
	named := ""
	switch c, t, s := d.seen.Candidate, d.st.Target, d.st.Stable; {
	case c != nil:
		named = c.Variant.Digest
	case t != nil && t.VersionRef == d.plan.VersionRef:
		named = t.Digest
	case s != nil:
		named = s.Digest
	}
	d.rollback(i, fmt.Sprintf("rolled back to %s by %s", version, by))
	d.st.Refused = &v1alpha1.Refused{VersionRef: d.plan.VersionRef, Digest: named, Reason: clip("rolled back by " + by)}
	return resultDone, version + " is stable again for everybody"
}

// rollback makes the i-th entry of the rollback history stable at once. What
// came after it leaves the history.
func (d *decider) rollback(i int, why string) {
	if d.st.Target != nil {
		d.takeBack(v1alpha1.OutcomeSuperseded, why)
	}
	if left := d.st.Stable; left != nil {
		d.remember(left, v1alpha1.OutcomeRolledBack, why)
	}
	stable := d.st.Rollbacks[i]
	d.st.Rollbacks = d.st.Rollbacks[:i]
	stable.Delivery = d.nextDelivery()
	d.st.Stable = &stable
	d.seen.StableHostApps = nil // what was seen is about the stable before
	d.st.Attempt++
	d.st.Outcome = v1alpha1.OutcomeRolledBack
	d.pruneRecalls()
	d.say(TakeBack, "RolledBack", why)
}

// follow does what spec.versionRef asks for.
func (d *decider) follow() {
	if r := d.st.Refused; r != nil && r.VersionRef != d.plan.VersionRef {
		d.st.Refused = nil
	}
	c := d.seen.Candidate
	switch {
	case c == nil:
		d.hold(d.seen.Missing)
	case d.st.Stable != nil && c.Variant.Digest == d.st.Stable.Digest:
		if d.st.Target != nil {
			d.takeBack(v1alpha1.OutcomeSuperseded, "spec.versionRef went back to the stable version")
			d.say(TakeBack, "Superseded", "spec.versionRef went back to stable "+d.st.Stable.Version)
		}
		if d.takenNowhere() {
			d.hold(Hold{"NotTaken", "nobody is handed " + d.st.Stable.Version + ", for none of spec.hostApps takes the mini program"})
			return
		}
		d.say(Idle, "Complete", d.st.Stable.Version+" is stable for everybody")
	case d.st.Refused != nil:
		d.say(Wait, "Aborted", fmt.Sprintf(
			"%s stays out: %s. To go on, name another version in spec.versionRef, or annotate miniprogram.dev/action=retry@%d",
			d.st.Refused.VersionRef, d.st.Refused.Reason, d.st.Attempt))
		d.move.Waits = true
	case d.inHistory(c.Variant.Digest) >= 0:
		d.rollback(d.inHistory(c.Variant.Digest), "spec.versionRef names the earlier version "+c.Variant.Version)
	case d.gate(c) != nil:
		d.hold(*d.gate(c))
	case d.st.Target != nil && d.st.Target.Digest == c.Variant.Digest:
		d.progress()
	case d.unstarted() != nil:
		d.hold(*d.unstarted())
	default:
		d.start(c.Variant, 0)
		d.closeWindow() // for the time at which it opens
		d.progress()
	}
}

// gate says why the candidate must not go out, or further, now; nil: it may. No
// action passes it.
func (d *decider) gate(c *Candidate) *Hold {
	switch {
	case d.suspended():
		return &Hold{"Suspended", "the MiniProgram is suspended: end that first, by spec.availability Listed or Hidden, or where an action suspended it by miniprogram.dev/action=resume on the MiniProgram"}
	case c.Problem != nil:
		return c.Problem
	case d.unlisted(c) != nil:
		return d.unlisted(c)
	case d.blocked(c) != nil:
		return d.blocked(c)
	case len(d.seen.HostApps) == 0:
		return &Hold{"NoHostApp", "no host app may be served: create the HostApps that spec.hostApps names, or let their selectors select this namespace and the mini program"}
	case !slices.ContainsFunc(d.seen.HostApps, func(h string) bool { return slices.Contains(c.HostApps, h) && d.takesStable(h) }):
		return &Hold{"NotApproved", c.Variant.Version + " is not approved for any host app that may be served: ask for its reviews there"}
	}
	return nil
}

// blocked says which host app does not want the candidate.
func (d *decider) blocked(c *Candidate) *Hold {
	if why, is := d.seen.Blocked[c.Variant.Digest]; is {
		return &why
	}
	return nil
}

func (d *decider) inHistory(digest string) int {
	return slices.IndexFunc(d.st.Rollbacks, func(v v1alpha1.Variant) bool { return v.Digest == digest })
}

func (d *decider) hold(h Hold) {
	message := h.Message
	if t := d.st.Target; t != nil {
		message = fmt.Sprintf("%s stays at its present share: %s", t.Version, h.Message)
		d.held = h.Reason != "Paused"
	}
	d.say(Wait, h.Reason, message)
	d.move.Waits = true
}

// remark appends to the message what is no reason of the move.
func (d *decider) remark() {
	for _, r := range d.seen.Remarks {
		if d.move.Message != "" {
			d.move.Message += "; "
		}
		d.move.Message = cut(d.move.Message+r, 1000)
	}
}
