package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
)

// gatherStepReviews reads the Reviews of the rollout's steps, whatever version they are about.
func (r *RolloutReconciler) gatherStepReviews(ctx context.Context, s *rolloutScope) error {
	var list v1alpha1.ReviewList
	if err := r.Client.List(ctx, &list, client.InNamespace(s.before.Namespace), client.MatchingFields{indexRollout: s.before.Name}); err != nil {
		return fmt.Errorf("listing the Reviews of the steps: %w", err)
	}
	s.stepReviews, s.taken = list.Items, map[string]bool{}
	return nil
}

// gatherAnswers asks the gate about the approval steps of the target.
func (r *RolloutReconciler) gatherAnswers(ctx context.Context, s *rolloutScope) error {
	questions := s.plan.Questions(&s.before.Status)
	v := s.version
	if len(questions) == 0 || v == nil || v.Status.Artifact.Digest != questions[0].Digest {
		return nil
	}
	reviews, err := r.reviewsOf(ctx, v, v.Spec.MiniProgramRef.Name)
	if err != nil {
		return err
	}
	s.alsoAsked(reviews)
	said := gateReviews(v, reviews)
	for i := range said {
		s.taken[said[i].Name] = true
		if !s.ours(said[i].Created) {
			said[i].Attempt = 0 // about none of our steps; a rejection stays a veto
		}
	}
	s.seen.Answers = map[rollout.Question]rollout.Answer{}
	for _, q := range questions {
		verdict := gate.JudgeStep(gate.StepQuestion{
			Question: s.question, Rollout: s.before.Name, Attempt: q.Attempt, Step: q.Step, Role: q.Role,
		}, said, s.now)
		s.seen.Answers[q] = rollout.Answer{
			Approved: verdict.Approved, Reason: verdict.Reason, Message: verdict.Message, Review: s.reviewFor(q), Expires: verdict.Expires,
		}
	}
	return nil
}

// alsoAsked adds what the cache has learnt of since the Reviews of the steps were read: a
// pass follows at once on the one that has asked, and must not ask again.
func (s *rolloutScope) alsoAsked(reviews []v1alpha1.Review) {
	for i := range reviews {
		ref := reviews[i].Spec.Rollout
		known := slices.ContainsFunc(s.stepReviews, func(r v1alpha1.Review) bool { return r.Name == reviews[i].Name })
		if ref != nil && ref.Name == s.before.Name && !known {
			s.stepReviews = append(s.stepReviews, *reviews[i].DeepCopy()) // they are the cache's own
		}
	}
}

// ours tells that a Review of that age can be about this Rollout. An earlier one
// of its name counted its attempts from 1 too, and what was approved there is over.
func (s *rolloutScope) ours(created time.Time) bool {
	return !created.Before(s.before.CreationTimestamp.Time)
}

// asks tells that the Review is pending and asks just that. While the version is
// not known, any that has the digest will do.
func (s *rolloutScope) asks(review *v1alpha1.Review, q rollout.Question) bool {
	spec := review.Spec
	step := v1alpha1.RolloutStepReference{Name: s.before.Name, Attempt: q.Attempt, Step: q.Step}
	return spec.Decision == v1alpha1.DecisionPending && spec.Rollout != nil && *spec.Rollout == step && s.ours(review.CreationTimestamp.Time) &&
		spec.Role == q.Role && spec.Digest == q.Digest && (s.version == nil || spec.VersionRef.Name == s.version.Name)
}

// reviewFor is the name of the pending Review that asks, or else of the one that will.
func (s *rolloutScope) reviewFor(q rollout.Question) string {
	for i := range s.stepReviews {
		if s.asks(&s.stepReviews[i], q) {
			return s.stepReviews[i].Name
		}
	}
	return s.freeName(q)
}

// freeName is the first name for a Review of the step that no other has, so far
// as is known.
func (s *rolloutScope) freeName(q rollout.Question) string {
	return freeName(s.version, q.Role, fmt.Sprintf("%s/%d/%d", s.before.UID, q.Attempt, q.Step), s.taken)
}

// askForApproval keeps one pending Review for the approval step at which the
// target is recorded to wait, and takes away those that ask for anything else:
// another step, attempt, role or target, or for an earlier Rollout.
func (r *RolloutReconciler) askForApproval(ctx context.Context, s *rolloutScope) error {
	recorded, asked := s.plan.Asked(&s.before.Status)
	kept := false
	for i := range s.stepReviews {
		review := &s.stepReviews[i]
		switch {
		case review.Spec.Decision != v1alpha1.DecisionPending:
		case asked && !kept && s.asks(review, recorded):
			kept = true
		default:
			if err := r.removeQuestion(ctx, review); err != nil {
				return err
			}
		}
	}
	decided, _ := s.plan.Asked(&s.move.Status)
	if !asked || kept || decided != recorded || s.move.Reason != rollout.ReasonWaitingForApproval {
		return nil
	}
	return r.createStepReview(ctx, s, recorded)
}

// askNobody takes away every pending Review of a step.
func (r *RolloutReconciler) askNobody(ctx context.Context, s *rolloutScope) error {
	for i := range s.stepReviews {
		if s.stepReviews[i].Spec.Decision != v1alpha1.DecisionPending {
			continue
		}
		if err := r.removeQuestion(ctx, &s.stepReviews[i]); err != nil {
			return err
		}
	}
	return nil
}

// removeQuestion deletes a Review unless somebody has decided it meanwhile.
func (r *RolloutReconciler) removeQuestion(ctx context.Context, review *v1alpha1.Review) error {
	err := r.Client.Delete(ctx, review, client.Preconditions{UID: &review.UID, ResourceVersion: &review.ResourceVersion})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing Review %s, which nobody needs any more: %w", review.Name, err)
	}
	return nil
}

// createStepReview asks for the approval of a step. The version owns the Review,
// as it owns those about itself: a word about its bytes goes with them, and not
// with a Rollout.
func (r *RolloutReconciler) createStepReview(ctx context.Context, s *rolloutScope, q rollout.Question) error {
	v := s.version
	review := &v1alpha1.Review{
		ObjectMeta: metav1.ObjectMeta{Namespace: v.Namespace},
		Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: v.Spec.MiniProgramRef, VersionRef: v1alpha1.VersionReference{Name: v.Name}, Digest: q.Digest, Role: q.Role,
			Rollout:     &v1alpha1.RolloutStepReference{Name: s.before.Name, Attempt: q.Attempt, Step: q.Step},
			RequestedBy: v.Spec.SubmittedBy, Decision: v1alpha1.DecisionPending,
		},
	}
	if err := controllerutil.SetControllerReference(v, review, r.Client.Scheme()); err != nil {
		return err
	}
	ours := func(there *v1alpha1.Review) bool { return s.asks(there, q) }
	if err := r.createUnder(ctx, review, func() string { return s.freeName(q) }, s.taken, ours); err != nil {
		return fmt.Errorf("creating a Review for step %d: %w", q.Step, err)
	}
	return nil
}

// rolloutOfStep is the one of whose step a Review speaks.
func rolloutOfStep(_ context.Context, o client.Object) []reconcile.Request {
	review, is := o.(*v1alpha1.Review)
	if !is || review.Spec.Rollout == nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: review.Namespace, Name: review.Spec.Rollout.Name}}}
}
