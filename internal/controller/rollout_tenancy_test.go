package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// The approvals of what this rollout had as stable are none of what it takes over.
func TestWhereWhatIsTakenOverIsApprovedIsWhatTheLedgerSays(t *testing.T) {
	recorded := &v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Stable: &v1alpha1.Variant{VersionRef: "shop-1"}}}
	s := newRolloutScope(recorded, time.Unix(0, 0))
	s.program = &v1alpha1.MiniProgram{Spec: v1alpha1.MiniProgramSpec{HostApps: []string{"bank", "wallet"}}}
	s.seen.Adopt, s.seen.StableHostApps = &v1alpha1.Variant{VersionRef: "shop-2"}, []string{"wallet"}
	if err := (&RolloutReconciler{}).gatherStable(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"wallet"}, s.seen.StableHostApps); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestADocumentIsOutdatedWhenAllItsHostAppsHaveANewerOne(t *testing.T) {
	out := func(channel string, sequence int64, hostApps ...string) v1alpha1.Rollout {
		return v1alpha1.Rollout{
			Spec: v1alpha1.RolloutSpec{Channel: channel},
			Status: v1alpha1.RolloutStatus{
				Sequence: 99, Document: &v1alpha1.DocumentFacts{HostApps: hostApps}, Published: &v1alpha1.PublishedDocument{Sequence: sequence},
			},
		}
	}
	unpublished := out("release", 9, "chat", "wallet")
	unpublished.Status.Published = nil
	for name, test := range map[string]struct {
		rollouts []v1alpha1.Rollout
		want     bool
	}{
		"one serves them all":              {[]v1alpha1.Rollout{out("release", 6, "chat", "maps", "wallet")}, true},
		"two do between them":              {[]v1alpha1.Rollout{out("release", 6, "chat"), out("release", 7, "wallet")}, true},
		"one host app is left":             {[]v1alpha1.Rollout{out("release", 6, "wallet")}, false},
		"what serves one is no newer":      {[]v1alpha1.Rollout{out("release", 6, "wallet"), out("release", 5, "chat")}, false},
		"what serves one is not out":       {[]v1alpha1.Rollout{out("release", 6, "wallet"), unpublished}, false},
		"what serves one is of a channel":  {[]v1alpha1.Rollout{out("release", 6, "wallet"), out("trial", 6, "chat")}, false},
		"nobody has decided anything":      {[]v1alpha1.Rollout{{Spec: v1alpha1.RolloutSpec{Channel: "release"}}}, false},
		"there are no rollouts any longer": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			doc := &document.Release{Channel: "release", HostApps: []string{"chat", "wallet"}, Sequence: 5}
			if got := outdated(doc, test.rollouts); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
