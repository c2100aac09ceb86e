package controller

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	judged *judgment
	says   string
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
	err := task.Run(ctx, s, []task.Task[reviewScope]{
		{Name: "judge", Run: r.judgeReview},
		{Name: "conclude", Run: concludeReview},
	})
	st := &s.review.Status
	st.ObservedGeneration = s.review.Generation
	st.Conditions = task.Conditions(st.Conditions, s.review.Generation, err, r.now(), s.says)
	if perr := r.updateStatus(ctx, before, s.review, before.Status, s.review.Status); perr != nil {
		return unwritten(perr)
	}
	return task.Result(err)
}

func (r *ReviewReconciler) judgeReview(ctx context.Context, s *reviewScope) error {
	spec := s.review.Spec
	var v v1alpha1.MiniProgramVersion
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.review.Namespace, Name: spec.VersionRef.Name}, &v)
	if apierrors.IsNotFound(err) {
		return task.Stall("VersionMissing", fmt.Errorf("spec.versionRef names MiniProgramVersion %s, which does not exist: create it, or delete this Review", spec.VersionRef.Name))
	}
	if err != nil {
		return err
	}
	if v.Spec.MiniProgramRef.Name != spec.MiniProgramRef.Name {
		return task.Stall("OtherProgram", fmt.Errorf("spec.miniProgramRef names %s, but MiniProgramVersion %s belongs to %s: create the Review for that one", spec.MiniProgramRef.Name, v.Name, v.Spec.MiniProgramRef.Name))
	}
	if v.Status.Artifact == nil {
		return task.Wait("NoArtifact", 0, "MiniProgramVersion %s has no artifact yet", v.Name)
	}
	var program v1alpha1.MiniProgram
	err = r.Client.Get(ctx, client.ObjectKey{Namespace: v.Namespace, Name: v.Spec.MiniProgramRef.Name}, &program)
	if apierrors.IsNotFound(err) { // the version's status changes when it comes, and wakes us
		return task.Wait("MiniProgramMissing", 0, "MiniProgram %s does not exist: create it", v.Spec.MiniProgramRef.Name)
	}
	if err != nil {
		return err
	}
	s.judged, err = r.judge(ctx, &v, &program, program.Spec.HostApps, s.now)
	return err
}

// concludeReview finds the review among those that the gate counted or ignored.
func concludeReview(_ context.Context, s *reviewScope) error {
	spec := s.review.Spec
	if spec.Decision == v1alpha1.DecisionPending {
		where := ""
		if spec.HostApp != "" {
			where = " for host app " + spec.HostApp
		}
		return task.Wait("Pending", 0, "waits for a reviewer of role %s%s (needs approve on miniprograms/review-%s)", spec.Role, where, spec.Role)
	}
	for _, i := range s.judged.verdict.Ignored {
		if i.Review == s.review.Name && i.Reason != gate.ReasonLiftsNothing {
			return task.Stall(i.Reason, fmt.Errorf("%s", i.Message))
		}
	}
	s.says = fmt.Sprintf("%s by %s counts for %s", spec.Decision, spec.Reviewer, spec.Digest)
	if spec.Decision == v1alpha1.DecisionRejected {
		s.says = fmt.Sprintf("rejected by %s: a veto until a later Review names it in spec.supersedes", spec.Reviewer)
	}
	return nil
}

// SetupWithManager registers the reconciler and what wakes it.
func (r *ReviewReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("review").
		For(&v1alpha1.Review{}).
		Watches(&v1alpha1.MiniProgramVersion{}, handler.EnqueueRequestsFromMapFunc(r.reviewsOfVersion)).
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

// rejectionOf is the veto that a Review holds.
func rejectionOf(review *v1alpha1.Review, at metav1.Time) v1alpha1.Rejection {
	return v1alpha1.Rejection{
		Digest: review.Spec.Digest, Role: review.Spec.Role, HostApp: review.Spec.HostApp,
		Reviewer: review.Spec.Reviewer, Review: review.Name, Time: at,
	}
}
