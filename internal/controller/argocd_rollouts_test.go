package controller_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/argocdtest"
)

func suspended(message string) argocdtest.Health {
	return argocdtest.Health{Status: "Suspended", Message: message}
}
func progressing(message string) argocdtest.Health {
	return argocdtest.Health{Status: "Progressing", Message: message}
}
func degraded(message string) argocdtest.Health {
	return argocdtest.Health{Status: "Degraded", Message: message}
}
func healthy(message string) argocdtest.Health {
	return argocdtest.Health{Status: "Healthy", Message: message}
}

// Somebody who has nothing but Argo CD steers a rollout from the first approval to a
// rollback, through admission and as the manager answers.
func TestARolloutIsSteeredInArgoCD(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	a := newArgoCD(t, g)
	g.must(t, g.olu.Create(ctx(t), &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "new", Labels: map[string]string{byHandLabel: "true"}},
		Spec:       v1alpha1.RolloutSpec{MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"}},
	}))
	a.shows(t, "Rollout", "new", "progressing_new", progressing("the controller has not seen generation 1 yet"))

	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	g.rollout(t, "app", "1.0.0", percent(5), pauseForPerson(), percent(25), v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{Seconds: 3600}}, percent(100))
	const notApproved = "MiniProgramVersion app-1.0.0 is not approved: waits for 1 approval of role quality (needs approve on miniprograms/review-quality)"
	g.awaitSummaryOf(t, notApproved)
	a.shows(t, "Rollout", "app", "progressing_notApproved", progressing(notApproved))
	refused(t, a.click(t, a.server, "Rollout", "app", "abort", nil), "no target is under way: there is nothing to abort")
	g.approve(t, "app-1.0.0")

	const waits = "1.0.0 is at 5% and waits for a person: annotate miniprogram.dev/action=promote@1/1, or abort@1"
	g.awaitSummaryOf(t, waits)
	a.shows(t, "Rollout", "app", "suspended_waitsForPromote", suspended(waits))
	refused(t, a.click(t, a.bare, "Rollout", "app", "promote", nil),
		account(argoBare)+" may not promote: ask for verb promote on rollouts in namespace "+g.ns+" (ClusterRole miniprogram-operator has it)")
	a.acts(t, "promote", "promote@1/1", "Done, step 1 is done")
	a.awaitRollout(t, "app", "25 %", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Percent == "25%" && isOut(ro) && ro.Status.Step.Index == 3
	})
	a.showsRollout(t, "progressing_timedPause", "Progressing", "1.0.0 is at 25% until ")
	a.acts(t, "pause", "pause@1", "Done, the share does not grow until somebody resumes")
	a.showsRollout(t, "suspended_paused", "Suspended", "1.0.0 stays at its present share: ")

	const first = "Refused, the rollout is paused: write resume@1 first"
	a.acts(t, "promote", "promote@1/3", first)
	a.showsRollout(t, "suspended_actionRefused", "Suspended", "")
	a.acts(t, "promote", "promote@01/3", first) // the same once more
	a.acts(t, "resume", "resume@1", "Done, the rollout goes on")
	a.acts(t, "promote", "promote@1/3", "Done, step 3 is done")
	g.awaitSummaryOf(t, "1.0.0 is stable for everybody")
	a.shows(t, "Rollout", "app", "healthy_stable", healthy("1.0.0 is stable for everybody"))
	a.backAndForth(t)
}

// backAndForth aborts what comes after, retries it, and goes back.
func (a *argoCD) backAndForth(t *testing.T) {
	a.release(t, "app", "1.1.0")
	a.approve(t, "app-1.1.0")
	a.target(t, "app", "app-1.1.0")
	a.awaitRollout(t, "app", "5 %", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Percent == "5%" && isOut(ro) && ro.Status.Step.Kind == "Pause"
	})
	a.showsRollout(t, "suspended_besideStable", "Suspended", "1.1.0 is at 5% and waits for a person: ")
	a.acts(t, "abort", "abort@2", "Done, the target was taken back")
	stays := "app-1.1.0 stays out: aborted by " + account(argoServer) + ". To go on, name another version in spec.versionRef, or annotate miniprogram.dev/action=retry@2"
	a.awaitSummaryOf(t, stays)
	a.shows(t, "Rollout", "app", "degraded_aborted", degraded(stays))
	a.acts(t, "retry", "retry@2", "Done, the target starts again at the step where it was aborted")
	a.acts(t, "promote-full", "promote-full@3", "Done, the target is stable for everybody")
	a.awaitSummaryOf(t, "1.1.0 is stable for everybody")
	a.shows(t, "Rollout", "app", "healthy_stableWithRollbacks", healthy("1.1.0 is stable for everybody"))
	refused(t, a.click(t, a.server, "Rollout", "app", "rollback", map[string]string{"version": "9.9.9"}), "version 9.9.9 is not in the rollback history: name one of 1.0.0")
	a.acts(t, "rollback", "rollback@3/1.0.0", "Done, 1.0.0 is stable again for everybody")
	back := "app-1.1.0 stays out: rolled back by " + account(argoServer) + ". To go on, name another version in spec.versionRef, or annotate miniprogram.dev/action=retry@4"
	a.awaitSummaryOf(t, back)
	a.shows(t, "Rollout", "app", "degraded_rolledBack", degraded(back))

	a.target(t, "app", "app-1.0.0")
	a.awaitSummaryOf(t, "1.0.0 is stable for everybody")
	a.plans(t, func(s *v1alpha1.RolloutSpec) { s.Calendar = []v1alpha1.CalendarEntry{always("Deny", "Mars/Olympus")} })
	ro := a.awaitRollout(t, "app", "the plan is invalid", stands(v1alpha1.ConditionStalled, "True PlanInvalid"))
	a.shows(t, "Rollout", "app", "degraded_stalled", degraded(ro.Status.Summary))
}

// showsRollout is shows with the summary as it is, of which only the beginning is known.
func (a *argoCD) showsRollout(t *testing.T, file, status, begins string) {
	t.Helper()
	var summary string
	eventually(t, begins, func() string {
		ro := a.awaitRollout(t, "app", "some status", func(ro *v1alpha1.Rollout) bool { return isOut(ro) })
		if summary = ro.Status.Summary; strings.HasPrefix(summary, begins) {
			return ""
		}
		return summary
	})
	health, err := a.customizations.Health(a.anonymous(t, a.live(t, "Rollout", "app")))
	a.must(t, err)
	if health.Status != status || !strings.HasPrefix(health.Message, begins) {
		t.Errorf("%s: %s, want %s %s…", file, show(health), status, begins)
	}
	a.shows(t, "Rollout", "app", file, *health)
}

// awaitSummaryOf waits until the Rollout says so, and what it decided is out.
func (g *group) awaitSummaryOf(t testing.TB, summary string) {
	t.Helper()
	g.awaitRollout(t, "app", summary, func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Summary == summary && (ro.Status.Attempt == 0 || isOut(ro)) && ro.Status.ObservedGeneration == ro.Generation
	})
}
