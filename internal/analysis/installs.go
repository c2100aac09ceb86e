package analysis

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

// countEvery is how long it takes at most until an installation that was reported is known.
const countEvery = 5 * time.Second

// installs counts who has installed a target that is under way.
type installs struct {
	subject Subject
	// recorded is what was known when counting began, and counted what was reported since then.
	recorded, counted int64
	// base is the sum at that time; begun tells that there is one.
	base  int64
	begun bool
	// told is the last number of which the rollout was told; users is how many it waits for.
	told, users int64
}

// CountInstalled counts the installations of a subject's target from now on, which host apps
// with tokens report, and returns how many there are by now, with those that were recorded
// before. Every tenth of the users that it waits for wakes the rollout, and the last one does. A
// subject without a target ends it.
func (w *Watcher) CountInstalled(rollout types.NamespacedName, s Subject, recorded, users int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.Target.Digest == "" {
		delete(w.installs, rollout)
		return 0
	}
	// What is stable has no part in it.
	s.Stable = Version{}
	i := w.installs[rollout]
	if i == nil || i.subject != s {
		i = &installs{subject: s, recorded: recorded, told: recorded}
		w.installs[rollout] = i
	}
	i.users = users
	return i.recorded + i.counted
}

// countUntil counts until the context ends.
func (w *Watcher) countUntil(ctx context.Context) {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, rollout := range w.countAll(ctx) {
			w.Measured(ctx, rollout)
		}
	}
}

// countAll reads the counts once for all, and returns whom that is news for. A reading that
// fails is made up for by the next.
func (w *Watcher) countAll(ctx context.Context) []types.NamespacedName {
	w.mu.Lock()
	waiting := len(w.installs) > 0
	w.mu.Unlock()
	if !waiting {
		return nil
	}
	if _, _, err := w.Replicas.read(ctx, w.Now(), series{}); err != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var news []types.NamespacedName
	for rollout, i := range w.installs {
		sum := w.Replicas.installed(rollout, i.subject)
		if !i.begun {
			i.base, i.begun = sum, true
		}
		i.counted += max(sum-i.base, 0) // a sum that fell was forgotten meanwhile
		i.base = sum
		if now := i.recorded + i.counted; now-i.told >= (i.users+9)/10 || i.told < i.users && now >= i.users {
			i.told = now
			news = append(news, rollout)
		}
	}
	return news
}

// installed is how often host apps with tokens have reported the target.
func (r *Replicas) installed(rollout types.NamespacedName, s Subject) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.totals.sum[cell{rollout.Namespace, rollout.Name, s.AppID, s.Target.Digest, true, guardrail.EventInstalled}]
}
