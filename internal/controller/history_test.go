package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestWhichVersionsAreOlderThanThoseThatAreKept(t *testing.T) {
	at := func(minute int) *metav1.Time {
		return &metav1.Time{Time: time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC)}
	}
	version := func(name string, artifact *v1alpha1.Artifact) v1alpha1.MiniProgramVersion {
		return v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.MiniProgramVersionStatus{Artifact: artifact}}
	}
	going := version("going", &v1alpha1.Artifact{PushTime: at(9)})
	going.DeletionTimestamp = at(10)
	versions := []v1alpha1.MiniProgramVersion{
		version("b", &v1alpha1.Artifact{PushTime: at(2)}),
		version("hotfix-of-an-old-line", &v1alpha1.Artifact{PushTime: at(5)}),
		version("deleted", &v1alpha1.Artifact{PushTime: at(4), DeletionTime: at(6)}),
		version("a", &v1alpha1.Artifact{PushTime: at(2)}),
		version("unpublished", nil),
		version("retired", &v1alpha1.Artifact{PushTime: at(1), RetirementTime: at(7)}),
		version("ageless", &v1alpha1.Artifact{}),
		version("newest", &v1alpha1.Artifact{PushTime: at(8)}),
		going,
	}
	tests := map[string]struct {
		keep int
		want []string
	}{
		"two are kept":                        {2, []string{"b", "a", "retired", "ageless"}},
		"the name decides between equals":     {3, []string{"a", "retired", "ageless"}},
		"all but the one without a push time": {5, []string{"ageless"}},
		"exactly all":                         {6, nil},
		"more than there are":                 {100, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, beyond(slices.Clone(versions), tc.keep)); diff != "" {
				t.Errorf("beyond (-want +got):\n%s", diff)
			}
		})
	}
}

func TestThePatienceWithARegistryEnds(t *testing.T) {
	since := metav1.NewTime(time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC))
	tests := map[string]struct{ gone, asked, want time.Duration }{
		"at first it is asked again soon":           {time.Second, 0, 2 * time.Second},
		"then after as long as it has lasted":       {5 * time.Minute, 0, 5 * time.Minute},
		"but at least every ten minutes":            {20 * time.Minute, 0, 10 * time.Minute},
		"or when the registry says":                 {time.Second, time.Minute, time.Minute},
		"never later than the end":                  {55 * time.Minute, time.Hour, 5 * time.Minute},
		"after an hour it is over":                  {time.Hour, 0, 0},
		"and stays so, whatever the registry wants": {2 * time.Hour, time.Hour, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			again, end := patience(since, since.Add(tc.gone), tc.asked)
			if again != tc.want || !end.Equal(since.Add(time.Hour)) {
				t.Errorf("got %s until %s, want %s", again, end, tc.want)
			}
		})
	}
}
