package controller

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
)

// reasonArtifactElsewhere: the manager publishes to another place than the artifact is in.
const reasonArtifactElsewhere = "ArtifactElsewhere"

// followRegistry takes over an artifact that is recorded at another place than the one
// that the manager publishes to now, as soon as this one has it. The digest stays, and
// with it whatever was decided. Whatever the registry says, the version stays as ready as
// it is: what is served is served by digest.
func (r *MiniProgramVersionReconciler) followRegistry(ctx context.Context, s *versionScope) error {
	a := s.version.Status.Artifact
	if a == nil || a.DeletionTime != nil {
		return nil
	}
	here := r.Registry.FullName(repositoryOf(s.version))
	if a.Repository == here {
		return nil
	}
	err := r.Registry.Exists(ctx, repositoryOf(s.version), a.Digest)
	if err == nil {
		r.event(s.version, corev1.EventTypeNormal, "ArtifactMoved", "Publish", "%s is at %s now, and was at %s", a.Digest, here, a.Repository)
		a.Repository = here
		return nil
	}
	known, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return err
	}
	s.elsewhere = fmt.Sprintf("the artifact is at %s, and the manager publishes to %s now, which does not have it: copy it there (kubectl miniprogram registry copy); %s", a.Repository, here, known.Message)
	since := metav1.NewTime(s.now)
	if c := meta.FindStatusCondition(s.version.Status.Conditions, v1alpha1.ConditionPublished); c != nil && c.Reason == reasonArtifactElsewhere {
		since = c.LastTransitionTime
	}
	s.lookAgainBy(s.now.Add(max(known.RetryAfter, waited(since, s.now))))
	return nil
}
