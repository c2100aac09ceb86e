package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/internal/task"
)

// +kubebuilder:rbac:groups=miniprogram.dev,resources=rollouts,verbs=patch
// +kubebuilder:rbac:groups=miniprogram.dev,resources=miniprogramversions/finalizers,verbs=update

// findPublished returns a ConfigMap of the publication namespace, or nil.
func (s *Shared) findPublished(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	return s.readPublished(ctx, s.Client, name)
}

func (s *Shared) readPublished(ctx context.Context, from client.Reader, name string) (*corev1.ConfigMap, error) {
	var cm corev1.ConfigMap
	err := from.Get(ctx, client.ObjectKey{Namespace: s.PublicationNamespace, Name: name}, &cm)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading ConfigMap %s/%s: %w", s.PublicationNamespace, name, err)
	}
	return &cm, nil
}

// applyPublished writes a ConfigMap of the publication namespace, with the labels
// that say what it is, unless it is there already. The write carries the version that was read, or creates: a manager
// that still believes that it leads is refused, for without a version server-side
// apply would let it overwrite what the new leader wrote.
func (s *Shared) applyPublished(ctx context.Context, name string, labels, data map[string]string) error {
	existing, err := s.findPublished(ctx, name)
	if err != nil {
		return err
	}
	_, err = s.applyOver(ctx, existing, name, labels, data)
	return err
}

// applyOver writes over what was read, which is nil where there was nothing, and
// returns what is there then.
func (s *Shared) applyOver(ctx context.Context, existing *corev1.ConfigMap, name string, labels, data map[string]string) (*corev1.ConfigMap, error) {
	want := maps.Clone(labels)
	want[v1alpha1.PublishedLabel] = "true"
	if existing != nil && contains(existing.Data, data) && contains(existing.Labels, want) {
		return existing, nil
	}
	now := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.PublicationNamespace, Name: name, Labels: want}, Data: data}
	var err error
	if existing == nil {
		err = s.Client.Create(ctx, now, client.FieldOwner(FieldManager))
	} else {
		cm := applycorev1.ConfigMap(name, s.PublicationNamespace).WithLabels(want).WithData(data).WithResourceVersion(existing.ResourceVersion)
		err = s.Client.Apply(ctx, cm, client.FieldOwner(FieldManager), client.ForceOwnership)
		now.UID, now.ResourceVersion = existing.UID, *cm.ResourceVersion // of the answer
	}
	if existing == nil && (apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)) {
		return nil, task.Wait("PublicationNamespaceMissing", time.Minute, "namespace %s, which documents are published in, does not exist or is being deleted: apply config/install", s.PublicationNamespace)
	}
	if err != nil {
		return nil, fmt.Errorf("writing ConfigMap %s/%s: %w", s.PublicationNamespace, name, err)
	}
	return now, nil
}

// contains tells whether all of want stands in have.
func contains(have, want map[string]string) bool {
	for k, v := range maps.All(want) {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// keys returns the keys that sign. A first one is made only where nothing was
// published yet. A Secret cannot be watched, so a missing one is looked for again.
func (s *Shared) keys(ctx context.Context) (*signing.Set, error) {
	set, err := s.Keys.Set(ctx, published{s})
	return set, keyMissing(err)
}

// keyMissing makes a wait of what only a restored Secret can end.
func keyMissing(err error) error {
	if errors.Is(err, signing.ErrKeyMissing) {
		return task.Wait("SigningKeyMissing", time.Minute, "%s", err)
	}
	return err
}

// published is what is out, for those who look after the keys.
type published struct{ *Shared }

// documents lists the ConfigMaps of rollouts. They are the cache's own: to be read only.
func (p published) documents(ctx context.Context) ([]corev1.ConfigMap, error) {
	var out corev1.ConfigMapList
	err := p.Client.List(ctx, &out, client.InNamespace(p.PublicationNamespace),
		client.MatchingLabels{delivery.DocumentLabel: delivery.KindRollout}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing published documents: %w", err)
	}
	return out.Items, nil
}

// Published tells whether any document was ever published.
func (p published) Published(ctx context.Context) (bool, error) {
	items, err := p.documents(ctx)
	return len(items) > 0, err
}

// Lacking counts the documents that would not be believed without the keys that retire.
func (p published) Lacking(ctx context.Context, set *signing.Set) (int, error) {
	items, err := p.documents(ctx)
	n := 0
	for i := range items {
		if set.Lacks([]byte(items[i].Data[delivery.KeyEnvelope])) {
			n++
		}
	}
	return n, err
}
