package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
)

// defaultHistory is how many versions keep their artifacts where nobody says.
const defaultHistory = 10

// retire deletes the artifact of a version that is older than those that the
// program keeps. Whatever the registry says, the version stays as ready as it is:
// nobody waits for this.
func (r *MiniProgramVersionReconciler) retire(ctx context.Context, s *versionScope) error {
	a := s.version.Status.Artifact
	if a == nil || a.DeletionTime != nil {
		return nil
	}
	// Before anybody is asked: another object of the version could adopt the artifact after that.
	done, err := r.claimTag(s.version)
	if err != nil {
		s.lookAgain(s.now.Add(codeRecheck))
		return nil
	}
	defer done()
	due, err := r.due(ctx, s)
	if err != nil {
		return err
	}
	if !due {
		a.RetirementTime = nil
		meta.RemoveStatusCondition(&s.version.Status.Conditions, v1alpha1.ConditionArtifactDeleted)
		return nil
	}
	if a.RetirementTime == nil {
		now := r.now()
		a.RetirementTime = &now
		s.tellDeletion(now, metav1.ConditionFalse, reasonRetired, fmt.Sprintf("older than the %d versions that MiniProgram %s keeps (spec.history.versions): its artifact is about to be deleted", kept(s.program), s.program.Name))
	}
	if s.lookAgain(a.RetirementTime.Add(r.grace())) {
		return nil
	}
	return r.deleteRetired(ctx, s)
}

// lookAgain has the next pass made at a time, unless that is over.
func (s *versionScope) lookAgain(at time.Time) bool {
	if !s.now.Before(at) {
		return false
	}
	s.lookAgainBy(at)
	return true
}

// lookAgainBy has the next pass made at a time at the latest.
func (s *versionScope) lookAgainBy(at time.Time) {
	if s.again == nil || at.Before(*s.again) {
		s.again = &at
	}
}

// due tells that the artifact is not to be kept and that nobody could miss it.
func (r *MiniProgramVersionReconciler) due(ctx context.Context, s *versionScope) (bool, error) {
	if s.program.Spec.ArtifactDeletion != v1alpha1.ArtifactDelete {
		return false, nil
	}
	var list v1alpha1.MiniProgramVersionList
	if err := r.Client.List(ctx, &list, append(beside(s.version, indexProgram, s.program.Name), client.UnsafeDisableDeepCopy)...); err != nil {
		return false, err
	}
	names := beyond(list.Items, kept(s.program))
	if !slices.Contains(names, s.version.Name) {
		return false, nil
	}
	in, err := r.uses(ctx, s.version, names)
	return err == nil && !in.any(), err
}

func (r *MiniProgramVersionReconciler) deleteRetired(ctx context.Context, s *versionScope) error {
	a := s.version.Status.Artifact
	if c := meta.FindStatusCondition(s.version.Status.Conditions, v1alpha1.ConditionArtifactDeleted); c != nil && c.Reason == registry.RegistryUnsupported {
		return nil // it would answer the same again
	}
	err := r.Registry.Delete(ctx, repositoryOf(s.version), a.Digest)
	if known, ok := errors.AsType[*registry.Error](err); ok {
		s.tellDeletion(r.now(), metav1.ConditionFalse, known.Reason, known.Message)
		if _, keeps := errors.AsType[*registry.KeepsError](err); !keeps {
			s.lookAgain(s.now.Add(max(known.RetryAfter, waited(*a.RetirementTime, s.now))))
		}
		return nil
	}
	if err != nil {
		return err
	}
	now := r.now()
	a.DeletionTime = &now
	s.tellDeletion(now, metav1.ConditionTrue, reasonArtifactDeleted, deletedMessage(s.version, s.program))
	r.event(s.version, corev1.EventTypeNormal, reasonArtifactDeleted, "Retire", "%s@%s is deleted in the registry: MiniProgram %s keeps %d versions", a.Repository, a.Digest, s.program.Name, kept(s.program))
	return nil
}

func deletedMessage(v *v1alpha1.MiniProgramVersion, p *v1alpha1.MiniProgram) string {
	return fmt.Sprintf("the artifact is deleted in the registry, as older than the %d versions that MiniProgram %s keeps (spec.history.versions): to release it again, delete the version and create it anew", kept(p), v.Spec.MiniProgramRef.Name)
}

func (s *versionScope) tellDeletion(now metav1.Time, status metav1.ConditionStatus, reason, message string) {
	setCondition(&s.version.Status.Conditions, s.version.Generation, now, v1alpha1.ConditionArtifactDeleted, status, reason, message)
}

// waited is how long to wait for what has been tried since.
func waited(since metav1.Time, now time.Time) time.Duration {
	return min(max(now.Sub(since.Time), leastRetry), mostRetry)
}

func kept(p *v1alpha1.MiniProgram) int {
	if p.Spec.History == nil {
		return defaultHistory
	}
	return int(cmp.Or(p.Spec.History.Versions, defaultHistory))
}

// beyond names the versions whose artifacts are there and are not among the newest,
// by when they were pushed, and by name where that is the same. Versions that are
// being deleted are neither.
func beyond(versions []v1alpha1.MiniProgramVersion, keep int) []string {
	var there []*v1alpha1.MiniProgramVersion
	for i := range versions {
		v := &versions[i]
		if a := v.Status.Artifact; a != nil && a.DeletionTime == nil && v.DeletionTimestamp.IsZero() {
			there = append(there, v)
		}
	}
	slices.SortFunc(there, func(a, b *v1alpha1.MiniProgramVersion) int {
		return cmp.Or(pushed(b).Compare(pushed(a)), cmp.Compare(b.Name, a.Name))
	})
	var names []string
	for _, v := range there[min(keep, len(there)):] {
		names = append(names, v.Name)
	}
	return names
}

func pushed(v *v1alpha1.MiniProgramVersion) time.Time {
	if at := v.Status.Artifact.PushTime; at != nil {
		return at.Time
	}
	return time.Time{}
}

// concerned wakes the versions of a program that are being deleted, or are older
// than those that are kept: something that decides on their artifacts has changed.
// And it wakes the one that a Rollout names: policies may have changed since it was
// judged.
func (r *MiniProgramVersionReconciler) concerned(ctx context.Context, o client.Object) []reconcile.Request {
	var list v1alpha1.MiniProgramVersionList
	if err := r.Client.List(ctx, &list, append(beside(o, indexProgram, programOf(o)), client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing versions to wake")
		return nil
	}
	var names []string
	if ro, is := o.(*v1alpha1.Rollout); is {
		names = append(names, ro.Spec.VersionRef.Name)
	}
	for i := range list.Items {
		if v := &list.Items[i]; !v.DeletionTimestamp.IsZero() {
			names = append(names, v.Name)
		}
	}
	var program v1alpha1.MiniProgram
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: o.GetNamespace(), Name: programOf(o)}, &program)
	if err == nil && program.Spec.ArtifactDeletion == v1alpha1.ArtifactDelete {
		names = append(names, beyond(list.Items, kept(&program))...)
	}
	out := make([]reconcile.Request, 0, len(names))
	for _, name := range names {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: o.GetNamespace(), Name: name}})
	}
	return out
}
