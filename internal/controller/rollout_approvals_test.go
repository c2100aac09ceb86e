package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// The cache may learn of a Review between two reads of one pass.
func TestAStepIsNotAskedForTwiceByPassesThatFollowAtOnce(t *testing.T) {
	of := func(name, rollout string) v1alpha1.Review {
		var r v1alpha1.Review
		r.Name = name
		if rollout != "" {
			r.Spec.Rollout = &v1alpha1.RolloutStepReference{Name: rollout}
		}
		return r
	}
	ro := &v1alpha1.Rollout{}
	ro.Name = "shop"
	s := newRolloutScope(ro, time.Unix(0, 0))
	s.stepReviews = []v1alpha1.Review{of("known", "shop")}
	s.alsoAsked([]v1alpha1.Review{of("known", "shop"), of("new", "shop"), of("another's", "maps"), of("the version's", "")})
	var got []string
	for _, r := range s.stepReviews {
		got = append(got, r.Name)
	}
	if diff := cmp.Diff([]string{"known", "new"}, got); diff != "" {
		t.Errorf("Reviews of steps (-want +got):\n%s", diff)
	}
}
