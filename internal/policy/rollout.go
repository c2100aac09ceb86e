package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/schedule"
)

// everybody is the share of all users, in hundredths of a percent.
const everybody = 10000

// CheckRollout holds the plan of a rollout against the policies that cover its
// mini program, and returns what each has against it, sorted by the policy's name:
// errors of policies that enforce, warnings of those that warn, nothing of those
// that audit.
//
// The first share is the least setPercent above 0; a plan that has none begins
// with everybody. The bake time is the sum of pause.seconds and analysis.seconds that stand behind the
// first share and before the share of everybody, whether a step names that or the
// plan ends, and the bake after the last share if that is less than everybody. A
// preset is the steps that it stands for. Pauses for a person and approvals count nothing: they end at once if
// somebody wants it. It is the plan that is judged, not what becomes of it: whoever
// promotes shortens it, and a rollback follows no plan.
func CheckRollout(spec v1alpha1.RolloutSpec, policies []v1alpha1.ReviewPolicy) []v1alpha1.Finding {
	steps, err := schedule.Steps(spec)
	if err != nil {
		steps = nil // everybody at once: the worst that it could say
	}
	plan := planOf(steps, spec.BakeSeconds)
	sorted := slices.SortedStableFunc(slices.Values(policies), func(a, b v1alpha1.ReviewPolicy) int { return cmp.Compare(a.Name, b.Name) })
	var findings []v1alpha1.Finding
	for i := range sorted {
		p := &sorted[i]
		if p.Spec.Rollout == nil || enforcementOf(p) == v1alpha1.Audit {
			continue
		}
		c := newCheck(p)
		c.plan(plan, p.Spec.Rollout)
		findings = append(findings, c.findings...)
	}
	return findings
}

// plan is what policies ask of the steps of a rollout.
type plan struct {
	first       int // in hundredths of a percent
	bakeSeconds int64
}

func planOf(steps []v1alpha1.RolloutStep, bakeSeconds int64) plan {
	var p plan
	share := 0
	for _, s := range steps {
		switch {
		case s.SetPercent != nil:
			share = basisPoints(*s.SetPercent)
			if p.first == 0 {
				p.first = share
			}
		case s.Pause != nil && share > 0 && share < everybody:
			p.bakeSeconds += s.Pause.Seconds
		case s.Analysis != nil && share > 0 && share < everybody:
			p.bakeSeconds += s.Analysis.Seconds
		}
	}
	if share > 0 && share < everybody {
		p.bakeSeconds += bakeSeconds
	}
	if p.first == 0 {
		p.first = everybody
	}
	return p
}

func (c *check) plan(p plan, rules *v1alpha1.RolloutRules) {
	if rules.MaxFirstPercent != nil {
		if limit := basisPoints(*rules.MaxFirstPercent); p.first > limit {
			c.add(RuleRolloutFirstShare, "the plan begins with %s of users, and ReviewPolicy %s allows at most %s (spec.rollout.maxFirstPercent): let spec.steps of the Rollout begin with a smaller setPercent, or its preset with a smaller share",
				percent(p.first), c.policy, percent(limit))
		}
	}
	if least := rules.MinBakeSeconds; p.bakeSeconds < least {
		c.add(RuleRolloutBake, "the plan takes %d seconds from its first share to everybody, and ReviewPolicy %s asks for at least %d (spec.rollout.minBakeSeconds): add pause.seconds to spec.steps of the Rollout, behind the first share and before 100%%, or bakeSeconds to a plan that ends below 100%%; pauses for a person do not count",
			p.bakeSeconds, c.policy, least)
	}
}

// basisPoints reads a share as the API takes it. What the API would refuse is
// everybody: of a plan the worst, and a rule allows nothing by it that it did not
// allow before.
func basisPoints(v intstr.IntOrString) int {
	text := strings.TrimSuffix(v.String(), "%")
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.Atoi(whole + (fraction + "00")[:2])
	if err != nil || n < 0 || n > everybody || len(fraction) > 2 {
		return everybody
	}
	return n
}

// percent is how a share is written in a plan.
func percent(basisPoints int) string {
	text := fmt.Sprintf("%d.%02d", basisPoints/100, basisPoints%100)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "%"
}
