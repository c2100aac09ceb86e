package controller

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
)

// writesOfAStep are what a step costs the API server: the decision in status, and the
// document.
const writesOfAStep = 2

// Pace gives what happens by the clock alone its turn, so that however many steps
// fall due at one time, the API server is asked for no more than so many writes in a
// second. Turns go in the order in which they are asked for, which is fairer than
// delays by chance, and costs nothing while there is no queue. Its methods may be
// called side by side. A nil Pace lets everything pass.
type Pace struct {
	limiter *rate.Limiter
	mu      sync.Mutex
	turns   map[types.UID]turn
}

// turn is when the step goes on that was recorded under the sequence.
type turn struct {
	sequence int64
	at       time.Time
}

// NewPace allows so many writes in a second; nil for 0, which is no limit.
func NewPace(writesPerSecond int) *Pace {
	if writesPerSecond == 0 {
		return nil
	}
	return &Pace{limiter: rate.NewLimiter(rate.Limit(writesPerSecond), max(writesPerSecond, writesOfAStep)), turns: map[types.UID]turn{}}
}

// Wait is how long it takes until the object may go on from what it has recorded
// under the sequence; 0: it goes on, and its turn is over. A turn that was given is kept.
func (p *Pace) Wait(of types.UID, sequence int64, now time.Time) time.Duration {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	given, ok := p.turns[of]
	if !ok || given.sequence != sequence {
		given = turn{sequence, now.Add(p.limiter.ReserveN(now, writesOfAStep).DelayFrom(now))}
	}
	if left := given.at.Sub(now); left > 0 {
		p.turns[of] = given
		return left
	}
	delete(p.turns, of)
	return 0
}

// Forget gives up the turn of an object that does not want it any more.
func (p *Pace) Forget(of types.UID) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.turns, of)
}
