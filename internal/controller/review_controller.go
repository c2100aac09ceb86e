package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/gate"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// ReviewReconciler tells on each Review whether it counts, and why not.
type ReviewReconciler struct{ Shared }

type reviewScope struct {
	review *v1alpha1.Review
	now    time.Time
	// version and program that the Review names; nil when they do not exist.
	version *v1alpha1.MiniProgramVersion
	program *v1alpha1.MiniProgram
	judged  *judgment
	says    string
}

// Reconcile reports on one Review. It has no effect but its status.
func (r *ReviewReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if err := r.Enforcement.Await(ctx); err != nil {
		return ctrl.Result{}, err
	}
	before := &v1alpha1.Review{}
	if err := r.Client.Get(ctx, req.NamespacedName, before); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	s := &reviewScope{review: before.DeepCopy(), now: r.Now().UTC()}
	// Whether the decision was recorded does not depend on what it is worth.
	err := task.Run(ctx, s, []task.Task[reviewScope]{
		{Name: "find what it is about", Run: r.find},
		{Name: "record", Run: r.record},
		{Name: "judge", Run: r.judgeReview},
		{Name: "conclude", Run: concludeReview},
	})
	st := &s.review.Status
	st.ObservedGeneration = s.review.Generation
	st.Conditions = task.Conditions(st.Conditions, s.review.Generation, err, r.now(), s.says)
	if perr := r.updateStatus(ctx, before, s.review, before.Status, s.review.Status); perr != nil {
		return unwritten(perr)
	}
	result, err := task.Result(err)
	if end := s.review.Spec.ExpirationTime; err == nil && end != nil && s.now.Before(end.Time) {
		result.RequeueAfter = max(end.Sub(s.now), time.Second) // nothing else wakes it: a step is of no version's status
	}
	return result, err
}

func (r *ReviewReconciler) find(ctx context.Context, s *reviewScope) error {
	var v v1alpha1.MiniProgramVersion
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.review.Namespace, Name: s.review.Spec.VersionRef.Name}, &v)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err == nil {
		s.version = &v
	}
	var program v1alpha1.MiniProgram
	err = r.Client.Get(ctx, client.ObjectKey{Namespace: s.review.Namespace, Name: s.review.Spec.MiniProgramRef.Name}, &program)
	if err == nil {
		s.program = &program
	}
	return client.IgnoreNotFound(err)
}

func (r *ReviewReconciler) judgeReview(ctx context.Context, s *reviewScope) (err error) {
	spec, v := s.review.Spec, s.version
	switch {
	case v == nil:
		return task.Stall("VersionMissing", fmt.Errorf("spec.versionRef names MiniProgramVersion %s, which does not exist: create it, or delete this Review", spec.VersionRef.Name))
	case v.Spec.MiniProgramRef.Name != spec.MiniProgramRef.Name:
		return task.Stall("OtherProgram", fmt.Errorf("spec.miniProgramRef names %s, but MiniProgramVersion %s belongs to %s: create the Review for that one", spec.MiniProgramRef.Name, v.Name, v.Spec.MiniProgramRef.Name))
	case v.Status.Artifact == nil:
		return task.Wait("NoArtifact", 0, "MiniProgramVersion %s has no artifact yet", v.Name)
	case s.program == nil: // the version's status changes when it comes, and wakes us
		return task.Wait("MiniProgramMissing", 0, "MiniProgram %s does not exist: create it", spec.MiniProgramRef.Name)
	}
	s.judged, err = r.judge(ctx, v, s.program, s.program.Spec.HostApps, s.now)
	return err
}

// concludeReview finds the review among those that the gate counted or ignored.
func concludeReview(_ context.Context, s *reviewScope) error {
	spec := s.review.Spec
	if spec.Decision == v1alpha1.DecisionPending {
		return task.Wait("Pending", 0, "waits for a reviewer of role %s%s (needs approve on miniprograms/review-%s)", spec.Role, s.where(), spec.Role)
	}
	if step := spec.Rollout; step != nil && spec.Decision == v1alpha1.DecisionApproved {
		return s.concludeStep(step)
	}
	for _, i := range s.judged.verdict.Ignored {
		if i.Review == s.review.Name && i.Reason != gate.ReasonLiftsNothing {
			return task.Stall(i.Reason, fmt.Errorf("%s", i.Message))
		}
	}
	switch spec.Decision {
	case v1alpha1.DecisionRejected:
		s.says = fmt.Sprintf("rejected by %s: a veto until a later Review names it in spec.supersedes", spec.Reviewer)
	case v1alpha1.DecisionWithdrawn:
		s.says = "withdrawn"
	default:
		s.says = fmt.Sprintf("%s by %s counts for %s", spec.Decision, spec.Reviewer, spec.Digest)
	}
	return nil
}

// where tells what a Review is for beside its role.
func (s *reviewScope) where() string {
	switch spec := s.review.Spec; {
	case spec.Rollout != nil:
		return fmt.Sprintf(" for step %d of attempt %d of Rollout %s", spec.Rollout.Step, spec.Rollout.Attempt, spec.Rollout.Name)
	case spec.HostApp != "":
		return " for host app " + spec.HostApp
	default:
		return ""
	}
}

// concludeStep asks the gate what the approval of a step is worth there. Whether
// the Rollout has such a step is its own affair.
func (s *reviewScope) concludeStep(step *v1alpha1.RolloutStepReference) error {
	q := gate.StepQuestion{Question: s.judged.question, Rollout: step.Name, Attempt: step.Attempt, Step: step.Step, Role: s.review.Spec.Role}
	others := func(r gate.Review) bool {
		return r.Rollout != "" && r.Name != s.review.Name && r.Decision == v1alpha1.DecisionApproved
	}
	verdict := gate.JudgeStep(q, slices.DeleteFunc(gateReviews(s.version, s.judged.reviews), others), s.now)
	if !verdict.Approved {
		return task.Stall(verdict.Reason, fmt.Errorf("%s", verdict.Message))
	}
	s.says = verdict.Message
	return nil
}

// SetupWithManager registers the reconciler and what wakes it.
func (r *ReviewReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("review").
		For(&v1alpha1.Review{}).
		Watches(&v1alpha1.MiniProgramVersion{}, handler.EnqueueRequestsFromMapFunc(r.reviewsOfVersion)).
		Watches(&v1alpha1.MiniProgram{}, handler.EnqueueRequestsFromMapFunc(r.unrecorded), keepsOthers).
		Complete(r)
}

func (r *ReviewReconciler) reviewsOfVersion(ctx context.Context, o client.Object) []reconcile.Request {
	var list v1alpha1.ReviewList
	if err := r.Client.List(ctx, &list, client.InNamespace(o.GetNamespace()), client.MatchingFields{indexVersionRef: o.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing reviews to wake")
		return nil
	}
	out := make([]reconcile.Request, 0, len(list.Items))
	for _, review := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: review.Namespace, Name: review.Name}})
	}
	return out
}
