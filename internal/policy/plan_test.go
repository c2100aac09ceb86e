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
		bake  int64
	}{
		"no steps begin with everybody":              {nil, plan{first: everybody}, 0},
		"pauses alone begin with everybody":          {[]v1alpha1.RolloutStep{pause(60)}, plan{first: everybody}, 0},
		"a share of nobody is no beginning":          {[]v1alpha1.RolloutStep{set("0"), pause(60), set("5"), pause(30)}, plan{first: 500, bakeSeconds: 30}, 0},
		"nobody and then everybody":                  {[]v1alpha1.RolloutStep{set("0"), pause(60), set("100")}, plan{first: everybody}, 0},
		"all pauses before everybody add up":         {[]v1alpha1.RolloutStep{set("1"), pause(60), set("50"), pause(30), set("100")}, plan{first: 100, bakeSeconds: 90}, 0},
		"so does the time of analyses":               {[]v1alpha1.RolloutStep{set("1"), pause(60), {Analysis: &v1alpha1.AnalysisStep{Seconds: 600}}, set("100")}, plan{first: 100, bakeSeconds: 660}, 0},
		"pauses behind everybody do not count":       {[]v1alpha1.RolloutStep{set("1"), pause(60), set("100"), pause(30)}, plan{first: 100, bakeSeconds: 60}, 0},
		"a plan that ends before everybody counts":   {[]v1alpha1.RolloutStep{set("1"), pause(60)}, plan{first: 100, bakeSeconds: 60}, 0},
		"a pause for a person takes no time":         {[]v1alpha1.RolloutStep{set("1"), pause(0), set("100")}, plan{first: 100}, 0},
		"an approval takes no time":                  {[]v1alpha1.RolloutStep{set("1"), {Approval: &v1alpha1.ApprovalStep{}}, set("100")}, plan{first: 100}, 0},
		"hundredths of a percent":                    {[]v1alpha1.RolloutStep{set("0.01%")}, plan{first: 1}, 0},
		"tenths of a percent":                        {[]v1alpha1.RolloutStep{set("0.5%")}, plan{first: 50}, 0},
		"what is no share is everybody":              {[]v1alpha1.RolloutStep{set("few")}, plan{first: everybody}, 0},
		"what is more than everybody is everybody":   {[]v1alpha1.RolloutStep{set("101")}, plan{first: everybody}, 0},
		"what is less than nobody is everybody":      {[]v1alpha1.RolloutStep{set("-1")}, plan{first: everybody}, 0},
		"thousandths of a percent are everybody too": {[]v1alpha1.RolloutStep{set("0.001%")}, plan{first: everybody}, 0},
		"a bake after a share counts":                {[]v1alpha1.RolloutStep{set("1"), pause(60)}, plan{first: 100, bakeSeconds: 90}, 30},
		"a bake of everybody does not":               {[]v1alpha1.RolloutStep{set("1"), pause(60), set("100")}, plan{first: 100, bakeSeconds: 60}, 30},
		"a bake alone begins with everybody":         {nil, plan{first: everybody}, 30},
		"a bake of nobody does not count":            {[]v1alpha1.RolloutStep{set("0")}, plan{first: everybody}, 30},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, planOf(tc.steps, tc.bake), cmp.AllowUnexported(plan{})); diff != "" {
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
		return "the plan takes 60 seconds from its first share to everybody, and ReviewPolicy " + name + " asks for at least 61 (spec.rollout.minBakeSeconds): add pause.seconds to spec.steps of the Rollout, behind the first share and before 100%, or bakeSeconds to a plan that ends below 100%; pauses for a person do not count"
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

func TestCheckRolloutReadsPresets(t *testing.T) {
	five, ten := intstr.FromInt32(5), intstr.FromInt32(10)
	rules := reviewPolicy("base", v1alpha1.ReviewPolicySpec{Rollout: &v1alpha1.RolloutRules{MaxFirstPercent: &five, MinBakeSeconds: 100}})
	linear := func(percent int32, every int64) v1alpha1.RolloutSpec {
		return v1alpha1.RolloutSpec{Preset: &v1alpha1.Preset{Type: v1alpha1.PresetLinear, Linear: &v1alpha1.LinearPreset{Percent: percent, EverySeconds: every}}}
	}
	for name, test := range map[string]struct {
		spec v1alpha1.RolloutSpec
		want []string
	}{
		"slowly enough":      {linear(5, 6), nil},
		"too many, too soon": {linear(50, 60), []string{RuleRolloutFirstShare, RuleRolloutBake}},
		"at once":            {v1alpha1.RolloutSpec{Preset: &v1alpha1.Preset{Type: v1alpha1.PresetImmediate}}, []string{RuleRolloutFirstShare, RuleRolloutBake}},
		"by a factor": {v1alpha1.RolloutSpec{Preset: &v1alpha1.Preset{
			Type: v1alpha1.PresetExponential, Exponential: &v1alpha1.ExponentialPreset{StartPercent: &ten, EverySeconds: 50},
		}}, []string{RuleRolloutFirstShare}},
		"what nobody can read": {v1alpha1.RolloutSpec{Preset: &v1alpha1.Preset{Type: "Some"}}, []string{RuleRolloutFirstShare, RuleRolloutBake}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range CheckRollout(test.spec, []v1alpha1.ReviewPolicy{rules}) {
				got = append(got, f.Rule)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestCalendarsAreThoseOfPoliciesThatEnforce(t *testing.T) {
	with := func(name, enforcement, schedule string) v1alpha1.ReviewPolicy {
		return reviewPolicy(name, v1alpha1.ReviewPolicySpec{Enforcement: enforcement, Rollout: &v1alpha1.RolloutRules{
			Calendar: []v1alpha1.CalendarEntry{{Schedule: schedule, DurationSeconds: 3600, Effect: v1alpha1.CalendarDeny}},
		}})
	}
	policies := []v1alpha1.ReviewPolicy{
		with("enforces", v1alpha1.Enforce, "0 9 * * *"), with("warns", v1alpha1.Warn, "0 9 * * *"), with("audits", v1alpha1.Audit, "0 9 * * *"),
		reviewPolicy("says-nothing", v1alpha1.ReviewPolicySpec{}),
	}
	if got, err := Calendars(policies); len(got) != 1 || err != nil {
		t.Errorf("%d calendars, %v", len(got), err)
	}
	wrong := with("wrong", v1alpha1.Enforce, "0 25 * * *")
	const want = `reading ReviewPolicy wrong spec.rollout.calendar[0].schedule: "0 25 * * *": must be the five fields of cron, such as "0 9 * * 1-5": end of range (25) above maximum (23): 25`
	if _, err := Calendars([]v1alpha1.ReviewPolicy{wrong}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := CheckSpec(&wrong); err == nil || err.Error() != want {
		t.Errorf("CheckSpec gives %v, want %s", err, want)
	}
}
