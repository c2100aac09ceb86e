package analysis

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

var began = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// replica has counted launches and white screens of the target, by host apps with tokens.
func replica(instance string, uptimeSeconds, launches, white int64, more ...guardrail.Count) *guardrail.Replica {
	return &guardrail.Replica{Instance: instance, UptimeSeconds: uptimeSeconds, Counts: append([]guardrail.Count{
		count("target", "Token", launches, white),
	}, more...)}
}

func count(digest, access string, launches, white int64) guardrail.Count {
	return guardrail.Count{Namespace: "shop-team", Rollout: "shop", AppID: "com.example.shop", Digest: digest, Access: access,
		Events: map[string]int64{"launch": launches, "white_screen": white}}
}

var shopSeries = series{"shop-team", "shop", "com.example.shop", "target", "stable", "white_screen"}

func TestTotals(t *testing.T) {
	type reading []*guardrail.Replica
	for name, test := range map[string]struct {
		readings []reading // ten seconds apart
		want     guardrail.Tally
	}{
		"a manager that has just begun knows nothing": {[]reading{{replica("a", 900, 500, 50)}}, guardrail.Tally{}},
		"what comes after counts":                     {[]reading{{replica("a", 900, 500, 50)}, {replica("a", 910, 512, 53)}}, guardrail.Tally{Bad: 3, Launches: 12}},
		"of all replicas": {
			[]reading{{replica("a", 900, 500, 50), replica("b", 900, 5, 0)}, {replica("a", 910, 512, 53), replica("b", 910, 105, 1)}},
			guardrail.Tally{Bad: 4, Launches: 112},
		},
		"a restarted replica begins at 0": {
			[]reading{{replica("a", 900, 500, 50)}, {replica("a", 910, 510, 50)}, {replica("b", 4, 7, 1)}, {replica("b", 14, 9, 1)}},
			guardrail.Tally{Bad: 1, Launches: 19},
		},
		"one that was not seen before is no news": {
			[]reading{{replica("a", 900, 500, 50)}, {replica("a", 910, 500, 50), replica("b", 9000, 7000, 700)}, {replica("a", 920, 500, 50), replica("b", 9010, 7001, 700)}},
			guardrail.Tally{Launches: 1},
		},
		"one that vanishes takes nothing back": {
			[]reading{{replica("a", 900, 0, 0), replica("b", 900, 0, 0)}, {replica("a", 910, 10, 1), replica("b", 910, 10, 1)}, {replica("a", 920, 11, 1)}},
			guardrail.Tally{Bad: 2, Launches: 21},
		},
		"one that could not be read is made up for": {
			[]reading{{replica("a", 900, 0, 0), replica("b", 900, 0, 0)}, {replica("a", 910, 1, 0)}, {replica("a", 920, 1, 0), replica("b", 920, 30, 3)}},
			guardrail.Tally{Bad: 3, Launches: 31},
		},
		"a counter that was dropped begins at 0": {
			[]reading{{replica("a", 900, 500, 50)}, {replica("a", 910, 3, 1)}},
			guardrail.Tally{Bad: 1, Launches: 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var all totals
			for i, r := range test.readings {
				all.add(r, began.Add(time.Duration(i)*10*time.Second))
			}
			if diff := cmp.Diff(test.want, all.of(shopSeries).target.token); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTotalsTellVersionsAndAccessApart(t *testing.T) {
	var all totals
	all.add([]*guardrail.Replica{{Instance: "a"}}, began)
	all.add([]*guardrail.Replica{replica("a", 10, 100, 5,
		count("target", "Public", 1000, 500), count("stable", "Token", 7, 1), count("other", "Token", 9, 9),
		guardrail.Count{Namespace: "shop-team", Rollout: "another", AppID: "com.example.shop", Digest: "target", Access: "Token", Events: map[string]int64{"launch": 9}},
	)}, began.Add(10*time.Second))
	want := sums{
		target: pair{all: guardrail.Tally{Bad: 505, Launches: 1100}, token: guardrail.Tally{Bad: 5, Launches: 100}},
		stable: pair{all: guardrail.Tally{Bad: 1, Launches: 7}, token: guardrail.Tally{Bad: 1, Launches: 7}},
	}
	if diff := cmp.Diff(want, all.of(shopSeries), cmp.AllowUnexported(sums{}, pair{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	first := shopSeries
	first.stable = ""
	if got := all.of(first).stable; got != (pair{}) {
		t.Errorf("without a stable version: %+v", got)
	}
}

func TestTotalsForgetWhatNobodyTellsOf(t *testing.T) {
	var all totals
	all.add([]*guardrail.Replica{replica("a", 900, 0, 0)}, began)
	all.add([]*guardrail.Replica{replica("a", 910, 10, 1)}, began.Add(10*time.Second))
	before := all.of(shopSeries)
	all.add([]*guardrail.Replica{{Instance: "b", UptimeSeconds: 9000}}, began.Add(2*time.Hour))
	if len(all.sum) != 0 || len(all.instances) != 1 {
		t.Errorf("kept: %v, %d instances", all.sum, len(all.instances))
	}
	if got := all.of(shopSeries).since(before).target.token; got != (guardrail.Tally{}) {
		t.Errorf("numbers fall to %+v", got)
	}
}
