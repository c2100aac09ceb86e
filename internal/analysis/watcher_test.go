package analysis

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/guardrail"
)

// running is a watcher of one replica, which tells when something was measured.
type running struct {
	*Watcher
	t       *testing.T
	replica atomic.Pointer[guardrail.Replica]
	told    chan types.NamespacedName
}

func run(t *testing.T) *running {
	w := &running{t: t, told: make(chan types.NamespacedName, 10)}
	w.replica.Store(replica("a", 100, 0, 0))
	replicas := &Replicas{Client: &endpointSlices{items: []discoveryv1.EndpointSlice{sliceOf(t, answering(t, &w.replica))}}, Now: time.Now}
	w.Watcher = NewWatcher(replicas, nil, time.Now)
	w.Measured = func(_ context.Context, name types.NamespacedName) { w.told <- name }
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w
}

// await waits for the next measurement.
func (w *running) await(want types.NamespacedName) {
	w.t.Helper()
	select {
	case got := <-w.told:
		if got != want {
			w.t.Errorf("measured is %s, want %s", got, want)
		}
	case <-time.After(20 * time.Second):
		w.t.Fatal("nothing was measured")
	}
}

var (
	theShop     = types.NamespacedName{Namespace: "shop-team", Name: "shop"}
	shopSubject = Subject{AppID: "com.example.shop", Attempt: 2, Target: Version{"1.1.0", "target"}, Stable: Version{"1.0.0", "stable"}}
)

func whiteGuard(change ...func(*Guard)) []Guard {
	g := Guard{"white", v1alpha1.Guardrail{
		Name: "white", FailureAbove: "2%", IntervalSeconds: 1, HostReports: &v1alpha1.HostReportsMeasure{Outcome: v1alpha1.OutcomeWhiteScreen},
	}}
	for _, c := range change {
		c(&g)
	}
	return []Guard{g}
}

func TestMeasuringTakesOneWholeIntervalAndGoesOnWithoutAGap(t *testing.T) {
	w := run(t)
	asked := time.Now()
	if got := w.Watch(theShop, shopSubject, false, whiteGuard()); len(got) > 0 {
		t.Errorf("measured at once: %v", got)
	}
	w.await(theShop)
	w.replica.Store(replica("a", 102, 1000, 100))
	first := w.Watch(theShop, shopSubject, false, whiteGuard())["white"]
	want := guardrail.Verdict{Outcome: v1alpha1.GuardrailInconclusive, NoData: true, Message: "white screens: no launches of the target in 1 s"}
	if diff := cmp.Diff(want, first.Verdict); diff != "" || first.From.Before(asked) || first.At.Sub(first.From) < time.Second {
		t.Errorf("from %s to %s, asked at %s; -want +got:\n%s", first.From, first.At, asked, diff)
	}
	w.await(theShop)
	second := w.Watch(theShop, shopSubject, false, whiteGuard())["white"]
	want = guardrail.Verdict{Outcome: v1alpha1.GuardrailFailed, Message: "white screens 10 % of 1,000 launches: above 2 %"}
	if diff := cmp.Diff(want, second.Verdict); diff != "" || !second.From.Equal(first.At) || !second.Since.Equal(second.From) {
		t.Errorf("from %s to %s since %s; -want +got:\n%s", second.From, second.At, second.Since, diff)
	}

	next := shopSubject
	next.Attempt++
	if got := w.Watch(theShop, next, false, whiteGuard()); len(got) > 0 {
		t.Errorf("of another attempt is known: %v", got)
	}
	w.Watch(theShop, next, false, nil)
	if len(w.probes) > 0 {
		t.Errorf("%d rollouts are measured that are not asked for", len(w.probes))
	}
}

func TestAnOutcomeIsUnbrokenWhileNothingElseWasMeasured(t *testing.T) {
	w := run(t)
	w.Watch(theShop, shopSubject, false, whiteGuard())
	w.await(theShop)
	first := w.Watch(theShop, shopSubject, false, whiteGuard())["white"]
	w.await(theShop)
	second := w.Watch(theShop, shopSubject, false, whiteGuard())["white"]
	if !second.Since.Equal(first.From) {
		t.Errorf("unbroken since %s, want %s", second.Since, first.From)
	}
	w.replica.Store(nil)
	w.await(theShop)
	broken := w.Watch(theShop, shopSubject, false, whiteGuard())["white"]
	if broken.Outcome != v1alpha1.GuardrailError || !broken.Since.Equal(broken.At) {
		t.Errorf("without a replica: %+v", broken)
	}
}

func TestWithoutPrometheusItsGuardrailsAreErrors(t *testing.T) {
	w := run(t)
	guards := whiteGuard(func(g *Guard) {
		g.HostReports, g.Prometheus = nil, &v1alpha1.PrometheusMeasure{Template: "errors"}
	})
	w.Watch(theShop, shopSubject, false, guards)
	w.await(theShop)
	got := w.Watch(theShop, shopSubject, false, guards)["white"]
	want := guardrail.Failure(errNoPrometheus)
	if diff := cmp.Diff(want, got.Verdict); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// With everybody on the target nobody launches stable any more: what it was like
// before is compared with.
func TestEverybodyIsComparedWithStableBefore(t *testing.T) {
	at := began
	var one atomic.Pointer[guardrail.Replica]
	replicas := &Replicas{Client: &endpointSlices{items: []discoveryv1.EndpointSlice{sliceOf(t, answering(t, &one))}}, Now: func() time.Time { return at }}
	w := NewWatcher(replicas, nil, func() time.Time { return at })
	p := &probe{rollout: theShop, subject: shopSubject, guard: whiteGuard(func(g *Guard) { g.Compare = v1alpha1.CompareToStable })[0]}
	var got []guardrail.Verdict
	for i, reading := range []struct {
		target, white, stable int64
		full                  bool
	}{{0, 0, 0, false}, {200, 2, 1000, false}, {400, 4, 1000, true}, {600, 6, 1000, false}} {
		at = at.Add(10 * time.Second)
		one.Store(replica("a", int64(100+10*i), reading.target, reading.white, count("stable", "Token", reading.stable, 0)))
		if m := w.take(t.Context(), p, at, reading.full); m != nil {
			got = append(got, m.Verdict)
		}
	}
	want := []guardrail.Verdict{
		{Outcome: v1alpha1.GuardrailPassed, Message: "white screens 1 % of 200 launches, stable 0 % of 1,000: not more than 2 % above"},
		{Outcome: v1alpha1.GuardrailPassed, Message: "white screens 1 % of 200 launches, stable before 0 % of 1,000: not more than 2 % above"},
		{Outcome: v1alpha1.GuardrailInconclusive, Message: "white screens: 0 launches of stable in 1 s, and it takes 100"},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
