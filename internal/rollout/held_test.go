package rollout

import (
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestHowLongATargetMayBeHeld(t *testing.T) {
	deadline := func(p *Plan) { p.ProgressDeadline = 10 * time.Minute }
	paused := func(p *Plan) { p.Paused = true }
	since := func(held time.Time) status { return changed(underWay(1, 500, ago(time.Hour)), heldSince(held)) }
	pausedAt := func(st status, at time.Time) status {
		return changed(st, func(st *status) { st.PausedReason, st.PausedSince = pausedBySpec, stampAt(at) })
	}
	plan := planTo("1.1.0").with(deadline)
	edited := planTo("1.1.0", percent(1), person()).with(deadline)
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		held     time.Time // zero: it is not
		overdue  bool
		recheck  time.Duration // zero: whatever
	}{
		"the gate shuts":                    {plan, underWay(1, 500, ago(time.Second)), seeing("1.1.0", unapproved), now, false, 10 * time.Minute},
		"and stays shut":                    {plan, since(ago(9 * time.Minute)), seeing("1.1.0", unapproved), ago(9 * time.Minute), false, time.Minute},
		"for as long as the plan allows":    {plan, since(ago(10 * time.Minute)), seeing("1.1.0", unapproved), ago(10 * time.Minute), true, 0},
		"for ever, without a deadline":      {planTo("1.1.0"), since(ago(99 * time.Hour)), seeing("1.1.0", unapproved), ago(99 * time.Hour), false, 0},
		"for another reason":                {plan, since(ago(10 * time.Minute)), seeing("1.1.0", missing), ago(10 * time.Minute), true, 0},
		"an edit leaves it no step":         {edited, since(ago(10 * time.Minute)), seeing("1.1.0"), ago(10 * time.Minute), true, 0},
		"the gate opens":                    {planTo("1.1.0", percent(5), person()).with(deadline), since(ago(time.Hour)), seeing("1.1.0"), time.Time{}, false, 0},
		"a pause of the plan does not hold": {plan, underWay(1, 500, ago(time.Second)), seeing("1.1.0"), time.Time{}, false, 0},
		"a person does not hold":            {plan, underWay(3, 2500, ago(time.Hour)), seeing("1.1.0"), time.Time{}, false, 0},
		"an approval step does not hold":    {planTo("1.1.0", percent(5), approval("privacy")).with(deadline), underWay(1, 500, ago(time.Hour)), seeing("1.1.0"), time.Time{}, false, 0},
		"a calendar does not hold":          {plan.with(shutNow), underWay(1, 500, ago(time.Hour)), seeing("1.1.0"), time.Time{}, false, 0},
		"being paused does not hold":        {plan.with(paused), pausedAt(underWay(1, 500, ago(time.Hour)), ago(time.Hour)), seeing("1.1.0"), time.Time{}, false, 0},
		"the gate is shut while paused":     {plan.with(paused), pausedAt(since(ago(time.Hour)), ago(time.Hour)), seeing("1.1.0", unapproved), ago(time.Hour), false, 0},
		"the gate opens while paused":       {plan.with(paused), pausedAt(since(ago(time.Hour)), ago(time.Hour)), seeing("1.1.0"), time.Time{}, false, 0},
		"and paused time does not count":    {plan, pausedAt(since(ago(time.Hour)), ago(55*time.Minute)), seeing("1.1.0", unapproved), ago(5 * time.Minute), false, 5 * time.Minute},
		"the clock went back":               {plan, since(now.Add(time.Hour)), seeing("1.1.0", unapproved), now.Add(time.Hour), false, 70 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(test.plan, test.recorded, test.seen, now)
			held := time.Time{}
			if s := got.Status.Step; s != nil && s.HeldSince != nil {
				held = s.HeldSince.Time
			}
			if !held.Equal(test.held) || got.Overdue != test.overdue || test.recheck != 0 && got.Recheck != test.recheck {
				t.Errorf("held since %s, overdue %v, rechecks after %s; want %s, %v, %s", held, got.Overdue, got.Recheck, test.held, test.overdue, test.recheck)
			}
			if got.Status.BasisPoints < test.recorded.BasisPoints {
				t.Errorf("the share fell to %d", got.Status.BasisPoints)
			}
		})
	}
	const want = "held since 2026-11-22T11:50:00Z, longer than the 10m0s of spec.progressDeadlineSeconds: 1.1.0 stays at its present share: " +
		"it waits for 1 approval of role quality. It goes on when that is over; annotate miniprogram.dev/action=abort@2 to take it back"
	if got := Decide(plan, since(ago(10*time.Minute)), seeing("1.1.0", unapproved), now); got.Message != want || got.Reason != "NotApproved" || got.Verb != Wait {
		t.Errorf("says %s %s %q, want %q", got.Verb, got.Reason, got.Message, want)
	}
}

func TestNothingIsHeldWithoutATarget(t *testing.T) {
	for name, st := range map[string]v1alpha1.RolloutStatus{"stable": released(), "aborted": aborted(), "nothing": {}} {
		if got := Decide(planTo("1.2.0").with(func(p *Plan) { p.ProgressDeadline = 1 }), st, seeing("1.2.0", unapproved), now); got.Overdue || got.Status.Step != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
