package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

func TestADecisionIsLookedAtAgainWhenTimeChangesWhatItIsWorth(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	in := func(minutes int) *time.Time { return new(now.Add(time.Duration(minutes) * time.Minute)) }
	for name, test := range map[string]struct {
		decision       string
		own, another   *time.Time
		unjudged       bool
		otherwise, out time.Duration
	}{
		"its own end":                    {decision: v1alpha1.DecisionApproved, own: in(5), out: 5 * time.Minute},
		"the end of one in its place":    {decision: v1alpha1.DecisionApproved, another: in(3), out: 3 * time.Minute},
		"the earlier of both":            {decision: v1alpha1.DecisionApproved, own: in(5), another: in(3), out: 3 * time.Minute},
		"not its end when that is past":  {decision: v1alpha1.DecisionApproved, own: in(-5)},
		"not later than it was to be":    {decision: v1alpha1.DecisionApproved, own: in(5), otherwise: time.Minute, out: time.Minute},
		"not while it is pending":        {decision: v1alpha1.DecisionPending, own: in(5), another: in(3)},
		"not while nobody can judge it":  {decision: v1alpha1.DecisionApproved, own: in(5), unjudged: true},
		"not when it counts without end": {decision: v1alpha1.DecisionApproved},
	} {
		t.Run(name, func(t *testing.T) {
			s := &reviewScope{review: &v1alpha1.Review{}, now: now, judged: &judgment{verdict: gate.Verdict{Expires: test.another}}}
			s.review.Spec.Decision = test.decision
			if test.own != nil {
				s.review.Spec.ExpirationTime = new(metav1.NewTime(*test.own))
			}
			if test.unjudged {
				s.judged = nil
			}
			want := ctrl.Result{RequeueAfter: test.out}
			if diff := cmp.Diff(want, s.recheck(ctrl.Result{RequeueAfter: test.otherwise})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWhichReviewsConcernEachOther(t *testing.T) {
	review := func(name string, spec v1alpha1.ReviewSpec) *v1alpha1.Review {
		return &v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	}
	approval := v1alpha1.ReviewSpec{Decision: v1alpha1.DecisionApproved, Reviewer: "rosa", Role: "quality", HostApp: "bank"}
	rejection := v1alpha1.ReviewSpec{Decision: v1alpha1.DecisionRejected, Reviewer: "piet", Role: "quality"}
	with := func(spec v1alpha1.ReviewSpec, change func(*v1alpha1.ReviewSpec)) v1alpha1.ReviewSpec {
		change(&spec)
		return spec
	}
	for name, test := range map[string]struct {
		a, b *v1alpha1.Review
		want bool
	}{
		"two approvals by one person": {review("a", approval), review("b", approval), true},
		"itself":                      {review("a", approval), review("a", approval), false},
		"another person's":            {review("a", approval), review("b", with(approval, func(s *v1alpha1.ReviewSpec) { s.Reviewer = "piet" })), false},
		"in another role":             {review("a", approval), review("b", with(approval, func(s *v1alpha1.ReviewSpec) { s.Role = "privacy" })), false},
		"for another host app":        {review("a", approval), review("b", with(approval, func(s *v1alpha1.ReviewSpec) { s.HostApp = "shop" })), false},
		"two rejections":              {review("a", rejection), review("b", rejection), false},
		"a rejection and what lifts it": {
			review("a", rejection), review("b", with(approval, func(s *v1alpha1.ReviewSpec) { s.Supersedes = "a" })), true,
		},
		"what lifts a rejection and that": {
			review("b", with(approval, func(s *v1alpha1.ReviewSpec) { s.Supersedes = "a" })), review("a", rejection), true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := concern(test.a, test.b); got != test.want {
				t.Errorf("is %t, want %t", got, test.want)
			}
		})
	}
}

func TestAnApprovalOfUndeclaredPermissionsSaysSo(t *testing.T) {
	declared := &v1alpha1.Declaration{Permissions: []v1alpha1.Permission{{Name: "location", Need: "Optional"}, {Name: "pay"}}}
	for name, test := range map[string]struct {
		agrees   []string
		declared *v1alpha1.Declaration
		want     string
	}{
		"all that is declared":      {nil, declared, "Approved by rosa counts"},
		"some of it":                {[]string{"pay"}, declared, "Approved by rosa counts"},
		"none of it":                {[]string{"none"}, declared, "Approved by rosa counts"},
		"a version without a word":  {[]string{"pay"}, nil, "Approved by rosa counts"},
		"a name that is misspelt":   {[]string{"locaton", "pay"}, declared, `Approved by rosa counts, and agrees in spec.approvedPermissions to "locaton", which the version does not declare: if a name is misspelt, approve anew in another Review`},
		"two that nobody asked for": {[]string{"a", "b"}, declared, `Approved by rosa counts, and agrees in spec.approvedPermissions to "a", "b", which the version does not declare: if a name is misspelt, approve anew in another Review`},
	} {
		t.Run(name, func(t *testing.T) {
			s := &reviewScope{
				review:  &v1alpha1.Review{Spec: v1alpha1.ReviewSpec{Decision: v1alpha1.DecisionApproved, Reviewer: "rosa", Role: "quality", ApprovedPermissions: test.agrees}},
				version: &v1alpha1.MiniProgramVersion{Status: v1alpha1.MiniProgramVersionStatus{Declaration: test.declared}},
				judged:  &judgment{},
			}
			if err := concludeReview(t.Context(), s); err != nil || s.says != test.want {
				t.Errorf("got  %q (%v)\nwant %q", s.says, err, test.want)
			}
		})
	}
}

func TestNoApprovalSaysThatItCountsWhileTheGateIsShut(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	shut := gate.Verdict{Reason: reasonNotEnforced, Message: "admission does not guard"}
	wait := task.Wait(reasonNotEnforced, 0, "%s", "an approval does not count while the gate is shut: admission does not guard")
	step := &v1alpha1.RolloutStepReference{Name: "app", Attempt: 1, Step: 1}
	type outcome struct {
		Err  error
		Says string
	}
	for name, test := range map[string]struct {
		decision string
		step     *v1alpha1.RolloutStepReference
		verdict  gate.Verdict
		want     outcome
	}{
		"an approval":                  {v1alpha1.DecisionApproved, nil, shut, outcome{Err: wait}},
		"that of a step":               {v1alpha1.DecisionApproved, step, shut, outcome{Err: wait}},
		"an approval with a proof":     {v1alpha1.DecisionApproved, nil, gate.Verdict{}, outcome{Says: "Approved by rosa counts"}},
		"that of a step with a proof":  {v1alpha1.DecisionApproved, step, gate.Verdict{}, outcome{Says: "step 1 of attempt 1 of Rollout app was approved by rosa in role quality (review r)"}},
		"a rejection is a veto anyway": {v1alpha1.DecisionRejected, nil, shut, outcome{Says: "rejected by rosa: not yet (a veto until a later Review names it in spec.supersedes)"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Name: "r", CreationTimestamp: metav1.NewTime(now)}}
			r.Spec = v1alpha1.ReviewSpec{
				MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"},
				Digest: "sha256:1", Role: "quality", Decision: test.decision, Reviewer: "rosa", Comment: "not yet", Rollout: test.step,
			}
			q := gate.Question{MiniProgram: "app", VersionRef: "app-1.0.0", Digest: "sha256:1", Created: now, Author: "dana"}
			s := &reviewScope{
				review: &r, now: now, version: &v1alpha1.MiniProgramVersion{},
				judged: &judgment{reviews: []v1alpha1.Review{r}, question: q, verdict: test.verdict},
			}
			err := concludeReview(t.Context(), s)
			if diff := cmp.Diff(test.want, outcome{err, s.says}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
