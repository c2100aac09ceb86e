package controller

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// record notes when the decision was written to where it outlives the Review:
// admission lets nobody delete it before. A decision that is no longer there, for
// its MiniProgram is gone or was created anew, is not recorded either.
func (r *ReviewReconciler) record(_ context.Context, s *reviewScope) error {
	st := &s.review.Status
	switch {
	case !s.outlives():
		st.RecordTime = nil
	case st.RecordTime == nil:
		now := r.now()
		st.RecordTime = &now
	}
	unkept := st.RecordTime == nil && s.review.Spec.Decision == v1alpha1.DecisionRejected
	switch {
	case unkept && s.program == nil:
		return task.Stall("MiniProgramMissing", fmt.Errorf("rejected by %s: a veto that no MiniProgram keeps, so this Review cannot be deleted; create MiniProgram %s, and its status keeps it",
			s.review.Spec.Reviewer, s.review.Spec.MiniProgramRef.Name))
	case unkept && len(s.program.Status.Rejections) >= maxRejections:
		return task.Stall("RejectionsFull", fmt.Errorf("rejected by %s: a veto for as long as this Review exists, which cannot be deleted, for status.rejections of MiniProgram %s has its %d entries already",
			s.review.Spec.Reviewer, s.program.Name, maxRejections))
	}
	return nil
}

// outlives tells whether the decision is where it outlives the Review. A rejection
// without a MiniProgram waits for one: else deleting program and version, and
// creating both anew, would lift it. An approval counts only while its Review
// exists, so where the version does not remember it, nothing is lost.
func (s *reviewScope) outlives() bool {
	switch s.review.Spec.Decision {
	case v1alpha1.DecisionRejected:
		return s.program != nil && keepsRejection(s.program, s.review)
	case v1alpha1.DecisionApproved:
		if s.version == nil || !remembers(s.version, s.review) {
			return true
		}
		known := s.version.Status.Decisions
		return len(known) >= maxDecisions || slices.ContainsFunc(known, sameDecision(decisionOf(s.review, metav1.Time{})))
	default:
		return false
	}
}

// keepsRejection tells whether a MiniProgram's status has the veto that a Review
// holds. All that it says is compared: another may have had its name.
func keepsRejection(program *v1alpha1.MiniProgram, review *v1alpha1.Review) bool {
	want := rejectionOf(review, metav1.Time{})
	return slices.ContainsFunc(program.Status.Rejections, func(kept v1alpha1.Rejection) bool {
		kept.Time = want.Time
		return kept == want
	})
}

// rejectionOf is the veto that a Review holds.
func rejectionOf(review *v1alpha1.Review, at metav1.Time) v1alpha1.Rejection {
	return v1alpha1.Rejection{
		Digest: review.Spec.Digest, Role: review.Spec.Role, HostApp: review.Spec.HostApp,
		Reviewer: review.Spec.Reviewer, Review: review.Name, Time: at,
	}
}

// remembers tells whether a version's status is to keep the Review's decision:
// one of its artifact. The approval of a step is none of the version.
func remembers(v *v1alpha1.MiniProgramVersion, review *v1alpha1.Review) bool {
	ofArtifact := v.Status.Artifact != nil && review.Spec.Digest == v.Status.Artifact.Digest
	switch review.Spec.Decision {
	case v1alpha1.DecisionRejected:
		return ofArtifact
	case v1alpha1.DecisionApproved:
		return ofArtifact && review.Spec.Rollout == nil
	default:
		return false
	}
}

// decisionOf is what a version's status keeps of a Review.
func decisionOf(review *v1alpha1.Review, at metav1.Time) v1alpha1.Decision {
	return v1alpha1.Decision{
		Review: review.Name, Role: review.Spec.Role, HostApp: review.Spec.HostApp, Reviewer: review.Spec.Reviewer,
		Decision: review.Spec.Decision, Digest: review.Spec.Digest, Time: at,
	}
}

// sameDecision tells whether another decision is this one, whenever it was seen.
func sameDecision(d v1alpha1.Decision) func(v1alpha1.Decision) bool {
	return func(other v1alpha1.Decision) bool {
		other.Time = d.Time
		return other == d
	}
}

// unrecorded wakes those Reviews of a MiniProgram for which it makes a difference
// what that keeps now.
func (r *ReviewReconciler) unrecorded(ctx context.Context, o client.Object) []reconcile.Request {
	program, ok := o.(*v1alpha1.MiniProgram)
	if !ok {
		return nil
	}
	return r.reviewsThat(ctx, func(review *v1alpha1.Review) bool {
		return review.Status.RecordTime == nil || !keepsRejection(program, review)
	}, beside(o, indexRejects, program.Name)...)
}
