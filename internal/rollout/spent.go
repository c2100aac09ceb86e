package rollout

import (
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Spent is how the time of a step was spent, from when its share was out until it
// was over.
type Spent struct {
	// Kind of the step as status shows it, and Completion for what comes after the last.
	Kind string
	// Outcome is Passed, Aborted, Superseded or RolledBack.
	Outcome string
	// People is time that somebody could have ended: pauses for a person, approvals,
	// being paused, and what is not in the plan. Plan is time that the plan asks for.
	// Machine is what is left.
	People, Plan, Machine time.Duration
}

// SpentOf tells how the step of one record was spent that is over in the next; false:
// it is not over.
func SpentOf(p Plan, before, after *v1alpha1.RolloutStatus, now time.Time) (Spent, bool) {
	step := before.Step
	if before.Target == nil || step == nil || step.Began == nil || sameStep(before, after) {
		return Spent{}, false
	}
	out := Spent{Kind: step.Kind, Outcome: endOf(before, after)}
	if out.Kind == "" {
		out.Kind = "Completion"
	}
	total := max(now.Sub(step.Began.Time), 0)
	people := time.Duration(0)
	if step.HeldSince != nil {
		people = now.Sub(step.HeldSince.Time)
	}
	if before.PausedSince != nil {
		people = max(people, now.Sub(before.PausedSince.Time))
	}
	out.People = min(max(people, 0), total)
	rest := total - out.People
	switch asks, timed := p.asks(step); {
	case asks:
		out.People += rest
	default:
		out.Plan = min(rest, timed)
		out.Machine = rest - out.Plan
	}
	return out, true
}

// asks tells that a step waits for a person, or how long it lasts by itself. What
// waits neither for people nor for an end that is known waits for the plan, such as
// a share for the calendar.
func (p Plan) asks(step *v1alpha1.StepStatus) (people bool, timed time.Duration) {
	if int(step.Index) < len(p.Steps) {
		switch s := p.Steps[step.Index]; {
		case s.Approval != nil:
			return true, 0
		case s.Pause != nil:
			return s.Pause.Wait == 0, s.Pause.Wait
		case s.Bake > 0:
			return false, s.Bake
		}
	}
	return false, 1<<63 - 1
}

func sameStep(before, after *v1alpha1.RolloutStatus) bool {
	return after.Target != nil && after.Step != nil && after.Target.Delivery == before.Target.Delivery &&
		after.Target.Digest == before.Target.Digest && after.Step.Index == before.Step.Index
}

// endOf is how the step ended: with its target, or by being passed.
func endOf(before, after *v1alpha1.RolloutStatus) string {
	for i := len(after.History) - 1; i >= 0; i-- {
		h := after.History[i]
		switch {
		case h.Digest != before.Target.Digest || h.Attempt != before.Attempt:
		case h.Outcome == v1alpha1.OutcomePromoted || h.Outcome == v1alpha1.OutcomeFastPromoted:
			return "Passed"
		default:
			return h.Outcome
		}
	}
	return "Passed"
}

// Ended are the attempts that are over in one record and were not in the one before.
func Ended(before, after *v1alpha1.RolloutStatus) []v1alpha1.Attempt {
	known := map[v1alpha1.Attempt]bool{}
	for _, a := range before.History {
		a.Ended = a.Ended.Rfc3339Copy()
		known[a] = true
	}
	var out []v1alpha1.Attempt
	for _, a := range after.History {
		a.Ended = a.Ended.Rfc3339Copy()
		if !known[a] {
			out = append(out, a)
		}
	}
	return out
}
