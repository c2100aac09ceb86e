package gate

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// StepQuestion is everything about a step of a Rollout that JudgeStep needs. Of
// the Question it uses what is known of the version, and the host apps for vetoes.
type StepQuestion struct {
	Question
	// Rollout is the name of the object.
	Rollout string
	// Attempt of the Rollout, from 1, and index of the step, from 0.
	Attempt, Step int32
	// Role of the reviewer that the step asks for.
	Role string
}

// StepVerdict is the gate's answer about a step.
type StepVerdict struct {
	// Approved says that the step may be passed.
	Approved bool
	// Reason is one of ReasonApproved, ReasonWaitingForApproval, ReasonRejected and ReasonNoArtifact.
	Reason string
	// Message says for people who approved, or what is waited for and who can give it.
	Message string
	// Review and Reviewer that approved it: the first of those that count. Empty while it is not approved.
	Review, Reviewer string
}

// JudgeStep says whether somebody approved this very step of this very attempt
// for the digest. One approval is enough. The author of the version never counts:
// there is no policy that could allow it. A veto of the digest shuts every step.
func JudgeStep(q StepQuestion, reviews []Review, now time.Time) StepVerdict {
	j := &judge{q: q.Question, now: now, reviews: mine(q.Question, reviews)}
	if q.Digest == "" {
		return StepVerdict{Reason: ReasonNoArtifact, Message: "nothing can be approved before the version's artifact is in the registry"}
	}
	j.judgeVetoes()
	if vetoes := j.vetoesText(); vetoes != "" {
		return StepVerdict{Reason: ReasonRejected, Message: vetoes}
	}
	var counted []Review
	waits := []string{fmt.Sprintf("waits for 1 approval of role %s for %s (needs approve on miniprograms/review-%s)", q.Role, stepText(q.Rollout, q.Attempt, q.Step), q.Role)}
	for _, r := range j.reviews {
		if !j.approves(r) || !q.asksFor(r) {
			continue
		}
		if why, ok := j.disqualifies(r, Rule{Role: q.Role}); ok {
			waits = append(waits, why.Message)
			continue
		}
		counted = append(counted, r)
	}
	if len(counted) == 0 {
		return StepVerdict{Reason: ReasonWaitingForApproval, Message: list(waits)}
	}
	first := slices.MinFunc(counted, func(a, b Review) int { return cmp.Or(a.Decided.Compare(b.Decided), compareReviews(a, b)) })
	return StepVerdict{
		Approved: true, Reason: ReasonApproved, Review: first.Name, Reviewer: first.Reviewer,
		Message: fmt.Sprintf("%s was approved by %s in role %s (review %s)", stepText(q.Rollout, q.Attempt, q.Step), first.Reviewer, q.Role, first.Name),
	}
}

// asksFor says whether the review is about the step, in the role that it asks for.
func (q StepQuestion) asksFor(r Review) bool {
	return r.Rollout != "" && r.Rollout == q.Rollout && r.Attempt == q.Attempt && r.Step == q.Step &&
		r.Role == q.Role && r.HostApp == ""
}

// stepText names a step as the API does.
func stepText(rollout string, attempt, step int32) string {
	return fmt.Sprintf("step %d of attempt %d of Rollout %s", step, attempt, rollout)
}
