package ledger

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestCompare(t *testing.T) {
	entry := func(name string, sequence int64) Entry {
		return Entry{Channel: "release", HostApps: []string{"wallet"}, Namespace: "shop-team", Rollout: name, Sequence: sequence}
	}
	key := func(name string) client.ObjectKey { return client.ObjectKey{Namespace: "shop-team", Name: name} }
	of := func(holders int64, entries ...Entry) page {
		return page{AppID: "com.example.shop", Holder: Holder{"shop-team", "shop"}, Holders: holders, Entries: entries}
	}
	other := of(1)
	other.Holder.Name = "other"
	for name, test := range map[string]struct {
		before, after page
		want          Difference
	}{
		"nothing":       {before: of(1, entry("a", 1)), after: of(1, entry("a", 1))},
		"their order":   {before: of(1, entry("a", 1), entry("b", 1)), after: of(1, entry("b", 1), entry("a", 1))},
		"one of two":    {before: of(1, entry("a", 1), entry("b", 1)), after: of(1, entry("a", 1), entry("b", 2)), want: Difference{Rollouts: []client.ObjectKey{key("b")}}},
		"one is new":    {before: of(1, entry("a", 1)), after: of(1, entry("a", 1), entry("b", 1)), want: Difference{Rollouts: []client.ObjectKey{key("b")}}},
		"one is gone":   {before: of(1, entry("a", 1), entry("b", 1)), after: of(1, entry("b", 1)), want: Difference{Rollouts: []client.ObjectKey{key("a")}}},
		"the holder":    {before: of(1), after: other, want: Difference{Holder: true}},
		"its time":      {before: of(1), after: of(3), want: Difference{Holder: true}},
		"both":          {before: of(1, entry("a", 1)), after: of(2), want: Difference{Holder: true, Rollouts: []client.ObjectKey{key("a")}}},
		"another's app": {before: of(1), after: page{AppID: "x", Holder: Holder{"shop-team", "shop"}, Holders: 1}, want: Difference{Holder: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Compare(configMapOf(t, test.before), configMapOf(t, test.after))); diff != "" {
				t.Errorf("difference (-want +got):\n%s", diff)
			}
		})
	}
	damaged := configMapOf(t, of(1))
	damaged.Data[dataKey] = "{"
	for name, got := range map[string]Difference{"before": Compare(damaged, configMapOf(t, of(1))), "after": Compare(configMapOf(t, of(1)), damaged)} {
		if !got.Holder {
			t.Errorf("a page that was damaged %s tells who holds the app ID", name)
		}
	}
}

func configMapOf(t *testing.T, p page) *corev1.ConfigMap {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.ConfigMap{Data: map[string]string{dataKey: string(text)}}
}
