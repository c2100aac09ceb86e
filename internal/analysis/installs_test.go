package analysis

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

// installedAt is a replica that has counted so many installations by host apps with tokens.
func installedAt(instance string, uptimeSeconds, n int64) *guardrail.Replica {
	return &guardrail.Replica{Instance: instance, UptimeSeconds: uptimeSeconds, Counts: []guardrail.Count{
		{Namespace: "shop-team", Rollout: "shop", AppID: "com.example.shop", Digest: "target", Access: "Token", Events: map[string]int64{"installed": n, "launch": 7}},
		{Namespace: "shop-team", Rollout: "shop", AppID: "com.example.shop", Digest: "target", Access: "Public", Events: map[string]int64{"installed": 1000}},
		{Namespace: "shop-team", Rollout: "shop", AppID: "com.example.shop", Digest: "stable", Access: "Token", Events: map[string]int64{"installed": 1000}},
	}}
}

func TestInstallationsAreCountedFromWhatIsRecorded(t *testing.T) {
	var at atomic.Pointer[guardrail.Replica]
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { now = now.Add(time.Second); return now }
	replicas := &Replicas{Client: &endpointSlices{items: []discoveryv1.EndpointSlice{sliceOf(t, answering(t, &at))}}, Now: clock}
	w := NewWatcher(replicas, nil, clock)
	count := func(replica *guardrail.Replica) []types.NamespacedName {
		at.Store(replica)
		return w.countAll(t.Context())
	}
	for _, n := range []int64{400, 450} { // read by others, before anybody counts
		at.Store(installedAt("a", 1000, n))
		if _, _, err := replicas.read(t.Context(), clock(), series{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.CountInstalled(theShop, shopSubject, 30, 100); got != 30 {
		t.Errorf("at first %d, want 30", got)
	}
	type step struct {
		replica *guardrail.Replica
		told    []types.NamespacedName
		want    int64
	}
	shop := []types.NamespacedName{theShop}
	for _, s := range []step{
		{installedAt("a", 1000, 500), nil, 30}, // nobody knows when these were
		{installedAt("a", 1000, 509), nil, 39},
		{installedAt("a", 1000, 510), shop, 40},
		{installedAt("a", 1000, 512), nil, 42},
		{nil, nil, 42},                        // it does not answer
		{installedAt("b", 0, 53), shop, 95},   // another that has just started
		{installedAt("b", 10, 57), nil, 99},   // no tenth more
		{installedAt("b", 10, 58), shop, 100}, // but enough
		{installedAt("b", 10, 58), nil, 100},
	} {
		if diff := cmp.Diff(s.told, count(s.replica)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if got := w.CountInstalled(theShop, shopSubject, 0, 100); got != s.want {
			t.Errorf("%d, want %d", got, s.want)
		}
	}
	next := shopSubject
	next.Attempt++
	if got := w.CountInstalled(theShop, next, 0, 100); got != 0 {
		t.Errorf("another attempt begins with %d", got)
	}
	w.CountInstalled(theShop, Subject{}, 0, 0)
	if n := len(w.installs); n != 0 {
		t.Errorf("%d rollouts are counted that are not asked for", n)
	}
}
