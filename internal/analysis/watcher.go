package analysis

import (
	"context"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

// Bounds of measuring.
const (
	measuredAtOnce = 4                // of each source
	tryAgain       = 10 * time.Second // where an interval could not begin
	idle           = time.Hour
)

// Version is one side of a measurement.
type Version struct{ Version, Digest string }

// Subject is what guardrails of a rollout are about: one target in one attempt, that is out.
type Subject struct {
	AppID   string
	Attempt int32
	Target  Version
	// Stable has no digest where nothing is stable.
	Stable Version
}

// Guard is a guardrail under the name by which its rollout knows it.
type Guard struct {
	Name string
	v1alpha1.Guardrail
}

// Measurement is the last word about a guardrail.
type Measurement struct {
	guardrail.Verdict
	// From and At are the ends of the interval.
	From, At time.Time
	// Since is when the first interval began of those that had this outcome without a break.
	Since time.Time
}

// Watcher measures guardrails at their intervals while it runs. It is safe for
// concurrent use.
type Watcher struct {
	// Replicas are where host reports are counted.
	Replicas *Replicas
	// Prometheus is nil where none is configured.
	Prometheus *Prometheus
	// Now is the clock.
	Now func() time.Time
	// Measured is told of a rollout after each measurement of one of its guardrails.
	// It may block. Set it before Start.
	Measured func(context.Context, types.NamespacedName)

	mu     sync.Mutex
	probes map[types.NamespacedName]map[string]*probe
	// installs are of the rollouts that close with a number of users.
	installs map[types.NamespacedName]*installs
	wake     chan struct{}
}

// NewWatcher returns one that measures nothing yet.
func NewWatcher(replicas *Replicas, prometheus *Prometheus, now func() time.Time) *Watcher {
	return &Watcher{
		Replicas: replicas, Prometheus: prometheus, Now: now, Measured: func(context.Context, types.NamespacedName) {},
		probes: map[types.NamespacedName]map[string]*probe{}, installs: map[types.NamespacedName]*installs{}, wake: make(chan struct{}, 1),
	}
}

// probe measures one guardrail of one subject. What is below the line belongs to the
// one goroutine that measures it, or to the watcher's lock while none does.
type probe struct {
	rollout types.NamespacedName
	subject Subject
	guard   Guard

	// full: everybody has the target.
	full    bool
	due     time.Time
	running bool
	last    *Measurement

	// from is when the present interval began; zero: it has yet to. base are the sums then.
	from time.Time
	base sums
	// before are stable's numbers when it last had enough of them.
	before *pair
	value  *guardrail.Value
}

// Watch has these guardrails of a rollout measured from now on, and no others. It
// returns the last measurements of this very subject, by name. It never waits for one.
func (w *Watcher) Watch(rollout types.NamespacedName, s Subject, full bool, guards []Guard) map[string]Measurement {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, now := map[string]Measurement{}, map[string]*probe{}
	for _, g := range guards {
		p := w.probes[rollout][g.Name]
		if p == nil || p.subject != s || !reflect.DeepEqual(p.guard, g) {
			p = &probe{rollout: rollout, subject: s, guard: g, due: w.Now()}
			w.nudge()
		}
		p.full = full
		now[g.Name] = p
		if p.last != nil {
			last[g.Name] = *p.last
		}
	}
	if len(now) == 0 {
		delete(w.probes, rollout)
		return last
	}
	w.probes[rollout] = now
	return last
}

func (w *Watcher) nudge() {
	select {
	case w.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Start measures until the context ends. It implements manager.Runnable.
func (w *Watcher) Start(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { w.countUntil(ctx) })
	counts, queries := make(chan struct{}, measuredAtOnce), make(chan struct{}, measuredAtOnce)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-w.wake:
		}
		due, next := w.takeDue()
		for _, p := range due {
			slots := counts
			if p.guard.Prometheus != nil {
				slots = queries // a slow server keeps only those waiting who ask it
			}
			group.Go(func() {
				select {
				case <-ctx.Done():
					return
				case slots <- struct{}{}:
				}
				defer func() { <-slots }()
				w.measure(ctx, p)
			})
		}
		timer.Reset(next)
	}
}

// takeDue returns the probes that are due, marked as running, and the time until the next is.
func (w *Watcher) takeDue() ([]*probe, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, next := w.Now(), idle
	var due []*probe
	for _, probes := range w.probes {
		for _, p := range probes {
			switch left := p.due.Sub(now); {
			case p.running:
			case left <= 0:
				p.running = true
				due = append(due, p)
			default:
				next = min(next, left)
			}
		}
	}
	return due, next
}

// measure ends the probe's interval, judges it, and begins the next.
func (w *Watcher) measure(ctx context.Context, p *probe) {
	w.mu.Lock()
	notBefore, full := p.due, p.full
	w.mu.Unlock()
	m := w.take(ctx, p, notBefore, full)
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	p.running = false
	p.due = w.Now().Add(tryAgain)
	if !p.from.IsZero() {
		p.due = p.from.Add(time.Duration(guardrail.Interval(&p.guard.Guardrail)) * time.Second)
	}
	if m != nil {
		m.Since = m.From
		if p.last != nil && p.last.Outcome == m.Outcome && p.last.At.Equal(m.From) {
			m.Since = p.last.Since
		}
		p.last = m
	}
	current := w.probes[p.rollout][p.guard.Name] == p
	w.mu.Unlock()
	w.nudge()
	if m != nil && current {
		w.Measured(ctx, p.rollout)
	}
}

// take measures; nil: an interval has only begun.
func (w *Watcher) take(ctx context.Context, p *probe, notBefore time.Time, full bool) *Measurement {
	if p.guard.Prometheus != nil {
		return w.takeQuery(ctx, p, full)
	}
	return w.takeReports(ctx, p, notBefore, full)
}

// broken ends an interval in which something failed.
func (w *Watcher) broken(p *probe, err error) *Measurement {
	p.from = time.Time{}
	now := w.Now()
	return &Measurement{Verdict: guardrail.Failure(err), From: now, At: now}
}

func (w *Watcher) takeReports(ctx context.Context, p *probe, notBefore time.Time, full bool) *Measurement {
	now, at, err := w.Replicas.read(ctx, notBefore, series{
		namespace: p.rollout.Namespace, rollout: p.rollout.Name, appID: p.subject.AppID,
		target: p.subject.Target.Digest, stable: p.subject.Stable.Digest, event: guardrail.EventOf(p.guard.HostReports.Outcome),
	})
	if err != nil {
		return w.broken(p, err)
	}
	from, base := p.from, p.base
	p.from, p.base = at, now
	if from.IsZero() {
		return nil
	}
	got := now.since(base)
	r := guardrail.Reports{Target: got.target.all, TokenTarget: got.target.token}
	if p.subject.Stable.Digest != "" {
		stable := got.stable
		if enough := guardrail.Enough(&p.guard.Guardrail, stable.all.Launches); enough {
			p.before = &stable
		} else if full && p.before != nil {
			stable, r.StableBefore = *p.before, true
		}
		r.Stable, r.TokenStable = &stable.all, &stable.token
	}
	return &Measurement{Verdict: guardrail.OfReports(&p.guard.Guardrail, r), From: from, At: at}
}

func (w *Watcher) takeQuery(ctx context.Context, p *probe, full bool) *Measurement {
	from, at := p.from, w.Now()
	if p.from = at; from.IsZero() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	q := guardrail.Query{HasStable: p.subject.Stable.Digest != ""}
	var err error
	if q.Target, err = w.query(ctx, p, p.subject.Target, "target"); err != nil {
		return w.broken(p, err)
	}
	if q.HasStable && p.guard.Compare == v1alpha1.CompareToStable {
		if q.Stable, err = w.query(ctx, p, p.subject.Stable, "stable"); err != nil {
			return w.broken(p, err)
		}
		if v := q.Stable; v != nil && guardrail.Enough(&p.guard.Guardrail, int64(v.Samples)) {
			p.value = v
		} else if full && p.value != nil {
			q.Stable, q.StableBefore = p.value, true
		}
	}
	return &Measurement{Verdict: guardrail.OfQuery(&p.guard.Guardrail, q), From: from, At: at}
}
