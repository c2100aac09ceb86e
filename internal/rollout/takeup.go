package rollout

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// TakeUp is the record from which a Rollout goes on that has lost its own: everybody keeps
// what he has, and what people have said stays said. It is a decision of its own, with a
// sequence that follows the clock too: the record may not be the last that users have seen.
func TakeUp(record *v1alpha1.RolloutStatus, now time.Time) v1alpha1.RolloutStatus {
	next := *record.DeepCopy()
	next.Sequence = max(record.Sequence+1, now.Unix())
	if next.Document != nil {
		next.Document.IssuedAt = metav1.NewTime(now.UTC().Truncate(time.Second))
	}
	return next
}
