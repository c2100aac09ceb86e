package analysis

import (
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

const (
	// maxCount is far above what a replica can count, and far below where sums overflow.
	maxCount = 1 << 48
	// forgetAfter is how long an instance is remembered that is not read any more.
	forgetAfter = time.Hour
)

// cell is one number of a replica.
type cell struct {
	namespace, rollout, appID, digest string
	token                             bool
	event                             string
}

// totals add up what all replicas have counted while the manager looked.
type totals struct {
	// at is when the last reading began.
	at        time.Time
	sum       map[cell]int64
	instances map[string]*instance
}

// instance is one run of one replica, as it was read last.
type instance struct {
	read  time.Time
	cells map[cell]int64
}

// add takes over a reading that began at a time.
func (t *totals) add(replicas []*guardrail.Replica, began time.Time) {
	if t.sum == nil {
		t.sum, t.instances = map[cell]int64{}, map[string]*instance{}
	}
	for _, one := range replicas {
		before := t.instances[one.Instance]
		// One that started after the last reading has counted all since then.
		young := !t.at.IsZero() && time.Duration(one.UptimeSeconds)*time.Second < began.Sub(t.at)
		now := &instance{read: began, cells: cellsOf(one)}
		for c, n := range now.cells {
			switch {
			case before == nil && !young:
				t.sum[c] += 0 // it is there, and nobody knows when that was reported
			case before == nil || n < before.cells[c]:
				t.sum[c] += n // it counts from 0: a new start, or dropped meanwhile
			default:
				t.sum[c] += n - before.cells[c]
			}
		}
		t.instances[one.Instance] = now
	}
	t.at = began
	t.prune()
}

func cellsOf(one *guardrail.Replica) map[cell]int64 {
	cells := map[cell]int64{}
	for _, c := range one.Counts {
		for event, n := range c.Events {
			cells[cell{c.Namespace, c.Rollout, c.AppID, c.Digest, c.Access == v1alpha1.AccessToken, event}] = n
		}
	}
	return cells
}

// prune forgets what no replica has told of for long.
func (t *totals) prune() {
	told := map[cell]bool{}
	for id, i := range t.instances {
		if t.at.Sub(i.read) > forgetAfter {
			delete(t.instances, id)
			continue
		}
		for c := range i.cells {
			told[c] = true
		}
	}
	for c := range t.sum {
		if !told[c] {
			delete(t.sum, c)
		}
	}
}

// series is what a probe wants to know: of a rollout's two versions, one event.
type series struct {
	namespace, rollout, appID string
	target, stable            string // digests; stable is empty without one
	event                     string
}

// pair is of all host apps, and of those with tokens.
type pair struct{ all, token guardrail.Tally }

// sums are the totals of a series.
type sums struct{ target, stable pair }

func (t *totals) of(s series) sums {
	return sums{target: t.pair(s, s.target), stable: t.pair(s, s.stable)}
}

func (t *totals) pair(s series, digest string) pair {
	if digest == "" {
		return pair{}
	}
	n := func(token bool, event string) int64 {
		return t.sum[cell{s.namespace, s.rollout, s.appID, digest, token, event}]
	}
	token := guardrail.Tally{Bad: n(true, s.event), Launches: n(true, guardrail.EventLaunch)}
	return pair{token: token, all: guardrail.Tally{
		Bad: token.Bad + n(false, s.event), Launches: token.Launches + n(false, guardrail.EventLaunch),
	}}
}

// since is what came after earlier sums.
func (s sums) since(before sums) sums {
	return sums{target: s.target.since(before.target), stable: s.stable.since(before.stable)}
}

func (p pair) since(before pair) pair {
	return pair{all: less(p.all, before.all), token: less(p.token, before.token)}
}

// less never falls below 0: a sum that is lower than before was forgotten in between.
func less(now, before guardrail.Tally) guardrail.Tally {
	minus := func(a, b int64) int64 {
		if a < b {
			return a
		}
		return a - b
	}
	return guardrail.Tally{Bad: minus(now.Bad, before.Bad), Launches: minus(now.Launches, before.Launches)}
}
