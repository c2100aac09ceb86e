package main

import (
	"context"
	"fmt"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// walk follows a target through the first steps of its Rollout's plan, as the
// spec names them: it promotes where a person is waited for, lets time pass where
// that is asked, and observes every share. All steps given, the target ends as stable.
func (d *demo) walk(ctx context.Context, v version, stable string, upTo int) error {
	ro, err := d.awaitRollout(ctx, v.program.key(), v.version+" to start", func(ro *v1alpha1.Rollout) string {
		if t := ro.Status.Target; t == nil || t.Digest != v.digest {
			return v.version + " is not the target"
		}
		return ""
	})
	if err != nil {
		return err
	}
	steps := ro.Spec.Steps
	if upTo == allSteps {
		upTo = len(steps)
	}
	for i, step := range steps[:upTo] {
		switch {
		case step.SetPercent != nil && i == len(steps)-1:
			err = d.walkToEnd(ctx, v)
		case step.SetPercent != nil:
			err = d.walkToShare(ctx, v, stable, i, step)
		case step.Pause.Seconds != 0:
			d.out.say("step %d: the plan waits for %d s", i, step.Pause.Seconds)
		default:
			err = d.walkPastPerson(ctx, v, i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// allSteps walks to the end.
const allSteps = -1

// walkToShare waits for a step's share and asks what users get. When the step
// after it is timed, one of the kills comes as that is due.
func (d *demo) walkToShare(ctx context.Context, v version, stable string, index int, step v1alpha1.RolloutStep) error {
	share, err := hundredthsOf(*step.SetPercent)
	if err != nil {
		return err
	}
	ro, err := d.awaitRollout(ctx, v.program.key(), fmt.Sprintf("step %d of %s", index, v.version), func(ro *v1alpha1.Rollout) string {
		st := ro.Status
		switch {
		case d.isOver(ro, v):
			return ""
		case st.Target == nil || st.Target.Digest != v.digest:
			return v.version + " is not the target"
		case st.Step == nil || int(st.Step.Index) <= index:
			return fmt.Sprintf("step %d is not reached", index)
		default:
			return unpublished(ro)
		}
	})
	if err != nil {
		return err
	}
	a := asked{appID: v.program.appID, target: v.digest, stable: stable, hundredths: share}
	if d.isOver(ro, v) {
		d.passedBy(a, v)
		return nil
	}
	if next := index + 1; next < len(ro.Spec.Steps) && ro.Status.Step.Began != nil {
		if pause := ro.Spec.Steps[next].Pause; pause != nil && pause.Seconds != 0 {
			a.brief = true
			d.chaos.due(ctx, ro.Status.Step.Began.Add(time.Duration(pause.Seconds)*time.Second))
		}
	}
	d.checks.expect(fmt.Sprintf("%s: basisPoints at step %d", v, index), int64(ro.Status.BasisPoints), share)
	d.out.say("Rollout %s: %s", v.program.name, ro.Status.Summary)
	return d.observe(ctx, v.version+" at "+percentOf(share), a, ro.Status.Sequence)
}

// isOver tells that a manager which was killed for longer than a timed step takes
// has passed the step by the time that one could look.
func (d *demo) isOver(ro *v1alpha1.Rollout, v version) bool {
	return d.kills > 0 && stableAt(v)(ro) == ""
}

// passedBy stands in for an observation that a kill left no time for: the
// share was published all the same, for no step is ever skipped.
func (d *demo) passedBy(a asked, v version) {
	d.out.say("a kill outlasted this step; it was published in between")
	d.checks.that(d.served.published(a), "%s was never published at %s", v, percentOf(a.hundredths))
}

// walkToEnd waits until the target is stable for everybody.
func (d *demo) walkToEnd(ctx context.Context, v version) error {
	ro, err := d.awaitRollout(ctx, v.program.key(), v.version+" to be stable for everybody", stableAt(v))
	if err != nil {
		return err
	}
	d.out.say("Rollout %s: %s", v.program.name, ro.Status.Summary)
	d.checks.expect(v.String()+": outcome", ro.Status.Outcome, v1alpha1.OutcomePromoted)
	return d.observe(ctx, v.version+" at 100 %", everybody(v), ro.Status.Sequence)
}

// walkPastPerson promotes the step at which the plan waits for somebody.
func (d *demo) walkPastPerson(ctx context.Context, v version, index int) error {
	ro, err := d.awaitRollout(ctx, v.program.key(), "to wait for a person", func(ro *v1alpha1.Rollout) string {
		if !isTrue(ro, ro.Status.Conditions, v1alpha1.ConditionPaused) {
			return "Paused is not True"
		}
		return ""
	})
	if err != nil {
		return err
	}
	d.checks.that(containsAll(ro.Status.Summary, "waits for a person", fmt.Sprintf("promote@%d/%d", ro.Status.Attempt, index)),
		"%s: the summary does not say how to go on: %q", v, ro.Status.Summary)
	return d.action(ctx, v.program, "promote", fmt.Sprintf("/%d", index))
}

// action sets an action as the operator, for the present attempt, and waits for
// its answer.
func (d *demo) action(ctx context.Context, p program, verb, argument string) error {
	ro := &v1alpha1.Rollout{}
	if err := d.client.Get(ctx, p.key(), ro); err != nil {
		return err
	}
	value := fmt.Sprintf("%s@%d%s", verb, ro.Status.Attempt, argument)
	err := d.act(ctx, olu, "annotate", "mpr", p.name, "-n", p.namespace, "--overwrite",
		v1alpha1.ActionAnnotation+"="+value, v1alpha1.ActionByAnnotation+"="+olu)
	if err != nil {
		return err
	}
	ro, err = d.awaitRollout(ctx, p.key(), "to answer "+value, func(ro *v1alpha1.Rollout) string {
		if a := ro.Status.LastAction; a == nil || a.Value != value {
			return "it is not answered"
		}
		return ""
	})
	if err != nil {
		return err
	}
	answer := ro.Status.LastAction
	d.out.say("%s by %s: %s, %s", answer.Value, answer.User, answer.Result, answer.Message)
	d.checks.expect("result of "+value, answer.Result, "Done")
	d.checks.expect("user of "+value, answer.User, olu)
	return nil
}

// stableAt says what is missing until a version is stable, alone, and published so.
func stableAt(v version) func(*v1alpha1.Rollout) string {
	return func(ro *v1alpha1.Rollout) string {
		switch st := ro.Status; {
		case st.Stable == nil || st.Stable.Digest != v.digest:
			return v.version + " is not stable"
		case st.Target != nil:
			return "a target is under way"
		default:
			return unpublished(ro)
		}
	}
}

// unpublished says that what was decided is not written yet; nothing: it is.
func unpublished(ro *v1alpha1.Rollout) string {
	switch p := ro.Status.Published; {
	case ro.Status.ObservedGeneration != ro.Generation:
		return "the present generation was not looked at"
	case p == nil || p.Sequence != ro.Status.Sequence:
		return "the decision is not published"
	default:
		return ""
	}
}

// everybody is what holds when a version is stable and nothing is under way.
func everybody(v version) asked {
	return asked{appID: v.program.appID, target: v.digest, stable: v.digest, hundredths: 10000}
}
