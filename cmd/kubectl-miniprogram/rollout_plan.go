package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
)

// States of a step.
const (
	stepDone    = "done"
	stepPresent = "present"
	stepNext    = "next"
	stepStopped = "stopped" // here the target was taken back
)

// planStep is a step as it is shown.
type planStep struct {
	Text  string `json:"text"`
	State string `json:"state"`
}

// planOf are the steps, and that everybody has it at the end.
func planOf(ro *v1alpha1.Rollout) []planStep {
	texts := append(stepTexts(ro), "everybody")
	present, state := len(texts), stepPresent
	switch st := &ro.Status; {
	case st.Target != nil && st.Step != nil:
		present = min(int(st.Step.Index), len(texts)-1)
	case st.Refused != nil && st.Outcome == v1alpha1.OutcomeAborted:
		present, state = int(st.Refused.Step), stepStopped
	case st.Stable == nil || st.Stable.VersionRef != ro.Spec.VersionRef.Name:
		present, state = 0, stepNext
	}
	present = min(present, len(texts))
	steps := make([]planStep, 0, len(texts))
	for i, text := range texts {
		step := planStep{Text: text, State: stepNext}
		switch {
		case i < present:
			step.State = stepDone
		case i == present:
			step.State = state
		}
		steps = append(steps, step)
	}
	return steps
}

// stepTexts are the steps of the plan, also where a preset stands for them. Of a plan
// that cannot be read they are none: status says why.
func stepTexts(ro *v1alpha1.Rollout) []string {
	plan, err := rollout.PlanOf(ro)
	if err != nil {
		return nil
	}
	var texts []string
	for _, s := range plan.Steps {
		texts = append(texts, stepText(s))
	}
	return texts
}

func stepText(s rollout.Step) string {
	switch {
	case s.Pause != nil && s.Pause.Wait > 0:
		return "pause " + spanOf(s.Pause.Wait)
	case s.Pause != nil && s.Pause.Timeout > 0:
		return fmt.Sprintf("promote within %s, else %s", spanOf(s.Pause.Timeout), strings.ToLower(s.Pause.OnTimeout))
	case s.Pause != nil:
		return "promote"
	case s.Approval != nil:
		return "approval of " + s.Approval.Role
	case s.Analysis != nil:
		return fmt.Sprintf("%s for %s", strings.Join(s.Analysis.Guardrails, ", "), spanOf(s.Analysis.For))
	case s.Bake > 0:
		return "bake " + spanOf(s.Bake)
	}
	return delivery.Percent(s.BasisPoints)
}

// spanOf writes a time span with its two largest units.
func spanOf(d time.Duration) string {
	d = d.Round(time.Second)
	if d < 0 {
		d = 0
	}
	seconds := int64(d / time.Second)
	for i, unit := range spanUnits {
		if n := seconds / unit.seconds; n > 0 || unit.seconds == 1 {
			text := fmt.Sprintf("%d %s", n, unit.name)
			if i+1 < len(spanUnits) {
				if m := seconds % unit.seconds / spanUnits[i+1].seconds; m > 0 {
					text += fmt.Sprintf(" %d %s", m, spanUnits[i+1].name)
				}
			}
			return text
		}
	}
	return ""
}

var spanUnits = []struct {
	seconds int64
	name    string
}{{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}}
