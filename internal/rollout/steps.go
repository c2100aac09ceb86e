package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// start begins an attempt with a new target at a step of the plan.
func (d *decider) start(v v1alpha1.Variant, step int32) {
	if d.st.Target != nil {
		d.takeBack(v1alpha1.OutcomeSuperseded, "spec.versionRef names "+v.Version)
	}
	d.clearTarget()
	target := *v.DeepCopy()
	target.Delivery = d.nextDelivery()
	d.st.Target = &target
	d.st.Attempt++
	d.st.Outcome = ""
	d.st.Refused = nil
	d.st.BasisPoints = 0
	d.seen.Installed = 0 // what was counted is about the target before
	if d.st.Document == nil {
		d.st.Document = &v1alpha1.DocumentFacts{AppID: d.seen.AppID, Availability: v1alpha1.AvailabilityListed}
	}
	d.st.Document.By, d.st.Document.Seed = d.plan.By, d.plan.seed(d.seen.AppID, target.Digest)
	d.beginAudience()
	d.goTo(d.heldBack(step)) // what an earlier attempt was approved for, this one is not
	if d.plan.Paused {
		d.pause(pausedBySpec)
		return
	}
	if at := int(d.st.Step.Index); at > 0 {
		d.setShare(d.plan.shareAt(at))
	}
}

func (d *decider) goTo(step int32) {
	began := metav1.NewTime(d.begins())
	d.st.Step = &v1alpha1.StepStatus{Index: step, Began: &began}
	if int(step) < len(d.plan.Steps) {
		d.st.Step.Kind = d.plan.Steps[step].Kind()
	}
}

// setShare raises the share. It never lowers it: only taking a target back does.
func (d *decider) setShare(basisPoints int32) {
	d.st.BasisPoints = max(d.st.BasisPoints, basisPoints)
	d.st.PeakBasisPoints = max(d.st.PeakBasisPoints, d.st.BasisPoints)
}

// progress takes the target as far through the plan as it may go now.
func (d *decider) progress() {
	if d.st.PausedReason != "" {
		d.hold(Hold{"Paused", d.pausedMessage()})
		return
	}
	if d.st.Step == nil {
		d.goTo(0)
	}
	if d.plan.Trial {
		d.say(Idle, "OnTrial", d.st.Target.Version+" is with the testers of the MiniProgram")
		return
	}
	if !d.followEdit() || !d.awaitWindow() {
		return
	}
	outcome := v1alpha1.OutcomePromoted
	if d.st.Promotion == v1alpha1.PromotionFull {
		outcome = v1alpha1.OutcomeFastPromoted
		skipped := d.plan.shareAt(int(d.st.Step.Index))
		if skipped > d.st.BasisPoints && !d.mayGrow() {
			return
		}
		d.setShare(skipped)
	}
	for int(d.st.Step.Index) < len(d.plan.Steps) {
		if !d.pass(d.plan.Steps[d.st.Step.Index]) {
			return
		}
		d.goTo(d.st.Step.Index + 1)
	}
	if d.awaitCompletion() {
		d.complete(outcome)
	}
}

// mayGrow tells whether guardrails and calendar let the share grow. If not, it says
// what is waited for.
func (d *decider) mayGrow() bool { return d.guarded() && !d.closed() }

// pass does what the step says, and tells whether it is done.
func (d *decider) pass(step Step) bool {
	switch {
	case step.Pause != nil:
		return d.passPause(*step.Pause)
	case step.Approval != nil:
		return d.passApproval()
	case step.Bake > 0:
		return d.passPause(Pause{Wait: step.Bake})
	case step.Analysis != nil:
		return d.passAnalysis(*step.Analysis)
	case step.BasisPoints > d.st.BasisPoints && !d.mayGrow():
		return false
	}
	d.setShare(step.BasisPoints)
	d.say(Advance, "Progressing", fmt.Sprintf("%s goes to %s", d.st.Target.Version, delivery.Percent(d.st.BasisPoints)))
	return true
}

func (d *decider) pausedMessage() string {
	if d.st.PausedReason == pausedBySpec {
		return "spec.state is Paused; set it to Running to go on"
	}
	if d.st.PausedReason == pausedByGuardrail && !d.plan.Paused {
		return d.pausedByGuardrails()
	}
	resume := fmt.Sprintf("annotate miniprogram.dev/action=%s to go on", Resume(&d.st))
	if d.plan.Paused {
		return "spec.state is Paused, and it was paused by action; set spec.state to Running, then " + resume
	}
	return "it was paused by action; " + resume
}

// followEdit takes the target to its place in an edited plan, if there is one.
func (d *decider) followEdit() bool {
	index, ok := d.place()
	switch {
	case !ok:
		d.hold(Hold{"ShareWouldFall", d.wouldFall()})
	case index != d.st.Step.Index:
		d.goTo(index)
	case int(index) < len(d.plan.Steps):
		d.st.Step.Kind = d.plan.Steps[index].Kind()
	}
	return ok
}

// place is the step of the plan at which the target is: the one that was
// recorded when what was done is what the plan says up to it. After an edit it is
// the first step with at least the present share, so that an edit never takes the
// target from anybody. An edit that leaves no such step has no place for it. An
// approval that lacks among the steps before, because an edit put it there or its
// Review is gone, leads back to it: the share stays, and grows no further.
func (d *decider) place() (index int32, ok bool) {
	present, index := d.st.BasisPoints, d.st.Step.Index
	switch kept := d.plan.shareAt(int(index)-1) == present && int(index) <= len(d.plan.Steps); {
	case d.st.Promotion == v1alpha1.PromotionFull:
		index = int32(len(d.plan.Steps))
	case kept:
	case len(d.plan.Steps) == 0:
		index = 0
	default:
		index = int32(slices.IndexFunc(d.plan.Steps, func(s Step) bool { return s.isShare() && s.BasisPoints >= present }))
		if index < 0 && d.hasAudience() {
			index = int32(len(d.plan.Steps))
		}
	}
	return d.heldBack(index), index >= 0
}

func (d *decider) wouldFall() string {
	return fmt.Sprintf("no step of the edited plan reaches the present share of %s, and a share never falls by itself: "+
		"add such a step, or annotate miniprogram.dev/action=promote-full@%d or abort@%d",
		delivery.Percent(d.st.BasisPoints), d.st.Attempt, d.st.Attempt)
}

// passPause tells whether the pause is over. If not, it says what is waited for.
func (d *decider) passPause(p Pause) bool {
	version, share, index := d.st.Target.Version, delivery.Percent(d.st.BasisPoints), d.st.Step.Index
	if d.seen.Unpublished && (p.Wait > 0 || p.Timeout > 0) {
		d.say(Advance, "Publishing", fmt.Sprintf("%s goes out at %s", version, share))
		d.recheckAfter(time.Second)
		return false
	}
	began := d.now
	if d.st.Step.Began != nil {
		began = d.st.Step.Began.Time
	}
	if p.Wait > 0 {
		end := began.Add(p.Wait)
		if !d.now.Before(end) {
			return true
		}
		d.recheckAfter(end.Sub(d.now))
		d.until(end)
		d.say(Advance, "Progressing", fmt.Sprintf("%s is at %s until %s", version, share, stamp(end)))
		return false
	}
	ask := fmt.Sprintf("%s is at %s and waits for a person: annotate miniprogram.dev/action=promote@%d/%d, or abort@%d",
		version, share, d.st.Attempt, index, d.st.Attempt)
	if why := d.shut(); why != "" {
		ask += "; " + why
	}
	if p.Timeout == 0 {
		d.say(Wait, "WaitsForPromote", ask)
		d.move.Waits = true
		return false
	}
	end := began.Add(p.Timeout)
	if d.now.Before(end) {
		d.recheckAfter(end.Sub(d.now))
		d.until(end)
		d.say(Wait, "WaitsForPromote", fmt.Sprintf("%s; at %s: %s", ask, stamp(end), p.OnTimeout))
		d.move.Waits = true
		return false
	}
	switch p.OnTimeout {
	case v1alpha1.OnTimeoutContinue:
		return true
	case v1alpha1.OnTimeoutAbort:
		d.abort(fmt.Sprintf("nobody promoted step %d within %s", index, p.Timeout))
	default:
		d.say(Wait, "WaitsForPromote", fmt.Sprintf("nobody promoted in time; %s", ask))
		d.move.Waits = true
	}
	return false
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// complete makes the target stable for everybody.
func (d *decider) complete(outcome string) {
	t := *d.st.Target
	d.remember(&t, outcome, "")
	d.clearTarget()
	d.st.Outcome = outcome
	d.setStable(&t)
	d.say(Complete, "Complete", t.Version+" is stable for everybody")
}

// setStable makes a version the one for everybody; the one that was can be gone back to.
func (d *decider) setStable(v *v1alpha1.Variant) {
	if left := d.st.Stable; left != nil {
		d.st.Rollbacks = slices.DeleteFunc(d.st.Rollbacks, func(o v1alpha1.Variant) bool { return o.Digest == left.Digest })
		d.st.Rollbacks = append(d.st.Rollbacks, *left)
	}
	d.st.Rollbacks = slices.DeleteFunc(d.st.Rollbacks, func(o v1alpha1.Variant) bool { return o.Digest == v.Digest })
	if extra := len(d.st.Rollbacks) - d.plan.RollbackHistory; extra > 0 {
		d.st.Rollbacks = d.st.Rollbacks[extra:]
	}
	d.st.Stable = v
	d.seen.StableHostApps = nil // what was seen is about the stable before
	if c := d.seen.Candidate; c != nil && c.Variant.Digest == v.Digest {
		d.seen.StableHostApps = c.HostApps
	}
	d.pruneRecalls()
}

// refreshFacts records what the document says beside stable and target.
func (d *decider) refreshFacts() {
	if d.st.Target == nil {
		d.st.BasisPoints = 0
		if d.st.Stable != nil {
			d.st.BasisPoints = 10000
		}
	}
	d.st.Percent = delivery.Percent(d.st.BasisPoints)
	nothingYet := d.st.Stable == nil && d.st.Target == nil && !d.nothingLeft()
	if d.st.Document == nil && (nothingYet || d.plan.Deleting) {
		return
	}
	if d.st.Document == nil {
		d.st.Document = &v1alpha1.DocumentFacts{AppID: d.seen.AppID, Availability: v1alpha1.AvailabilityListed}
	}
	facts := d.st.Document
	if d.st.Target == nil {
		facts.By, facts.Seed = "", ""
		facts.Audience, facts.Window = nil, nil
	}
	if d.plan.Deleting {
		facts.Availability = d.lastAvailability()
		return
	}
	if p := d.seen.Program; p != nil {
		facts.Availability, facts.MinimumVersion = p.Availability, p.MinimumVersion
		facts.DisplayName, facts.Description = p.DisplayName, p.Description
		facts.Locales = p.Locales
	}
	if d.nothingLeft() {
		facts.Availability = v1alpha1.AvailabilityWithdrawn // what is installed must go
	}
	facts.HostApps = d.hostApps(facts.HostApps)
	d.chooseFallbacks(facts)
	if d.takenBy(facts.HostApps) == nil && (facts.Availability == v1alpha1.AvailabilityListed || facts.Availability == v1alpha1.AvailabilityHidden) {
		facts.Availability = delivery.NotTaken // what takes from devices goes further, and stays
	}
	if len(d.seen.HostApps) > 0 || facts.PollSeconds == 0 {
		facts.PollSeconds = d.poll() // else nobody is known who could say: what was recorded stays
	}
	d.fitFallbacks(facts)
	if len(facts.HostApps) == 0 {
		d.st.Document = nil // a document is for somebody
	}
}

// hostApps are those in which every variant is approved. What is served
// somewhere already needs no new approval there. One that does not take the program
// any longer goes, and what is installed in it stays. A document is for at least one
// host app: the last stay until the Rollout is deleted.
func (d *decider) hostApps(before []string) []string {
	var now []string
	for _, h := range d.seen.HostApps {
		served := slices.Contains(before, h)
		target := d.st.Target == nil || (d.seen.Candidate != nil && slices.Contains(d.seen.Candidate.HostApps, h))
		if served || (d.takesStable(h) && target) && d.mayJoin(h) {
			now = append(now, h)
		}
	}
	if len(now) > 0 {
		slices.Sort(now)
		return now
	}
	if left := d.takenBy(before); len(left) > 0 {
		return left
	}
	return before // which the document tells that it hands out nothing
}

// mayJoin tells whether a host app that is approved by now gets what is under way: its
// users are more users of the target, so it waits for the calendar as a share does.
func (d *decider) mayJoin(hostApp string) bool {
	if d.st.Target == nil || d.st.BasisPoints == 0 {
		return true
	}
	why := d.shut()
	if why == "" {
		return true
	}
	if at := d.opening().Changes; !at.IsZero() {
		d.recheckAfter(at.Sub(d.now))
	}
	d.seen.Remarks = append(slices.Clip(d.seen.Remarks), fmt.Sprintf("host app %s is approved and does not join yet, for %s", hostApp, why))
	return false
}

// takenBy are those of the host apps of which it is not known that they do not
// take the program; nil: none.
func (d *decider) takenBy(hostApps []string) []string {
	var left []string
	for _, h := range hostApps {
		if !slices.Contains(d.seen.NotTaken, h) {
			left = append(left, h)
		}
	}
	return left
}

// takenNowhere tells that no host app of the rollout takes the program.
func (d *decider) takenNowhere() bool { return len(d.seen.HostApps) == 0 && len(d.seen.NotTaken) > 0 }

// takesStable tells that the host app has stable, or may get it.
func (d *decider) takesStable(hostApp string) bool {
	return d.st.Stable == nil || slices.Contains(d.seen.StableHostApps, hostApp) ||
		(d.st.Document != nil && slices.Contains(d.st.Document.HostApps, hostApp))
}

// poll is the least interval of the host apps while something can change soon,
// and their usual one else.
func (d *decider) poll() int32 {
	rest, busy := d.seen.PollRest, d.seen.PollBusy
	if rest == 0 {
		rest = defaultPollRest
	}
	if busy == 0 {
		busy = defaultPollBusy
	}
	if d.st.Target != nil {
		return min(busy, rest)
	}
	if n := len(d.st.History); n > 0 && d.st.History[n-1].Outcome == v1alpha1.OutcomeAborted {
		if left := d.st.History[n-1].Ended.Add(abortPollPeriod).Sub(d.now); left > 0 {
			d.recheckAfter(left)
			return min(busy, rest)
		}
	}
	return rest
}
