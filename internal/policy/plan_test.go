package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestPlanOf(t *testing.T) {
	set := func(percent string) v1alpha1.RolloutStep {
		p := intstr.Parse(percent)
		return v1alpha1.RolloutStep{SetPercent: &p}
	}
	pause := func(seconds int64) v1alpha1.RolloutStep {
		return v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{Seconds: seconds}}
	}
	tests := map[string]struct {
		steps []v1alpha1.RolloutStep
		want  plan
	}{
		"no steps begin with everybody":              {nil, plan{first: everybody}},
		"pauses alone begin with everybody":          {[]v1alpha1.RolloutStep{pause(60)}, plan{first: everybody}},
		"a share of nobody is no beginning":          {[]v1alpha1.RolloutStep{set("0"), pause(60), set("5"), pause(30)}, plan{first: 500, bakeSeconds: 30}},
		"nobody and then everybody":                  {[]v1alpha1.RolloutStep{set("0"), pause(60), set("100")}, plan{first: everybody}},
		"all pauses before everybody add up":         {[]v1alpha1.RolloutStep{set("1"), pause(60), set("50"), pause(30), set("100")}, plan{first: 100, bakeSeconds: 90}},
		"so does the time of analyses":               {[]v1alpha1.RolloutStep{set("1"), pause(60), {Analysis: &v1alpha1.AnalysisStep{Seconds: 600}}, set("100")}, plan{first: 100, bakeSeconds: 660}},
		"pauses behind everybody do not count":       {[]v1alpha1.RolloutStep{set("1"), pause(60), set("100"), pause(30)}, plan{first: 100, bakeSeconds: 60}},
		"a plan that ends before everybody counts":   {[]v1alpha1.RolloutStep{set("1"), pause(60)}, plan{first: 100, bakeSeconds: 60}},
		"a pause for a person takes no time":         {[]v1alpha1.RolloutStep{set("1"), pause(0), set("100")}, plan{first: 100}},
		"an approval takes no time":                  {[]v1alpha1.RolloutStep{set("1"), {Approval: &v1alpha1.ApprovalStep{}}, set("100")}, plan{first: 100}},
		"hundredths of a percent":                    {[]v1alpha1.RolloutStep{set("0.01%")}, plan{first: 1}},
		"tenths of a percent":                        {[]v1alpha1.RolloutStep{set("0.5%")}, plan{first: 50}},
		"what is no share is everybody":              {[]v1alpha1.RolloutStep{set("few")}, plan{first: everybody}},
		"what is more than everybody is everybody":   {[]v1alpha1.RolloutStep{set("101")}, plan{first: everybody}},
		"what is less than nobody is everybody":      {[]v1alpha1.RolloutStep{set("-1")}, plan{first: everybody}},
		"thousandths of a percent are everybody too": {[]v1alpha1.RolloutStep{set("0.001%")}, plan{first: everybody}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, planOf(tc.steps), cmp.AllowUnexported(plan{})); diff != "" {
				t.Errorf("planOf (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckRolloutAnswersForEachPolicyByName(t *testing.T) {
	bakes := func(name string, enforcement string) v1alpha1.ReviewPolicy {
		return reviewPolicy(name, v1alpha1.ReviewPolicySpec{Enforcement: enforcement, Rollout: &v1alpha1.RolloutRules{MinBakeSeconds: 61}})
	}
	policies := []v1alpha1.ReviewPolicy{
		bakes("warns", v1alpha1.Warn), bakes("audits", v1alpha1.Audit), bakes("enforces", v1alpha1.Enforce),
		reviewPolicy("says-nothing", v1alpha1.ReviewPolicySpec{}),
	}
	message := func(name string) string {
		return "the plan takes 60 seconds from its first share to everybody, and ReviewPolicy " + name + " asks for at least 61 (spec.rollout.minBakeSeconds): add pause.seconds to spec.steps of the Rollout, behind the first share and before 100%; pauses for a person do not count"
	}
	want := []v1alpha1.Finding{
		{Rule: RuleRolloutBake, Severity: SeverityError, Message: message("enforces")},
		{Rule: RuleRolloutBake, Severity: SeverityWarning, Message: message("warns")},
	}
	if diff := cmp.Diff(want, CheckRollout(v1alpha1.RolloutSpec{Steps: share("1%", 60)}, policies)); diff != "" {
		t.Errorf("CheckRollout (-want +got):\n%s", diff)
	}
	if policies[0].Name != "warns" {
		t.Errorf("CheckRollout has moved the policies that it was given: %s is first", policies[0].Name)
	}
	if got := CheckRollout(v1alpha1.RolloutSpec{Steps: share("1%", 61)}, policies); got != nil {
		t.Errorf("CheckRollout of a plan that takes long enough = %v, want nothing", got)
	}
}
