package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// An artifact is deleted in two steps. First it is recorded that nothing may take
// it up any more; a Rollout that decided on what it had read before is seen in the
// second step, a grace later, which asks the API server and not the cache.
const (
	defaultDeletionGrace = 10 * time.Second
	// deletionPatience is how long a version that is being deleted waits for the
	// registry. One that is gone for good must not hold a namespace for ever.
	deletionPatience = time.Hour
)

// Reasons of condition ArtifactDeleted, beside those of the registry.
const (
	reasonArtifactDeleted = "ArtifactDeleted"
	reasonRetired         = "Retired"
	reasonArtifactInUse   = "ArtifactInUse"
)

// retired tells that the artifact is deleted, or about to be.
func retired(v *v1alpha1.MiniProgramVersion) bool {
	a := v.Status.Artifact
	return a != nil && (a.RetirementTime != nil || a.DeletionTime != nil)
}

func repositoryOf(v *v1alpha1.MiniProgramVersion) string {
	return v.Namespace + "/" + v.Spec.MiniProgramRef.Name
}

func (r *MiniProgramVersionReconciler) grace() time.Duration {
	return cmp.Or(r.DeletionGrace, defaultDeletionGrace)
}

// holdArtifact keeps the version's object for as long as its artifact is to go
// with it. It comes before the first push, and goes as soon as the program says
// Retain.
func (r *MiniProgramVersionReconciler) holdArtifact(ctx context.Context, s *versionScope) error {
	a := s.version.Status.Artifact
	wanted := s.program.Spec.ArtifactDeletion == v1alpha1.ArtifactDelete && (a == nil || a.DeletionTime == nil)
	if wanted == controllerutil.ContainsFinalizer(s.version, v1alpha1.ArtifactFinalizer) {
		return nil
	}
	change := controllerutil.RemoveFinalizer
	if wanted {
		change = controllerutil.AddFinalizer
	}
	after := s.before.DeepCopy()
	if err := r.patchFinalizer(ctx, s.before, after, v1alpha1.ArtifactFinalizer, change); err != nil {
		return err
	}
	s.before.ObjectMeta, s.version.ObjectMeta = after.ObjectMeta, *after.ObjectMeta.DeepCopy()
	return nil
}

// finish deletes the artifact of a version that is being deleted, and lets the
// object go.
func (r *MiniProgramVersionReconciler) finish(ctx context.Context, s *versionScope) (ctrl.Result, error) {
	r.codes.forget(client.ObjectKeyFromObject(s.version))
	if err := r.forgetPreviews(ctx, client.ObjectKeyFromObject(s.version)); err != nil {
		return ctrl.Result{}, err
	}
	if !controllerutil.ContainsFinalizer(s.version, v1alpha1.ArtifactFinalizer) {
		return ctrl.Result{}, nil
	}
	err := r.deleteArtifact(ctx, s)
	if stop, ok := errors.AsType[*task.WaitError](err); ok {
		s.tellDeletion(r.now(), metav1.ConditionFalse, stop.Reason, stop.Message)
		s.version.Status.Summary = clip(stop.Message, maxSummary)
		if perr := r.updateStatus(ctx, s.before, s.version, s.before.Status, s.version.Status); perr != nil {
			return unwritten(perr)
		}
		return task.Result(err)
	}
	if err == nil {
		err = r.patchFinalizer(ctx, s.before, s.version, v1alpha1.ArtifactFinalizer, controllerutil.RemoveFinalizer)
	}
	if overtaken(err) {
		return tryAgain, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

// deleteArtifact ends in nil when the object may go: then the artifact is deleted,
// or is kept for a reason that an event tells.
func (r *MiniProgramVersionReconciler) deleteArtifact(ctx context.Context, s *versionScope) error {
	v, a := s.version, s.version.Status.Artifact
	if a == nil || a.DeletionTime != nil {
		return nil
	}
	keeps, err := r.retains(ctx, v)
	if err != nil || keeps {
		return err
	}
	left := v.DeletionTimestamp.Add(r.grace()).Sub(s.now)
	if left > 0 {
		return task.Wait(reasonRetired, left, "the artifact is about to be deleted in the registry")
	}
	// Before anybody is asked: another object of the version could adopt the artifact after that.
	done, err := r.claimTag(v)
	if err != nil {
		return err
	}
	defer done()
	in, err := r.uses(ctx, v, nil)
	switch {
	case err != nil:
		return err
	case in.shared:
		return nil // it goes with the other object
	case len(in.rollouts) > 0:
		return task.Wait(reasonArtifactInUse, waited(*v.DeletionTimestamp, s.now), "Rollout %s hands the artifact out or can go back to it, and the version is deleted when that is over; to delete it now and keep the artifact, %s",
			strings.Join(in.rollouts, ", "), wayOut(v))
	case in.left:
		r.artifactKept(v, "host apps still get it from a Rollout that is gone")
		return nil
	}
	return r.deleteNow(ctx, s)
}

func (r *MiniProgramVersionReconciler) deleteNow(ctx context.Context, s *versionScope) error {
	v, a := s.version, s.version.Status.Artifact
	err := r.Registry.Delete(ctx, repositoryOf(v), a.Digest)
	known, ok := errors.AsType[*registry.Error](err)
	if !ok {
		if err == nil {
			r.event(v, corev1.EventTypeNormal, reasonArtifactDeleted, "Delete", "%s@%s is deleted in the registry", a.Repository, a.Digest)
		}
		return err
	}
	again, end := patience(*v.DeletionTimestamp, s.now, known.RetryAfter)
	if _, keeps := errors.AsType[*registry.KeepsError](err); keeps || again <= 0 {
		r.artifactKept(v, known.Message)
		return nil
	}
	return task.Wait(known.Reason, again, "%s; at %s the version is deleted all the same, and its artifact stays; to delete it now, %s",
		known.Message, end.UTC().Format(time.RFC3339), wayOut(v))
}

// patience tells how long to wait before the registry is asked again, and when
// that has an end; zero: it is over.
func patience(since metav1.Time, now time.Time, asked time.Duration) (again time.Duration, end time.Time) {
	end = since.Add(deletionPatience)
	return max(min(max(waited(since, now), asked), end.Sub(now)), 0), end
}

// wayOut is what ends the waiting for an artifact's deletion at once.
func wayOut(v *v1alpha1.MiniProgramVersion) string {
	return fmt.Sprintf("set spec.artifactDeletion of MiniProgram %s to Retain, or remove the finalizer %s", v.Spec.MiniProgramRef.Name, v1alpha1.ArtifactFinalizer)
}

func (r *MiniProgramVersionReconciler) artifactKept(v *v1alpha1.MiniProgramVersion, why string) {
	r.event(v, corev1.EventTypeWarning, "ArtifactKept", "Delete", "%s@%s stays in the registry: %s", v.Status.Artifact.Repository, v.Status.Artifact.Digest, why)
}

// retains tells that the program wants artifacts kept. Of one that is gone, the
// finalizer tells that it did not.
func (r *MiniProgramVersionReconciler) retains(ctx context.Context, v *v1alpha1.MiniProgramVersion) (bool, error) {
	var program v1alpha1.MiniProgram
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: v.Namespace, Name: v.Spec.MiniProgramRef.Name}, &program)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return program.Spec.ArtifactDeletion != v1alpha1.ArtifactDelete, err
}

// uses is who needs an artifact.
type uses struct {
	// rollouts that hand it out, are to hand it out, or could go back to it.
	rollouts []string
	// shared tells that another object of the same version has it too.
	shared bool
	// left tells that host apps get it from what a Rollout left that is gone.
	left bool
}

func (u uses) any() bool { return u.shared || u.left || len(u.rollouts) > 0 }

// uses looks for whoever needs the version's artifact, but for the versions that
// are dispensable like it. Rollouts are read past the cache; other versions not, for
// they are published by this process, which has read them there.
func (r *MiniProgramVersionReconciler) uses(ctx context.Context, v *v1alpha1.MiniProgramVersion, dispensable []string) (uses, error) {
	var u uses
	program, names, digest := v.Spec.MiniProgramRef.Name, []string{v.Name}, v.Status.Artifact.Digest
	var versions v1alpha1.MiniProgramVersionList
	if err := r.Client.List(ctx, &versions, append(beside(v, indexProgram, program), client.UnsafeDisableDeepCopy)...); err != nil {
		return u, err
	}
	for i := range versions.Items {
		// Two objects of one version have one tag, and so one artifact.
		o := &versions.Items[i]
		if o.Name == v.Name || o.Spec.Version != v.Spec.Version || !o.DeletionTimestamp.IsZero() {
			continue
		}
		names = append(names, o.Name)
		u.shared = u.shared || !slices.Contains(dispensable, o.Name)
	}
	var rollouts v1alpha1.RolloutList
	if err := r.Live.List(ctx, &rollouts, client.InNamespace(v.Namespace)); err != nil {
		return u, err
	}
	there := map[string]bool{}
	for i := range rollouts.Items {
		ro := &rollouts.Items[i]
		there[ro.Name] = ro.DeletionTimestamp.IsZero()
		if programOf(ro) == program && needs(ro, names, digest) {
			u.rollouts = append(u.rollouts, ro.Name)
		}
	}
	entries, err := r.Ledger.Keepers(ctx, v.Status.Bundle.AppID, digest)
	if err != nil {
		return u, err
	}
	for _, e := range entries {
		if e.Namespace == v.Namespace && there[e.Rollout] {
			u.rollouts = append(u.rollouts, e.Rollout) // the ledger follows it a moment later
			continue
		}
		u.left = true
	}
	slices.Sort(u.rollouts)
	u.rollouts = slices.Compact(u.rollouts)
	return u, nil
}

// needs tells that a Rollout names one of the versions, or has the artifact from
// an object of another name that is gone.
func needs(ro *v1alpha1.Rollout, names []string, digest string) bool {
	has := func(v *v1alpha1.Variant) bool { return v != nil && v.Digest == digest }
	return slices.ContainsFunc(servedBy(ro), func(name string) bool { return slices.Contains(names, name) }) ||
		has(ro.Status.Stable) || has(ro.Status.Target) ||
		slices.ContainsFunc(ro.Status.Rollbacks, func(v v1alpha1.Variant) bool { return v.Digest == digest })
}

// claimTag keeps others in this process from the version's tag until done is
// called: one object of a version must not adopt what another is deleting.
func (r *MiniProgramVersionReconciler) claimTag(v *v1alpha1.MiniProgramVersion) (done func(), err error) {
	tag := repositoryOf(v) + ":" + registry.Tag(v.Spec.Version)
	if !r.tags.claim(tag) {
		return nil, task.Wait("ArtifactBusy", codeRecheck, "the artifact of version %s is being published or deleted by another MiniProgramVersion", v.Spec.Version)
	}
	return func() { r.tags.forget(tag) }, nil
}

// tagClaims are the tags that are being worked on. The zero value has none.
type tagClaims struct {
	mu   sync.Mutex
	held map[string]bool
}

func (c *tagClaims) claim(tag string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[tag] {
		return false
	}
	if c.held == nil {
		c.held = map[string]bool{}
	}
	c.held[tag] = true
	return true
}

func (c *tagClaims) forget(tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held, tag)
}
