package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

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
	return s.recheck(result), err
}

// recheck looks again when time alone changes what a decision is worth: its own
// end, or that of one that counts in its place.
func (s *reviewScope) recheck(result ctrl.Result) ctrl.Result {
	if s.judged == nil || s.review.Spec.Decision == v1alpha1.DecisionPending {
		return result
	}
	if end := s.review.Spec.ExpirationTime; end != nil && end.After(s.now) {
		result = notAfter(result, &end.Time, s.now)
	}
	return notAfter(result, s.judged.verdict.Expires, s.now)
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
	vetoes := s.judged.verdict.Vetoes
	if i := slices.IndexFunc(vetoes, func(x gate.Rejection) bool { return x.Review == spec.Supersedes }); i >= 0 && spec.Decision == v1alpha1.DecisionPending {
		return task.Wait("Pending", 0, "waits for %s, or somebody with verb overrule on the mini program, to lift the rejection in review %s", vetoes[i].Reviewer, spec.Supersedes)
	}
	if spec.Decision == v1alpha1.DecisionPending {
		return task.Wait("Pending", 0, "waits for a reviewer of role %s%s (needs %s)", spec.Role, s.where(), gate.RightsFor(spec.Role, spec.HostApp))
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
	case v1alpha1.DecisionRejected: // holds while the gate is shut too
		s.says = fmt.Sprintf("rejected by %s: %s (a veto until a later Review names it in spec.supersedes)", spec.Reviewer, spec.Comment)
	case v1alpha1.DecisionWithdrawn:
		s.says = "withdrawn"
	default:
		says := fmt.Sprintf("%s by %s counts", spec.Decision, spec.Reviewer)
		if i := slices.IndexFunc(vetoes, func(x gate.Rejection) bool { return x.HostApp == "" || x.HostApp == spec.HostApp }); i >= 0 {
			says += fmt.Sprintf(", and the rejection by %s in review %s holds all the same", vetoes[i].Reviewer, vetoes[i].Review)
		}
		return s.counts(says + s.undeclared())
	}
	return nil
}

// undeclared tells of permissions that an approval agrees to and the version does
// not declare: most likely a name is misspelt, and what was meant is withheld.
func (s *reviewScope) undeclared() string {
	if s.version.Status.Declaration == nil {
		return ""
	}
	var names []string
	for _, name := range s.review.Spec.ApprovedPermissions {
		declares := func(p v1alpha1.Permission) bool { return p.Name == name }
		if name != gate.NoPermission && !slices.ContainsFunc(s.version.Status.Declaration.Permissions, declares) {
			names = append(names, fmt.Sprintf("%q", name))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return clip(fmt.Sprintf(", and agrees in spec.approvedPermissions to %s, which the version does not declare: if a name is misspelt, approve anew in another Review", strings.Join(names, ", ")), maxSummary)
}

// counts says what an approval is worth, unless the gate is shut.
func (s *reviewScope) counts(says string) error {
	if v := s.judged.verdict; v.Reason == reasonNotEnforced {
		return task.Wait(v.Reason, 0, "an approval does not count while the gate is shut: %s", v.Message)
	}
	s.says = says
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
	return s.counts(verdict.Message)
}

// SetupWithManager registers the reconciler and what wakes it.
func (r *ReviewReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("review").
		For(&v1alpha1.Review{}).
		Watches(&v1alpha1.MiniProgramVersion{}, handler.EnqueueRequestsFromMapFunc(r.reviewsOfVersion)).
		Watches(&v1alpha1.Review{}, handler.EnqueueRequestsFromMapFunc(r.concerned), specChanged).
		Watches(&v1alpha1.MiniProgram{}, handler.EnqueueRequestsFromMapFunc(r.unrecorded), keepsOthers).
		WatchesRawSource(source.Channel(r.Enforcement.changes(), handler.EnqueueRequestsFromMapFunc(r.approvals))).
		Complete(r)
}

// approvals wakes what counts only while admission is shown to guard it. Their
// versions need not have anything else to say when that changes.
func (r *ReviewReconciler) approvals(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.reviewsThat(ctx, func(o *v1alpha1.Review) bool { return o.Spec.Decision == v1alpha1.DecisionApproved })
}

// reviewsThat are those of a selection for which something holds.
func (r *ReviewReconciler) reviewsThat(ctx context.Context, holds func(*v1alpha1.Review) bool, opts ...client.ListOption) []reconcile.Request {
	var list v1alpha1.ReviewList
	if err := r.Client.List(ctx, &list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing reviews to wake")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if review := &list.Items[i]; holds(review) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(review)})
		}
	}
	return out
}

func (r *ReviewReconciler) reviewsOfVersion(ctx context.Context, o client.Object) []reconcile.Request {
	return r.reviewsThat(ctx, func(*v1alpha1.Review) bool { return true }, beside(o, indexVersionRef, o.GetName())...)
}

// concerned wakes those Reviews of a version that may count, or not, because of
// another: what the version's status says may stay the same.
func (r *ReviewReconciler) concerned(ctx context.Context, o client.Object) []reconcile.Request {
	changed, ok := o.(*v1alpha1.Review)
	if !ok || changed.Spec.Decision == v1alpha1.DecisionPending {
		return nil
	}
	return r.reviewsThat(ctx, func(other *v1alpha1.Review) bool { return concern(changed, other) }, beside(o, indexVersionRef, changed.Spec.VersionRef.Name)...)
}

// concern tells that what one Review is worth may depend on another: a person
// counts once for a role and host app, and an approval may lift a rejection.
func concern(a, b *v1alpha1.Review) bool {
	x, y := a.Spec, b.Spec
	twice := x.Decision == v1alpha1.DecisionApproved && y.Decision == x.Decision &&
		x.Reviewer == y.Reviewer && x.Role == y.Role && x.HostApp == y.HostApp
	return a.Name != b.Name && (twice || x.Supersedes == b.Name || y.Supersedes == a.Name)
}
