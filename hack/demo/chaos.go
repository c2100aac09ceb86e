package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// chaosTicks is how many ticks of a life kills are spread over. A life has more.
	chaosTicks = 24
	// killWithin is how long after a tick a kill comes at the latest.
	killWithin = 1200 * time.Millisecond
	// dueWithin is how long after a timed step is due one of the kills comes.
	dueWithin = 50 * time.Millisecond
	// startWithin is how long a killed manager takes until it can be killed again, and more.
	startWithin = 3 * time.Second
)

// chaos kills the manager at random moments of the life: most at random ticks,
// each a little later, and one just after a timed step is due.
type chaos struct {
	manager *supervisor
	out     *printer
	total   int
	seed    uint64

	mu      sync.Mutex
	random  *rand.Rand
	plan    map[int][]time.Duration
	ticks   int
	killed  int
	dueDone bool
	// dueAt is when the next timed step is due: just before it nobody kills at random, or
	// there would be no manager to kill then.
	dueAt time.Time
	// killing is held during a kill, so that each finds a process of its own.
	killing sync.Mutex
	// pending are kills that are on their way.
	pending sync.WaitGroup
}

func newChaos(kills int, seed uint64, manager *supervisor, out *printer) *chaos {
	c := &chaos{manager: manager, out: out, total: kills, seed: seed, plan: map[int][]time.Duration{}}
	c.random = rand.New(rand.NewPCG(seed, seed))
	for range kills - 1 {
		tick := c.random.IntN(chaosTicks)
		c.plan[tick] = append(c.plan[tick], time.Duration(c.random.Int64N(int64(killWithin))))
	}
	return c
}

// tick is a moment of the life: somebody acts, or the users ask.
func (c *chaos) tick(ctx context.Context) {
	c.mu.Lock()
	delays := c.plan[c.ticks]
	c.ticks++
	c.mu.Unlock()
	for _, delay := range delays {
		c.pending.Go(func() { c.killAt(ctx, c.apart(time.Now().Add(delay)), "at a random moment") })
	}
}

// due tells when a timed step ends: one of the kills comes just after that.
func (c *chaos) due(ctx context.Context, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total == 0 || c.dueDone {
		return
	}
	c.dueAt = at
	late := time.Duration(c.random.Int64N(int64(dueWithin)))
	c.pending.Go(func() {
		killed := c.killAt(ctx, at.Add(late), "as the timed step is due")
		c.mu.Lock()
		defer c.mu.Unlock()
		c.dueDone = !killed.IsZero() && killed.Sub(at) <= dueWithin
	})
}

// apart moves a random kill behind a timed step that is due soon after it.
func (c *chaos) apart(at time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := c.dueAt.Add(dueWithin); !c.dueDone && at.Before(until) && at.After(c.dueAt.Add(-startWithin)) {
		return until.Add(dueWithin)
	}
	return at
}

// killAt kills the manager at a time or, when it is being started just then, as
// soon as it runs. It returns when it did.
func (c *chaos) killAt(ctx context.Context, at time.Time, why string) time.Time {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return time.Time{}
		case <-timer.C:
		}
		c.killing.Lock()
		now := time.Now()
		was, err := c.manager.kill()
		c.killing.Unlock()
		if was && err == nil {
			c.mu.Lock()
			c.killed++
			n := c.killed
			c.mu.Unlock()
			c.out.say("kill -9 of the manager, number %d, %s", n, why)
			return now
		}
		timer.Reset(10 * time.Millisecond)
	}
}

// finish waits for the kills that are on their way and tells how many there were,
// and whether one came just after a timed step was due.
func (c *chaos) finish() (killed int, due bool) {
	c.pending.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.killed, c.dueDone
}
