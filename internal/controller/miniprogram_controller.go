package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// MiniProgramReconciler claims the app ID, keeps vetoes, and tells what is served.
type MiniProgramReconciler struct{ Shared }

type programScope struct {
	program *v1alpha1.MiniProgram
	// underWay says which versions the program's Rollouts are handing out to a share of users.
	underWay []string
	// notTaken says which of its host apps do not take the program, and who can change that.
	notTaken []string
	now      metav1.Time
}

// Reconcile brings one MiniProgram's status up to date.
func (r *MiniProgramReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if err := r.Enforcement.Await(ctx); err != nil {
		return ctrl.Result{}, err
	}
	before := &v1alpha1.MiniProgram{}
	if err := r.Client.Get(ctx, req.NamespacedName, before); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	s := &programScope{program: before.DeepCopy(), now: r.now()}
	// Vetoes come first: nothing that fails later may lose one.
	err := task.Run(ctx, s, []task.Task[programScope]{
		{Name: "keep rejections", Run: r.keepRejections},
		{Name: "list releases", Run: r.listReleases},
		{Name: "find latest version", Run: r.findLatest},
		{Name: "ask host apps", Run: r.askHostApps},
		{Name: "claim app ID", Run: r.claim},
	})
	if overtaken(err) {
		return tryAgain, nil
	}
	st := &s.program.Status
	st.ObservedGeneration = s.program.Generation
	st.Conditions = task.Conditions(st.Conditions, s.program.Generation, err, s.now, programMessage(s))
	if perr := r.updateStatus(ctx, before, s.program, before.Status, s.program.Status); perr != nil {
		return unwritten(perr)
	}
	return task.Result(err)
}

func programMessage(s *programScope) string {
	message := released(s.program, s.underWay)
	for _, why := range s.notTaken {
		message += "; " + why
	}
	return message + idleTransfer(s.program)
}

func released(p *v1alpha1.MiniProgram, underWay []string) string {
	way := strings.Join(underWay, "; ")
	switch {
	case availability(p) == v1alpha1.AvailabilitySuspended:
		return "suspended: no host app hands it out"
	case len(p.Status.Releases) == 0 && way != "":
		return "nothing is stable yet; " + way
	case len(p.Status.Releases) == 0:
		return "nothing is released yet: create a MiniProgramVersion and a Rollout"
	}
	hosts := map[string]bool{}
	for _, r := range p.Status.Releases {
		hosts[r.HostApp] = true
	}
	message := "released to " + strings.Join(slices.Sorted(maps.Keys(hosts)), ", ")
	if way != "" {
		message += "; " + way
	}
	return message
}

// maxRejections is the bound of status.rejections.
const maxRejections = 200

// keepRejections remembers every veto, so that deleting a Review, or its
// version, lifts none.
func (r *MiniProgramReconciler) keepRejections(ctx context.Context, s *programScope) error {
	var reviews v1alpha1.ReviewList
	if err := r.Client.List(ctx, &reviews, client.InNamespace(s.program.Namespace), client.MatchingFields{indexRejects: s.program.Name}); err != nil {
		return err
	}
	slices.SortFunc(reviews.Items, func(a, b v1alpha1.Review) int { return cmp.Compare(a.Name, b.Name) })
	for i := range reviews.Items {
		review := &reviews.Items[i]
		if !keepsRejection(s.program, review) {
			s.program.Status.Rejections = append(s.program.Status.Rejections, rejectionOf(review, s.now))
		}
	}
	// What is remembered stays: its Review may be gone. One that finds no room holds
	// for as long as its Review exists.
	kept := &s.program.Status.Rejections
	*kept = (*kept)[:min(len(*kept), maxRejections)]
	return nil
}

func (r *MiniProgramReconciler) listReleases(ctx context.Context, s *programScope) error {
	var rollouts v1alpha1.RolloutList
	if err := r.Client.List(ctx, &rollouts, client.InNamespace(s.program.Namespace), client.MatchingFields{indexProgram: s.program.Name}); err != nil {
		return err
	}
	var releases []v1alpha1.Release
	for _, ro := range rollouts.Items {
		st := ro.Status
		if st.Target != nil { // without its share, which would cost a write for each step
			s.underWay = append(s.underWay, fmt.Sprintf("%s is under way (Rollout %s)", st.Target.Version, ro.Name))
		}
		// A document that no host app takes any longer goes on naming those that had it.
		if st.Stable == nil || st.Document == nil || st.Document.Availability == delivery.NotTaken {
			continue
		}
		for _, h := range st.Document.HostApps {
			releases = append(releases, v1alpha1.Release{
				HostApp: h, Channel: ro.Spec.Channel, Version: st.Stable.Version, Digest: st.Stable.Digest, Rollout: ro.Name,
			})
		}
	}
	slices.Sort(s.underWay)
	slices.SortFunc(releases, func(a, b v1alpha1.Release) int {
		return cmp.Or(cmp.Compare(a.HostApp, b.HostApp), cmp.Compare(a.Rollout, b.Rollout))
	})
	s.program.Status.Releases = releases[:min(len(releases), 200)]
	return nil
}

func (r *MiniProgramReconciler) findLatest(ctx context.Context, s *programScope) error {
	var versions v1alpha1.MiniProgramVersionList
	// Read only, and of a program that may have very many: not worth a copy of all.
	if err := r.Client.List(ctx, &versions, client.InNamespace(s.program.Namespace),
		client.MatchingFields{indexProgram: s.program.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	var latest *semver.Version
	for i := range versions.Items {
		v := &versions.Items[i]
		if !meta.IsStatusConditionTrue(v.Status.Conditions, v1alpha1.ConditionReady) {
			continue
		}
		parsed, err := semver.StrictNewVersion(v.Spec.Version)
		if err == nil && (latest == nil || parsed.GreaterThan(latest)) {
			latest = parsed
		}
	}
	s.program.Status.LatestVersion = ""
	if latest != nil {
		s.program.Status.LatestVersion = latest.Original()
	}
	return nil
}

// SetupWithManager registers the reconciler and what wakes it.
func (r *MiniProgramReconciler) SetupWithManager(mgr ctrl.Manager) error {
	program := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: o.GetNamespace(), Name: programOf(o)}}}
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("miniprogram").
		For(&v1alpha1.MiniProgram{}).
		Watches(&v1alpha1.Review{}, program, becameVeto).
		Watches(&v1alpha1.MiniProgramVersion{}, program, becameUsable).
		Watches(&v1alpha1.Rollout{}, program).
		Watches(&v1alpha1.HostApp{}, handler.EnqueueRequestsFromMapFunc(r.programsOfHostApp), specChanged).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.programsOfNamespace), labelsChanged).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.programsOfLedger)).
		WatchesRawSource(source.Channel(r.Enforcement.changes(), handler.EnqueueRequestsFromMapFunc(r.transferring))).
		Complete(r)
}

// programOf names the MiniProgram that an object belongs to; empty: it belongs to none.
func programOf(o client.Object) string {
	switch o := o.(type) {
	case *v1alpha1.Review:
		return o.Spec.MiniProgramRef.Name
	case *v1alpha1.MiniProgramVersion:
		return o.Spec.MiniProgramRef.Name
	case *v1alpha1.Rollout:
		return o.Spec.MiniProgramRef.Name
	}
	return ""
}
