package controller_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// always is an entry that is on at any time.
func always(effect, zone string) v1alpha1.CalendarEntry {
	return v1alpha1.CalendarEntry{Schedule: "0 * * * *", DurationSeconds: 7200, Effect: effect, TimeZone: zone}
}

func (g *group) plans(t testing.TB, how func(*v1alpha1.RolloutSpec)) {
	t.Helper()
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) { how(&ro.Spec) })
}

func stands(kind, want string) func(*v1alpha1.Rollout) bool {
	return func(ro *v1alpha1.Rollout) bool { return strings.HasPrefix(condition(ro.Status.Conditions, kind), want) }
}

func TestACalendarHoldsAndAPlanThatNobodyCanReadDoesNotKeepFromAborting(t *testing.T) {
	g := newGroup(t, "quality")
	g.underWay(t)
	g.plans(t, func(s *v1alpha1.RolloutSpec) { s.Calendar = []v1alpha1.CalendarEntry{always("Deny", "Asia/Shanghai")} })
	g.act(t, "app", "promote@2/1")
	ro := g.awaitRollout(t, "app", "the promotion is refused", func(ro *v1alpha1.Rollout) bool {
		a := ro.Status.LastAction
		return a != nil && a.Result == "Refused" && strings.Contains(a.Message, "the Deny of spec.calendar[0] is on")
	})
	if ro.Status.Percent != "5%" {
		t.Errorf("the share is %s", ro.Status.Percent)
	}

	g.plans(t, func(s *v1alpha1.RolloutSpec) { s.Calendar[0].TimeZone = "Mars/Olympus" })
	g.awaitRollout(t, "app", "the plan is invalid", stands(v1alpha1.ConditionStalled,
		`True PlanInvalid: spec.calendar[0].timeZone: "Mars/Olympus" is not known`))
	g.act(t, "app", "promote-full@2")
	ro = g.awaitRollout(t, "app", "nothing is promoted by it", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.LastAction != nil && ro.Status.LastAction.Value == "promote-full@2"
	})
	if a := ro.Status.LastAction; a.Result != "Refused" || !strings.HasPrefix(a.Message, "spec.calendar[0].timeZone") || ro.Status.Percent != "5%" {
		t.Errorf("promote-full is answered %s at %s", show(a), ro.Status.Percent)
	}
	g.act(t, "app", "abort@2")
	g.awaitRollout(t, "app", "the abort", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Target == nil && ro.Status.Outcome == v1alpha1.OutcomeAborted && isOut(ro)
	})
	if doc := g.published(t, "app"); doc.Target != nil {
		t.Errorf("published %s", show(doc))
	}
	g.plans(t, func(s *v1alpha1.RolloutSpec) { s.Calendar = nil })
	g.awaitRollout(t, "app", "it is read again", func(ro *v1alpha1.Rollout) bool {
		return meta.FindStatusCondition(ro.Status.Conditions, v1alpha1.ConditionStalled) == nil
	})
}

func TestAPolicysCalendarHoldsEveryRolloutThatItCovers(t *testing.T) {
	g := newGroup(t, "quality")
	rules := func(entries ...v1alpha1.CalendarEntry) {
		g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) {
			s.Rollout = nil
			if entries != nil {
				s.Rollout = &v1alpha1.RolloutRules{Calendar: entries}
			}
		})
	}
	g.stableAt(t, "1.0.0")
	rules(always("Deny", ""))
	g.release(t, "app", "1.1.0")
	g.approve(t, "app-1.1.0")
	g.target(t, "app", "app-1.1.0")
	ro := g.awaitRollout(t, "app", "it waits for the calendar", stands(v1alpha1.ConditionProgressing,
		"False CalendarClosed: 1.1.0 is at 0%, and the share may not grow now: the Deny of ReviewPolicy "+g.ns+" spec.rollout.calendar[0] is on"))
	if ro.Status.Target == nil || ro.Status.BasisPoints != 0 || meta.IsStatusConditionTrue(ro.Status.Conditions, v1alpha1.ConditionPaused) {
		t.Errorf("status %s", show(ro.Status))
	}
	wrong := always("Deny", "")
	wrong.Schedule = "0 0 * *"
	rules(wrong)
	why := `True PolicyInvalid: reading ReviewPolicy ` + g.ns + ` spec.rollout.calendar[0].schedule: "0 0 * *"`
	g.awaitRollout(t, "app", "what nobody can read opens nothing", stands(v1alpha1.ConditionStalled, why))
	eventually(t, "the policy says so", func() string {
		var p v1alpha1.ReviewPolicy
		g.must(t, g.admin.Get(ctx(t), client.ObjectKey{Name: g.ns}, &p))
		if got := condition(p.Status.Conditions, v1alpha1.ConditionStalled); !strings.HasPrefix(got, why) {
			return got
		}
		return ""
	})
	rules()
	g.awaitRollout(t, "app", "the calendar is gone", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Stable != nil && ro.Status.Stable.Version == "1.1.0" && ro.Status.Target == nil
	})
}

func TestATargetThatIsHeldTooLongIsToldAndCounted(t *testing.T) {
	g := newGroup(t, "quality")
	g.underWay(t)
	g.plans(t, func(s *v1alpha1.RolloutSpec) { s.ProgressDeadlineSeconds = 1 })
	g.letApprove(t, "piet-"+g.ns, "privacy", "app")
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) {
		s.Approvals = append(s.Approvals, v1alpha1.ApprovalRule{Role: "privacy"})
	})
	ro := g.awaitRollout(t, "app", "the deadline is over", stands(v1alpha1.ConditionProgressing, "False ProgressDeadlineExceeded: held since "))
	if ro.Status.Step.HeldSince == nil || ro.Status.Percent != "5%" {
		t.Errorf("step %s at %s", show(ro.Status.Step), ro.Status.Percent)
	}
	g.wantEvent(t, "ProgressDeadlineExceeded", "held since "+ro.Status.Step.HeldSince.UTC().Format(time.RFC3339)+", longer than the 1s of spec.progressDeadlineSeconds: 1.1.0 stays at its present share: ")
	g.must(t, g.decide(t, g.piet, "piet-"+g.ns, g.pending(t, "app-1.1.0", "privacy"), v1alpha1.DecisionApproved, ""))
	g.awaitRollout(t, "app", "it goes on", func(ro *v1alpha1.Rollout) bool { return ro.Status.Step != nil && ro.Status.Step.HeldSince == nil })
	before := attempts(t, "FastPromoted")
	g.act(t, "app", "promote-full@2")
	g.awaitRollout(t, "app", "stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Outcome == v1alpha1.OutcomeFastPromoted })
	eventually(t, "the attempt is counted", func() string {
		if attempts(t, "FastPromoted") <= before {
			return "miniprogram_rollout_attempts_total has not risen"
		}
		return ""
	})
}

// attempts reads the metric as Prometheus would.
func attempts(t testing.TB, outcome string) (sum float64) {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "miniprogram_rollout_") {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !known[l.GetName()][l.GetValue()] {
					t.Errorf("%s has label %s=%q, which could be one of very many", f.GetName(), l.GetName(), l.GetValue())
				}
				if f.GetName() == "miniprogram_rollout_attempts_total" && l.GetValue() == outcome {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

func setOf(values ...string) map[string]bool {
	set := map[string]bool{}
	for _, v := range values {
		set[v] = true
	}
	return set
}

// known are all labels of the metrics of rollouts.
var known = map[string]map[string]bool{
	"kind":    setOf("SetPercent", "Pause", "Approval", "Analysis", "Bake", "Completion"),
	"outcome": setOf("Passed", "Promoted", "FastPromoted", "Aborted", "Superseded", "RolledBack"),
	"spent":   setOf("people", "plan", "machine"),
	"verb":    setOf("promote", "promote-full", "abort", "retry", "pause", "resume", "rollback", "other"),
	"result":  setOf("Done", "Refused", "Stale", "Invalid"),
}

func TestKubectlShowsWhereARolloutIs(t *testing.T) {
	g := newGroup(t, "quality")
	g.underWay(t)
	g.plans(t, func(s *v1alpha1.RolloutSpec) { s.Steps[1].Pause.Seconds = 7200 })
	ro := g.awaitRollout(t, "app", "it is known until when", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Step != nil && ro.Status.Step.Until != nil && strings.HasPrefix(ro.Status.Summary, "1.1.0 is at 5% until")
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	g.must(t, g.cp.WriteKubeconfig(kubeconfig, g.cp.User(g.danaName)))
	out, err := g.cp.Kubectl(ctx(t), kubeconfig, "get", "mpr", "--namespace="+g.ns)
	g.must(t, err)
	until := ro.Status.Step.Until.UTC().Format("2006-01-02T15:04:05Z")
	head, row, _ := strings.Cut(strings.TrimSpace(out), "\n")
	if got := strings.Join(strings.Fields(head), " "); got != "NAME PROGRAM STABLE TARGET PERCENT STEP AT UNTIL OUTCOME STATUS AGE" {
		t.Errorf("columns %s", got)
	}
	if got := strings.Join(strings.Fields(row), " "); !strings.HasPrefix(got, "app app 1.0.0 1.1.0 5% 1 Pause "+until+" 1.1.0 is at 5% until "+until) {
		t.Errorf("row %s", got)
	}
}
