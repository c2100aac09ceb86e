package delivery

import (
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestRepositories(t *testing.T) {
	in := func(repository string) *v1alpha1.Variant { return &v1alpha1.Variant{Repository: repository} }
	const own = "registry.example.com/mini/shop-team/shop"
	for name, test := range map[string]struct {
		status v1alpha1.RolloutStatus
		want   string
	}{
		"nothing is served":      {v1alpha1.RolloutStatus{}, "shop-team/shop"},
		"all of it is their own": {v1alpha1.RolloutStatus{Stable: in(own), Target: in(own)}, "shop-team/shop"},
		"stable was taken over": {
			v1alpha1.RolloutStatus{Stable: in("registry.example.com/mini/b/shop"), Target: in(own)}, "shop-team/shop b/shop",
		},
		"one can be rolled back to that was": {
			v1alpha1.RolloutStatus{Stable: in(own), Rollbacks: []v1alpha1.Variant{*in("localhost:5000/c/shop"), *in("localhost:5000/b/shop")}}, "shop-team/shop b/shop c/shop",
		},
		"nobody knows where it is": {v1alpha1.RolloutStatus{Stable: in(""), Target: in("shop")}, "shop-team/shop"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Repositories("shop-team/shop", &test.status); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
