package gate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// StepQuestion is everything about a step of a Rollout that JudgeStep needs. Of
// the Question it uses what is known of the version, the host apps for vetoes,
// and the rules to know what approvals of the version withhold.
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
	// Reason is ReasonApproved, or why not: ReasonWaitingForApproval, ReasonRequestWithdrawn,
	// ReasonRejected, ReasonAuthorUnknown or ReasonNoArtifact. Only the first two of these are
	// a matter of asking somebody.
	Reason string
	// Message says for people who approved, or what is waited for and who can give it.
	Message string
	// Review and Reviewer that approved it: the first of those that count. Empty while it is not approved.
	Review, Reviewer string
	// Expires is the earliest end of the approvals that count; nil for none. What else the
	// passing of time can change is an end of what counts for the version: see Verdict.
	Expires *time.Time
}

// JudgeStep says whether somebody approved this very step of this very attempt
// for the digest. One approval is enough. The author of the version never counts:
// there is no policy that could allow it. An approval must agree to every
// permission that the version is released with, for a step withholds none. A veto
// of the digest shuts every step.
func JudgeStep(q StepQuestion, reviews []Review, now time.Time) StepVerdict {
	j := &judge{q: q.Question, now: now, reviews: mine(q.Question, reviews)}
	j.judgeVetoes()
	vetoes := j.vetoesText()
	switch {
	case q.Digest == "":
		return StepVerdict{Reason: ReasonNoArtifact, Message: noArtifact}
	case vetoes != "":
		return StepVerdict{Reason: ReasonRejected, Message: vetoes}
	case q.Author == "":
		return StepVerdict{Reason: ReasonAuthorUnknown, Message: fmt.Sprintf(
			"%s needs the approval of somebody other than the author, and version %s does not name its author: create a version with spec.submittedBy", q.text(), q.VersionRef)}
	}
	j.q.Permissions = handedOut(q.Permissions, Judge(q.Question, reviews, now).Withheld)
	rule := Rule{Role: q.Role}
	var counted []Review
	var ignored []string
	for _, r := range j.reviews {
		if !j.approves(r) || !q.asksFor(r) {
			continue
		}
		if why, ok := j.disqualifies(r, rule); ok {
			if why.Reason == ReasonPermissionRefused {
				why = refusedAtStep(r, j.refused(r))
			}
			ignored = append(ignored, why.Message)
			continue
		}
		counted = append(counted, r)
	}
	if len(counted) == 0 {
		return q.waiting(j, ignored)
	}
	first := slices.MinFunc(counted, func(a, b Review) int { return cmp.Or(a.Decided.Compare(b.Decided), compareReviews(a, b)) })
	soonest := slices.MinFunc(counted, func(a, b Review) int { return compareEnds(a.Expires, b.Expires) })
	return StepVerdict{
		Approved: true, Reason: ReasonApproved, Review: first.Name, Reviewer: first.Reviewer, Expires: soonest.Expires,
		Message: fmt.Sprintf("%s was approved by %s in role %s (review %s)", q.text(), first.Reviewer, q.Role, first.Name),
	}
}

// waiting says what is waited for, and why the approvals that are there do not count.
func (q StepQuestion) waiting(j *judge, ignored []string) StepVerdict {
	var back []string
	for _, r := range j.reviews {
		if r.Decision == v1alpha1.DecisionWithdrawn && r.VersionRef == q.VersionRef && r.Digest == q.Digest && q.asksFor(r) && !j.older(r) {
			back = append(back, withdrawn(r).Message)
		}
	}
	lacks := fmt.Sprintf("1 approval of role %s for %s", q.Role, q.text())
	if len(back) > 0 {
		return StepVerdict{Reason: ReasonRequestWithdrawn, Message: list(append([]string{lacks + " is not asked for: " + list(back)}, ignored...))}
	}
	waits := fmt.Sprintf("waits for %s (needs approve on miniprograms/review-%s)", lacks, q.Role)
	return StepVerdict{Reason: ReasonWaitingForApproval, Message: list(append([]string{waits}, ignored...))}
}

// asksFor says whether the review is about the step, in the role that it asks for.
func (q StepQuestion) asksFor(r Review) bool {
	return r.Rollout != "" && r.Rollout == q.Rollout && r.Attempt == q.Attempt && r.Step == q.Step &&
		r.Role == q.Role && r.HostApp == ""
}

// text names the step as the API does.
func (q StepQuestion) text() string {
	return fmt.Sprintf("step %d of attempt %d of Rollout %s", q.Step, q.Attempt, q.Rollout)
}
