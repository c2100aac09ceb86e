package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func approvalOf(role string) v1alpha1.RolloutStep {
	return v1alpha1.RolloutStep{Approval: &v1alpha1.ApprovalStep{Role: role}}
}

// atApproval plays a program up to 5 % of 1.1.0, where step 1 waits for an
// approval of role privacy, which piet may give and dana, the author, too.
func (g *group) atApproval(t testing.TB, steps ...v1alpha1.RolloutStep) *v1alpha1.Rollout {
	t.Helper()
	g.stableAt(t, "1.0.0")
	g.letApprove(t, g.pietName(), "privacy", "app")
	g.letApprove(t, g.danaName, "privacy", "app")
	if len(steps) == 0 {
		steps = []v1alpha1.RolloutStep{percent(5), approvalOf("privacy"), percent(100)}
	}
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) { ro.Spec.Steps = steps })
	g.release(t, "app", "1.1.0")
	g.approve(t, "app-1.1.0")
	g.target(t, "app", "app-1.1.0")
	return g.awaitStep(t, 2, 1)
}

func (g *group) pietName() string { return "piet-" + g.ns }

// stepReviews are those of the group that name a step, with what they say.
func (g *group) stepReviews(t testing.TB) map[string]v1alpha1.Review {
	t.Helper()
	var list v1alpha1.ReviewList
	g.must(t, g.admin.List(ctx(t), &list, client.InNamespace(g.ns)))
	found := map[string]v1alpha1.Review{}
	for _, r := range list.Items {
		if r.Spec.Rollout != nil {
			found[r.Name] = r
		}
	}
	return found
}

// awaitAsked waits for the one pending Review of a step, and for there being no
// pending one of any other.
func (g *group) awaitAsked(t testing.TB, attempt, step int32) *v1alpha1.Review {
	t.Helper()
	want := v1alpha1.RolloutStepReference{Name: "app", Attempt: attempt, Step: step}
	var found *v1alpha1.Review
	eventually(t, fmt.Sprintf("a Review of step %d of attempt %d", step, attempt), func() string {
		found = nil
		for _, r := range g.stepReviews(t) {
			if r.Spec.Decision != v1alpha1.DecisionPending {
				continue
			}
			if *r.Spec.Rollout != want || found != nil {
				return "there is " + show(r.Spec)
			}
			found = &r
		}
		if found == nil {
			return "there is none"
		}
		return ""
	})
	return found
}

func (g *group) awaitNoneAsked(t testing.TB) {
	t.Helper()
	eventually(t, "no Review of a step is pending", func() string {
		for _, r := range g.stepReviews(t) {
			if r.Spec.Decision == v1alpha1.DecisionPending {
				return show(r.Spec)
			}
		}
		return ""
	})
}

// awaitStep waits until the rollout waits for the approval of a step, and says
// in which Review.
func (g *group) awaitStep(t testing.TB, attempt, step int32) *v1alpha1.Rollout {
	t.Helper()
	review := g.awaitAsked(t, attempt, step)
	want := fmt.Sprintf("1.1.0 is at 5%% and waits for 1 approval of role %s for step %d of attempt %d of Rollout app (needs approve on miniprograms/review-%s). "+
		"Approve Review %s, or annotate miniprogram.dev/action=abort@%d", review.Spec.Role, step, attempt, review.Spec.Role, review.Name, attempt)
	return g.awaitRollout(t, "app", want, func(ro *v1alpha1.Rollout) bool { return ro.Status.Summary == want && isOut(ro) })
}

func (g *group) awaitStable(t testing.TB, outcome string) {
	t.Helper()
	g.awaitRollout(t, "app", "1.1.0 is stable", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Stable.Version == "1.1.0" && ro.Status.Outcome == outcome && isOut(ro)
	})
	g.awaitNoneAsked(t)
}

func TestAStepIsPassedWithItsOwnApprovalOnly(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	ro := g.atApproval(t)
	if got := condition(ro.Status.Conditions, v1alpha1.ConditionPaused); got != "True WaitingForApproval: "+ro.Status.Summary {
		t.Errorf("Paused is %s", got)
	}
	asked := g.awaitAsked(t, 2, 1)
	var v v1alpha1.MiniProgramVersion
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.1.0"), &v))
	want := v1alpha1.ReviewSpec{
		MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.1.0"},
		Digest: ro.Status.Target.Digest, Role: "privacy", RequestedBy: g.danaName, Decision: v1alpha1.DecisionPending,
		Rollout: &v1alpha1.RolloutStepReference{Name: "app", Attempt: 2, Step: 1},
	}
	if got := asked.Spec; show(got) != show(want) || !metav1.IsControlledBy(asked, &v) {
		t.Errorf("asks %s, owned by %s", show(got), show(asked.OwnerReferences))
	}
	eventually(t, "the Review says what it is for", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, asked.Name), asked))
		if got := condition(asked.Status.Conditions, v1alpha1.ConditionReady); !strings.Contains(got, "step 1 of attempt 2 of Rollout app") {
			return got
		}
		return ""
	})

	g.letApprove(t, g.pietName(), "quality", "app")
	say := func(who client.Client, reviewer, name string, change func(*v1alpha1.ReviewSpec)) {
		t.Helper()
		spec := *want.DeepCopy()
		spec.Decision, spec.Reviewer = v1alpha1.DecisionApproved, reviewer
		change(&spec)
		g.must(t, who.Create(ctx(t), &v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name}, Spec: spec}))
	}
	say(g.piet, g.pietName(), "other-attempt", func(s *v1alpha1.ReviewSpec) { s.Rollout.Attempt = 1 })
	say(g.piet, g.pietName(), "other-step", func(s *v1alpha1.ReviewSpec) { s.Rollout.Step = 2 })
	say(g.piet, g.pietName(), "other-rollout", func(s *v1alpha1.ReviewSpec) { s.Rollout.Name = "other" })
	say(g.piet, g.pietName(), "no-step", func(s *v1alpha1.ReviewSpec) { s.Rollout = nil })
	say(g.piet, g.pietName(), "other-role", func(s *v1alpha1.ReviewSpec) { s.Role = "quality" })
	say(g.dana, g.danaName, "by-the-author", func(*v1alpha1.ReviewSpec) {})
	// An answer that comes after them shows that they were seen, and passed over.
	g.awaitRollout(t, "app", "the author's is no approval", func(ro *v1alpha1.Rollout) bool {
		return strings.Contains(ro.Status.Summary, "review by-the-author is by "+g.danaName+", the author of the version: somebody else has to approve")
	})
	g.act(t, "app", "promote@2/1")
	ro = g.awaitRollout(t, "app", "the promotion is answered", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.LastAction != nil && ro.Status.LastAction.Value == "promote@2/1"
	})
	if a := ro.Status.LastAction; a.Result != "Refused" || a.Message != "promoting does not replace the approval of step 1: approve Review "+asked.Name+" (role privacy, needs approve on miniprograms/review-privacy)" {
		t.Errorf("answered %s", show(a))
	}
	if ro.Status.Percent != "5%" {
		t.Fatalf("it went on: %s", show(ro.Status))
	}

	g.must(t, g.decide(t, g.piet, g.pietName(), asked, v1alpha1.DecisionApproved, ""))
	g.awaitStable(t, v1alpha1.OutcomePromoted)
	if doc := g.published(t, "app"); doc.Stable.Version != "1.1.0" || doc.Target != nil {
		t.Errorf("published %s", show(doc))
	}
}

func TestAnAbortTakesTheQuestionBackAndARetryAsksAnew(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.atApproval(t, percent(5), approvalOf("privacy"), percent(50), pauseForPerson())
	first := g.awaitAsked(t, 2, 1)
	g.act(t, "app", "abort@2")
	g.awaitAbort(t)
	g.awaitNoneAsked(t)
	g.act(t, "app", "retry@2")
	g.awaitStep(t, 3, 1)
	second := g.awaitAsked(t, 3, 1)
	if second.Name == first.Name {
		t.Errorf("both attempts ask in %s", first.Name)
	}
	g.must(t, g.decide(t, g.piet, g.pietName(), second, v1alpha1.DecisionApproved, ""))
	g.awaitRollout(t, "app", "50 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "50%" && isOut(ro) })

	// Aborted behind the approval: another attempt needs it again.
	g.act(t, "app", "abort@3")
	g.awaitAbort(t)
	g.act(t, "app", "retry@3")
	g.awaitStep(t, 4, 1)
}

func TestARejectedStepIsAVeto(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.atApproval(t)
	g.must(t, g.decide(t, g.piet, g.pietName(), g.awaitAsked(t, 2, 1), v1alpha1.DecisionRejected, "it reads the contacts"))
	g.awaitAbort(t)
	g.awaitVersionRejected(t, "app-1.1.0")
	g.act(t, "app", "retry@2")
	ro := g.awaitRollout(t, "app", "the retry is answered", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.LastAction != nil && ro.Status.LastAction.Value == "retry@2"
	})
	if ro.Status.LastAction.Result != "Refused" || ro.Status.Target != nil {
		t.Errorf("it is out again: %s", show(ro.Status))
	}
	g.awaitNoneAsked(t)
}

func (g *group) awaitVersionRejected(t testing.TB, name string) {
	t.Helper()
	var v v1alpha1.MiniProgramVersion
	eventually(t, "the veto of "+name, func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, name), &v))
		if got := condition(v.Status.Conditions, v1alpha1.ConditionApproved); !strings.HasPrefix(got, "False Rejected: ") {
			return got
		}
		return ""
	})
}

func TestPromoteFullGoesOnWhenTheStepIsApproved(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	g.letApprove(t, g.pietName(), "privacy", "app")
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) {
		ro.Spec.Steps = []v1alpha1.RolloutStep{percent(1), pauseForPerson(), percent(5), pauseForPerson(), approvalOf("privacy"), percent(50), pauseForPerson()}
	})
	g.release(t, "app", "1.1.0")
	g.approve(t, "app-1.1.0")
	g.target(t, "app", "app-1.1.0")
	g.awaitRollout(t, "app", "1 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "1%" })
	g.act(t, "app", "promote-full@2")
	ro := g.awaitStep(t, 2, 4)
	if ro.Status.Promotion != v1alpha1.PromotionFull {
		t.Errorf("promotion %q is not remembered", ro.Status.Promotion)
	}
	g.must(t, g.decide(t, g.piet, g.pietName(), g.awaitAsked(t, 2, 4), v1alpha1.DecisionApproved, ""))
	g.awaitStable(t, v1alpha1.OutcomeFastPromoted)
}

func TestAnEditedStepAsksInItsNewRole(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.atApproval(t)
	g.letApprove(t, g.pietName(), "security", "app")
	steps := func(steps ...v1alpha1.RolloutStep) {
		change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) { ro.Spec.Steps = steps })
	}
	steps(percent(5), approvalOf("security"), percent(100))
	eventually(t, "it asks in the new role", func() string {
		if r := g.awaitAsked(t, 2, 1); r.Spec.Role != "security" {
			return "it asks in role " + r.Spec.Role
		}
		return ""
	})
	g.awaitStep(t, 2, 1)
	steps(percent(5), pauseForPerson(), percent(100))
	g.awaitNoneAsked(t)
	steps(percent(5), approvalOf("security"), percent(100))
	g.awaitStep(t, 2, 1)
	g.target(t, "app", "app-1.0.0")
	g.awaitNoneAsked(t)
}

// A Rollout that is created anew counts its attempts from 1 again: what was
// approved for the one before must not count.
func TestAnApprovalDoesNotOutliveItsRollout(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.atApproval(t)
	var olds []*v1alpha1.Review
	for i := range 2 {
		spec := g.awaitAsked(t, 2, 1).Spec
		spec.Decision, spec.Reviewer, spec.Rollout.Attempt = v1alpha1.DecisionApproved, g.pietName(), int32(1)
		olds = append(olds, &v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: fmt.Sprintf("old-%d", i)}, Spec: spec})
	}
	g.must(t, g.piet.Create(ctx(t), olds[0]))
	g.deleteRollout(t)
	g.awaitNoneAsked(t)
	eventually(t, "the second is over in which it was approved", func() string { // times in the API are whole seconds
		if now := time.Now(); now.Before(olds[0].CreationTimestamp.Add(time.Second)) {
			return now.String()
		}
		return ""
	})
	g.rollout(t, "app", "1.1.0", percent(5), approvalOf("privacy"), percent(100))
	g.awaitStep(t, 1, 1)
	g.must(t, g.piet.Create(ctx(t), olds[1]))
	g.awaitStable(t, v1alpha1.OutcomePromoted)
}

func TestAQuestionThatTheAuthorTookBackIsNotAskedAgainUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.atApproval(t)
	asked := g.awaitAsked(t, 2, 1)
	withdrawn := asked.DeepCopy()
	withdrawn.Spec.Decision = v1alpha1.DecisionWithdrawn
	g.must(t, g.dana.Patch(ctx(t), withdrawn, client.MergeFrom(asked)))
	g.awaitRollout(t, "app", "it says so", func(ro *v1alpha1.Rollout) bool {
		return condition(ro.Status.Conditions, v1alpha1.ConditionPaused) == "True RequestWithdrawn: "+ro.Status.Summary &&
			strings.Contains(ro.Status.Summary, "kubectl delete mprev "+asked.Name+" asks again")
	})
	g.awaitNoneAsked(t)
	g.must(t, g.admin.Delete(ctx(t), withdrawn))
	g.awaitStep(t, 2, 1)
}

func TestAStepWhoseApprovalEndsIsAskedAboutAgain(t *testing.T) {
	g := newGroup(t, "quality")
	g.atApproval(t, percent(5), approvalOf("privacy"), percent(50), pauseForPerson())
	asked := g.awaitAsked(t, 2, 1)
	end := metav1.NewTime(time.Now().Add(5 * time.Second).Truncate(time.Second))
	spec := asked.Spec
	spec.Decision, spec.Reviewer, spec.ExpirationTime = v1alpha1.DecisionApproved, g.pietName(), &end
	g.must(t, g.piet.Create(ctx(t), &v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "short"}, Spec: spec}))
	g.awaitRollout(t, "app", "50 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "50%" && isOut(ro) })
	g.awaitAsked(t, 2, 1)
	over := "review short counted until " + end.UTC().Format(time.RFC3339) + ": a new approval is needed"
	g.awaitRollout(t, "app", "it is held", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Step.Index == 1 && ro.Status.Percent == "50%" && strings.Contains(ro.Status.Summary, over)
	})
	eventually(t, "the Review says so", func() string {
		var r v1alpha1.Review
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "short"), &r))
		if got := condition(r.Status.Conditions, v1alpha1.ConditionReady); !strings.Contains(got, over) {
			return got
		}
		return ""
	})
}
