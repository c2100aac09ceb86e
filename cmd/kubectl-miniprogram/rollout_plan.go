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

// planOf are the steps, the time to bake, and that everybody has it at the end.
func planOf(ro *v1alpha1.Rollout) []planStep {
	texts := stepTexts(ro)
	last := len(texts)
	if ro.Spec.BakeSeconds > 0 {
		texts = append(texts, "bake "+spanOf(time.Duration(ro.Spec.BakeSeconds)*time.Second))
	}
	texts = append(texts, "everybody")
	present, state := len(texts), stepPresent
	switch st := &ro.Status; {
	case st.Target != nil && st.Step != nil:
		present = int(st.Step.Index)
		if present >= last && st.Step.Kind != "Bake" {
			present = len(texts) - 1
		}
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

// stepTexts are the steps of the spec, or those that its preset stands for.
func stepTexts(ro *v1alpha1.Rollout) []string {
	var texts []string
	if ro.Spec.Preset == nil {
		for _, s := range ro.Spec.Steps {
			texts = append(texts, stepText(s))
		}
		return texts
	}
	plan, err := rollout.PlanOf(ro)
	if err != nil || len(plan.Steps) == 0 {
		return presetTexts(ro.Spec.Preset)
	}
	for _, s := range plan.Steps {
		switch {
		case s.Kind() == "Bake": // which the spec says by itself
		case s.Pause != nil && s.Pause.Wait > 0:
			texts = append(texts, "pause "+spanOf(s.Pause.Wait))
		case s.Kind() == "SetPercent":
			texts = append(texts, delivery.Percent(s.BasisPoints))
		default:
			texts = append(texts, strings.ToLower(s.Kind()))
		}
	}
	return texts
}

func stepText(s v1alpha1.RolloutStep) string {
	switch {
	case s.Pause != nil && s.Pause.Seconds > 0:
		return "pause " + spanOf(time.Duration(s.Pause.Seconds)*time.Second)
	case s.Pause != nil && s.Pause.TimeoutSeconds > 0:
		return fmt.Sprintf("promote within %s, else %s", spanOf(time.Duration(s.Pause.TimeoutSeconds)*time.Second), strings.ToLower(s.Pause.OnTimeout))
	case s.Pause != nil:
		return "promote"
	case s.Approval != nil:
		return "approval of " + s.Approval.Role
	case s.Analysis != nil:
		return fmt.Sprintf("%s for %s", strings.Join(s.Analysis.Guardrails, ", "), spanOf(time.Duration(s.Analysis.Seconds)*time.Second))
	case s.SetPercent != nil:
		if bp, err := rollout.BasisPoints(*s.SetPercent); err == nil {
			return delivery.Percent(bp)
		}
		return s.SetPercent.String()
	}
	return "?"
}

// presetTexts say the rule where its steps are not known.
func presetTexts(p *v1alpha1.Preset) []string {
	switch {
	case p.Linear != nil:
		return []string{fmt.Sprintf("%d%% more every %s", p.Linear.Percent, spanOf(time.Duration(p.Linear.EverySeconds)*time.Second))}
	case p.Exponential != nil:
		factor, start := p.Exponential.Factor, "?"
		if factor == 0 {
			factor = 2
		}
		if p.Exponential.StartPercent != nil {
			if bp, err := rollout.BasisPoints(*p.Exponential.StartPercent); err == nil {
				start = delivery.Percent(bp)
			}
		}
		return []string{fmt.Sprintf("from %s times %d every %s", start, factor, spanOf(time.Duration(p.Exponential.EverySeconds)*time.Second))}
	}
	return nil
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
