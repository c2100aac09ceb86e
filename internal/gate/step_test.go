package gate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// forStep makes a review about a step.
func forStep(rollout string, attempt, step int32) func(*Review) {
	return func(r *Review) { r.Rollout, r.Attempt, r.Step = rollout, attempt, step }
}

// ofMain is about the step that stepQuestion asks for.
var ofMain = forStep("main", 2, 1)

// stepQuestion is about step 1 of attempt 2 of Rollout main, which hands out the version of question().
func stepQuestion(change ...func(*Question)) StepQuestion {
	return StepQuestion{Question: question(change...), Rollout: "main", Attempt: 2, Step: 1, Role: "quality"}
}

func TestJudgeStep(t *testing.T) {
	const which = "1 approval of role quality for step 1 of attempt 2 of Rollout main"
	const waits = "waits for " + which + " (needs approve on miniprograms/review-quality)"
	waiting := StepVerdict{Reason: "WaitingForApproval", Message: waits}
	but := func(why string) StepVerdict {
		return StepVerdict{Reason: "WaitingForApproval", Message: waits + "; " + why}
	}
	approved := func(review, reviewer string) StepVerdict {
		return StepVerdict{
			Approved: true, Reason: "Approved", Review: review, Reviewer: reviewer,
			Message: "step 1 of attempt 2 of Rollout main was approved by " + reviewer + " in role quality (review " + review + ")",
		}
	}
	until := func(minutes int, v StepVerdict) StepVerdict {
		v.Expires = new(at(minutes))
		return v
	}
	tests := map[string]struct {
		question StepQuestion
		reviews  []Review
		want     StepVerdict
	}{
		"without a review it waits and says who can help": {question: stepQuestion(), want: waiting},
		"an approval of this step opens it":               {question: stepQuestion(), reviews: []Review{review("r1", ofMain)}, want: approved("r1", "bob")},
		"an approval of the version opens no step":        {question: stepQuestion(), reviews: []Review{review("r1")}, want: waiting},
		"an approval of another step, attempt, Rollout or role does not": {
			question: stepQuestion(),
			reviews:  []Review{review("r1", forStep("main", 2, 0)), review("r2", forStep("main", 1, 1)), review("r3", forStep("other", 2, 1)), review("r4", ofMain, role("legal"))},
			want:     waiting,
		},
		"an approval for one host app does not, for a step is for all": {
			question: stepQuestion(), reviews: []Review{review("r1", ofMain, forApp("wallet"))}, want: waiting,
		},
		"an approval of other bytes, of another version or program does not": {
			question: stepQuestion(),
			reviews: []Review{
				review("r1", ofMain, ofDigest(other)), review("r2", ofMain, func(r *Review) { r.VersionRef = "map-0" }),
				review("r3", ofMain, func(r *Review) { r.MiniProgram = "shop" }),
			},
			want: waiting,
		},
		"a pending review is waited for": {
			question: stepQuestion(), reviews: []Review{review("r1", ofMain, func(r *Review) { r.Decision, r.Reviewer = "Pending", "" })}, want: waiting,
		},
		"the author never opens a step, though a rule of the version allows it": {
			question: stepQuestion(rules(Rule{Role: "quality", SelfApproval: true})), reviews: []Review{review("r1", ofMain, by("ann"))},
			want: but("review r1 is by ann, the author of the version: somebody else has to approve"),
		},
		"where no author is known nobody is known to be another": {
			question: stepQuestion(func(q *Question) { q.Author = "" }), reviews: []Review{review("r1", ofMain)},
			want: StepVerdict{
				Reason:  "AuthorUnknown",
				Message: "step 1 of attempt 2 of Rollout main needs the approval of somebody other than the author, and version map-1 does not name its author: create a version with spec.submittedBy",
			},
		},
		"a decision without a person counts for nothing": {
			question: stepQuestion(), reviews: []Review{review("r1", ofMain, by(""))},
			want: but("review r1 does not say who decided: set spec.reviewer together with the decision"),
		},
		"an approval counts until its own end": {
			question: stepQuestion(), reviews: []Review{review("r1", ofMain, expires(0)), review("r2", ofMain, by("carol"), expires(1))},
			want: until(1, approved("r2", "carol")),
		},
		"the first end of those that count is told": {
			question: stepQuestion(),
			reviews:  []Review{review("r1", ofMain), review("r2", ofMain, by("carol"), expires(9)), review("r3", ofMain, by("dave"), expires(7)), review("r4", ofMain, by("ann"), expires(1))},
			want:     until(7, approved("r1", "bob")),
		},
		"an approval from before the version counts for nothing": {
			question: stepQuestion(func(q *Question) { q.Created = at(-80) }), reviews: []Review{review("r1", ofMain)},
			want: but(olderThanVersion(review("r1"), "map-1").Message),
		},
		"the first to approve is named": {
			question: stepQuestion(), reviews: []Review{review("r1", ofMain, decided(-5)), review("r2", ofMain, by("carol"), decided(-6))}, want: approved("r2", "carol"),
		},
		"a veto of the version shuts the step": {
			question: stepQuestion(), reviews: []Review{review("r1", ofMain), review("r0", rejects, role("legal"))},
			want: StepVerdict{Reason: "Rejected", Message: "rejected by bob in role legal (review r0): " + liftHint},
		},
		"a rejection of another step is a veto too": {
			question: stepQuestion(), reviews: []Review{review("r1", ofMain), review("r0", rejects, forStep("main", 1, 0))},
			want: StepVerdict{Reason: "Rejected", Message: "rejected by bob in role quality (review r0): " + liftHint},
		},
		"a veto that a review of the version lifted shuts nothing": {
			question: stepQuestion(),
			reviews:  []Review{review("r0", rejects, forStep("main", 1, 0)), review("r2", supersedes("r0"), decided(-30)), review("r1", ofMain)},
			want:     approved("r1", "bob"),
		},
		"a request that was withdrawn is told": {
			question: stepQuestion(), reviews: []Review{review("r1", ofMain, withdraws, by("ann"))},
			want: StepVerdict{Reason: "RequestWithdrawn", Message: which + " is not asked for: review r1 was withdrawn by ann; kubectl delete mprev r1 asks again"},
		},
		"a withdrawal from before the version, or of another step, is not": {
			question: stepQuestion(func(q *Question) { q.Created = at(-80) }),
			reviews:  []Review{review("r1", ofMain, withdraws), review("r2", forStep("main", 1, 1), withdraws, createdAt(at(-70)))}, want: waiting,
		},
		"an approval must agree to all that the version is released with": {
			question: stepQuestion(declares), reviews: []Review{review("r1", ofMain, agreesTo("pay", "location", "camera"))},
			want: but(`review r1 by bob approves without permission "album", which the version is released with: reject it with a comment, leave out spec.approvedPermissions, or have it withheld by a review of the version`),
		},
		"what reviews of the version withhold it may leave out": {
			question: stepQuestion(declares),
			reviews:  []Review{review("r1", ofMain, agreesTo("pay", "location", "camera")), review("r2", agreesTo("pay", "location", "camera"))},
			want:     approved("r1", "bob"),
		},
		"without an artifact there is nothing to approve": {
			question: stepQuestion(func(q *Question) { q.Digest = "" }), reviews: []Review{review("r1", ofMain, ofDigest(""))},
			want: StepVerdict{Reason: "NoArtifact", Message: "nothing can be approved before the version's artifact is in the registry"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, JudgeStep(tc.question, tc.reviews, now)); diff != "" {
				t.Errorf("JudgeStep (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnApprovalOfAStepSaysNothingOfTheVersion(t *testing.T) {
	runJudge(t, map[string]judgeCase{
		"it does not count":              {question: question(), reviews: []Review{review("r1", ofMain)}, want: waiting()},
		"nor is it asked for in another": {question: question(), reviews: []Review{review("r1", ofMain, role("legal")), review("r2")}, want: approved("r2")},
	})
}
