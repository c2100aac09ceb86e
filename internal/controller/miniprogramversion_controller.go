package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	crsource "sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/inspection"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source/cosign"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// +kubebuilder:rbac:groups=miniprogram.dev,resources=miniprograms;miniprogramversions;reviews;rollouts;reviewpolicies;hostapps,verbs=get;list;watch
// +kubebuilder:rbac:groups=miniprogram.dev,resources=miniprograms/status;miniprogramversions/status;reviews/status;rollouts/status;reviewpolicies/status;hostapps/status,verbs=update;patch
// +kubebuilder:rbac:groups=miniprogram.dev,resources=reviews,verbs=create;delete
// The finalizer of a version is all that is patched.
// +kubebuilder:rbac:groups=miniprogram.dev,resources=miniprogramversions,verbs=patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// artifactStore is the registry, as the version reconciler uses it.
type artifactStore interface {
	Publish(ctx context.Context, a registry.Artifact) (registry.Published, error)
	Resolve(ctx context.Context, repository, reference string) (*registry.Existing, error)
	Delete(ctx context.Context, repository, manifestDigest string) error
	Exists(ctx context.Context, repository, manifestDigest string) error
	FullName(repository string) string
	inspection.Store
}

// MiniProgramVersionReconciler turns a version's source into an artifact, has it
// judged by the policies, asks for reviews, and tells what is missing.
type MiniProgramVersionReconciler struct {
	Shared
	HTTP *source.HTTP
	OCI  *source.OCI
	// Signatures of sources. Nil: those of identities cannot be checked.
	Signatures *cosign.Verifier
	Registry   artifactStore
	Limits     bundle.Limits
	// TempDir for bundles while they are checked.
	TempDir string
	// Packer is written into the artifact's config.
	Packer string
	// Concurrency is how many versions are worked on at a time.
	Concurrency int
	// DeletionGrace is how long an artifact stays after nothing takes it up any more.
	// Zero: defaultDeletionGrace.
	DeletionGrace time.Duration

	codes codeClaims
	tags  tagClaims
}

// versionScope is what one pass knows.
type versionScope struct {
	before   *v1alpha1.MiniProgramVersion // as it is in the API server
	version  *v1alpha1.MiniProgramVersion // as it will be
	program  *v1alpha1.MiniProgram
	now      time.Time
	checked  error // what is wrong with the bundle
	policies []policy.Result
	// inspected is what this pass has found out about the bundle, when it has packaged it.
	inspected *inspection.Inspection
	// checkedPolicies tells that policies holds what all of them say, or, where it is nil, that what is
	// recorded of them holds.
	checkedPolicies bool
	judgment        *judgment
	// elsewhere tells that the artifact is not in the registry of now; empty: it is.
	elsewhere string
	// again is when to look at the artifact's deletion again; nil: a watch tells.
	again *time.Time
}

// Reconcile brings one version as far as it can come now.
func (r *MiniProgramVersionReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if err := r.Enforcement.Await(ctx); err != nil {
		return ctrl.Result{}, err
	}
	before := &v1alpha1.MiniProgramVersion{}
	if err := r.Client.Get(ctx, req.NamespacedName, before); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return ctrl.Result{}, r.forgetPreviews(ctx, req.NamespacedName)
		}
		return ctrl.Result{}, err
	}
	s := &versionScope{before: before, version: before.DeepCopy(), now: r.Now().UTC()}
	if !before.DeletionTimestamp.IsZero() {
		return r.finish(ctx, s)
	}
	// The artifact comes before policies and reviews: they speak of its digest.
	err := task.Run(ctx, s, []task.Task[versionScope]{
		{Name: "end previews", Run: r.endPreviews},
		{Name: "find program", Run: r.findProgram},
		{Name: "resolve source", Run: r.resolveSource},
		{Name: "hold on deletion", Run: r.holdArtifact},
		{Name: "package", Run: r.packageBundle},
		{Name: "follow the registry", Run: r.followRegistry},
		{Name: "keep the history short", Run: r.retire},
		{Name: "judge reviews", Run: r.judge},
		{Name: "check policies", Run: r.checkPolicies},
		{Name: "ask for reviews", Run: r.askForReviews},
		{Name: "hand out previews", Run: r.handOutPreviews},
		{Name: "conclude", Run: r.conclude},
	})
	if overtaken(err) {
		return tryAgain, nil
	}
	reportVersion(s, err, r.now())
	if perr := r.updateStatus(ctx, before, s.version, before.Status, s.version.Status); perr != nil {
		return unwritten(perr) // outranks err: running again finds both out again
	}
	r.tellVersion(before, s.version)
	return s.recheck(err)
}

// recheck is the result of the pass. It looks again when an approval expires or an artifact's time is over.
func (s *versionScope) recheck(err error) (ctrl.Result, error) {
	result, err := task.Result(err)
	result = notAfter(result, s.again, s.now)
	if s.judgment == nil {
		return result, err
	}
	return notAfter(result, s.judgment.verdict.Expires, s.now), err
}

// SetupWithManager registers the reconciler and what wakes it.
func (r *MiniProgramVersionReconciler) SetupWithManager(mgr ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(r.allVersions)
	return ctrl.NewControllerManagedBy(mgr).
		Named("miniprogramversion").
		For(&v1alpha1.MiniProgramVersion{}).
		Watches(&v1alpha1.Review{}, handler.EnqueueRequestsFromMapFunc(versionOfReview), specChanged).
		Watches(&v1alpha1.Review{}, handler.EnqueueRequestsFromMapFunc(r.versionsOfVeto), becameVeto).
		Watches(&v1alpha1.MiniProgram{}, handler.EnqueueRequestsFromMapFunc(r.versionsOfProgram), judgedAnew).
		Watches(&v1alpha1.MiniProgramVersion{}, handler.EnqueueRequestsFromMapFunc(r.concerned), becameUsable).
		Watches(&v1alpha1.Rollout{}, handler.EnqueueRequestsFromMapFunc(r.concerned), keepsAnew).
		Watches(&v1alpha1.ReviewPolicy{}, all, specChanged).
		Watches(&v1alpha1.HostApp{}, all, specChanged).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.versionsOfNamespace), labelsChanged).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(versionOfPreview)).
		WatchesRawSource(crsource.Channel(r.Enforcement.changes(), all)).
		WithOptions(controller.Options{MaxConcurrentReconciles: max(r.Concurrency, 1)}).
		Complete(r)
}

func versionOfReview(_ context.Context, o client.Object) []reconcile.Request {
	review, ok := o.(*v1alpha1.Review)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: review.Spec.VersionRef.Name}}}
}

// versionsOfVeto wakes all versions of the program: others can have the same bytes.
func (r *MiniProgramVersionReconciler) versionsOfVeto(ctx context.Context, o client.Object) []reconcile.Request {
	review, ok := o.(*v1alpha1.Review)
	if !ok || review.Spec.Decision != v1alpha1.DecisionRejected {
		return nil
	}
	return r.requests(ctx, client.InNamespace(o.GetNamespace()), client.MatchingFields{indexProgram: review.Spec.MiniProgramRef.Name})
}

func (r *MiniProgramVersionReconciler) versionsOfProgram(ctx context.Context, o client.Object) []reconcile.Request {
	return r.requests(ctx, client.InNamespace(o.GetNamespace()), client.MatchingFields{indexProgram: o.GetName()})
}

func (r *MiniProgramVersionReconciler) versionsOfNamespace(ctx context.Context, o client.Object) []reconcile.Request {
	return r.requests(ctx, client.InNamespace(o.GetName()))
}

func (r *MiniProgramVersionReconciler) allVersions(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requests(ctx)
}

func (s *Shared) requests(ctx context.Context, opts ...client.ListOption) []reconcile.Request {
	var list v1alpha1.MiniProgramVersionList
	if err := s.Client.List(ctx, &list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing versions to wake")
		return nil
	}
	out := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}
