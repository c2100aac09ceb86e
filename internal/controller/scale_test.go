package controller_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// queue is a program whose versions all wait for one approval.
type queue struct {
	*group
	admin, rosa client.Client
	made, next  int
}

// newQueue makes n versions that wait.
func newQueue(t testing.TB, n int) *queue {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.configMap(t, "bundle", archive(t, "queue"))
	q := &queue{group: g, admin: g.client(t, fast(g.cp.Admin())), rosa: g.client(t, fast(g.cp.User(g.rosaName)))}
	q.fill(t, n)
	return q
}

// fill brings the queue back to n versions that wait.
func (q *queue) fill(t testing.TB, n int) {
	t.Helper()
	for q.made < q.next+n {
		name := version(q.made)
		q.made++
		q.must(t, q.admin.Create(ctx(t), &v1alpha1.MiniProgramVersion{
			ObjectMeta: metav1.ObjectMeta{Namespace: q.ns, Name: "app-" + name},
			Spec: v1alpha1.MiniProgramVersionSpec{
				MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, Version: name,
				Source: v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: "bundle", Key: "bundle.zip"}},
				Review: v1alpha1.ReviewRequested, SubmittedBy: q.danaName,
			},
		}))
	}
	deadline := time.Now().Add(4 * time.Minute)
	for waiting := 0; waiting < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d versions wait for a review", waiting, n)
		}
		<-time.After(100 * time.Millisecond)
		var list v1alpha1.ReviewList
		q.must(t, q.admin.List(ctx(t), &list, client.InNamespace(q.ns), client.MatchingFields{"spec.decision": v1alpha1.DecisionPending}))
		waiting = len(list.Items)
	}
	q.settle(t)
}

func version(i int) string { return fmt.Sprintf("1.%d.%d", i/100, i%100) }

// review returns the pending Review of the version that waits longest.
func (q *queue) review(t testing.TB) *v1alpha1.Review {
	t.Helper()
	var list v1alpha1.ReviewList
	q.must(t, q.rosa.List(ctx(t), &list, client.InNamespace(q.ns), client.MatchingFields{"spec.versionRef.name": "app-" + version(q.next)}))
	q.next++
	if len(list.Items) != 1 {
		t.Fatalf("not one Review of the version: %s", show(list.Items))
	}
	return &list.Items[0]
}

// approve approves a Review, and returns how long the API server took for that
// and how long it took until the version said so.
func (q *queue) approveAndAwait(t testing.TB, review *v1alpha1.Review) (decided, reconciled time.Duration) {
	t.Helper()
	began := time.Now()
	q.must(t, q.decide(t, q.rosa, q.rosaName, review, v1alpha1.DecisionApproved, ""))
	decided = time.Since(began)
	for {
		var v v1alpha1.MiniProgramVersion
		q.must(t, q.admin.Get(ctx(t), key(q.ns, review.Spec.VersionRef.Name), &v))
		if meta.IsStatusConditionTrue(v.Status.Conditions, v1alpha1.ConditionApproved) {
			return decided, time.Since(began) - decided
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the approval of %s does not count: %s", v.Name, show(v.Status.Conditions))
		}
		<-time.After(time.Millisecond)
	}
}

// passes is how many passes each reconciler of this process has made.
func passes(t testing.TB) map[string]int {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := map[string]int{}
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "controller" {
					sum[label.GetValue()] += int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return sum
}

// settle waits until no reconciler has made a pass for a while.
func (q *queue) settle(t testing.TB) map[string]int {
	t.Helper()
	before := passes(t)
	deadline, quiet := time.Now().Add(time.Minute), time.Now()
	for time.Since(quiet) < 400*time.Millisecond && time.Now().Before(deadline) {
		<-time.After(50 * time.Millisecond)
		if now := passes(t); !maps.Equal(now, before) {
			before, quiet = now, time.Now()
		}
	}
	return before
}

// wakes is how many passes an approval causes in each reconciler: the least of
// several, for other tests' objects may cause some of their own meanwhile.
func (q *queue) wakes(t testing.TB) map[string]int {
	t.Helper()
	least := map[string]int{}
	for i := range 3 {
		review := q.review(t)
		before := q.settle(t)
		q.approveAndAwait(t, review)
		after := q.settle(t)
		for name := range after {
			if n := after[name] - before[name]; i == 0 || n < least[name] {
				least[name] = n
			}
		}
	}
	maps.DeleteFunc(least, func(_ string, n int) bool { return n == 0 })
	return least
}

func TestAnApprovalWakesNoMoreOfALongQueueThanOfAShortOne(t *testing.T) {
	short, long := newQueue(t, 4).wakes(t), newQueue(t, 40).wakes(t)
	for name, n := range long {
		// How events fall together makes a pass or two; what goes by the length of the queue makes tens.
		if n > short[name]+3 {
			t.Errorf("%s made %d passes after an approval where 40 versions wait, and %d where 4 do (all: %v, %v)", name, n, short[name], long, short)
		}
	}
	if long["miniprogramversion"] == 0 {
		t.Errorf("an approval woke no version: %v", long)
	}
}

// BenchmarkWaiting measures what reviewers and the controller do while many
// versions wait: asking for a page of the queue and for all of it, then approving
// one after the other, with the controller's answer.
func BenchmarkWaiting(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("versions=%d", n), func(b *testing.B) {
			q := newQueue(b, n+40)
			b.Run("list", q.benchmarkList)
			b.Run("approve", func(b *testing.B) { q.benchmarkApprove(b, n) })
		})
	}
}

func (q *queue) benchmarkList(b *testing.B) {
	pending := client.MatchingFields{"spec.decision": v1alpha1.DecisionPending}
	var page, all []time.Duration
	for b.Loop() {
		page = append(page, timed(b, func() error {
			return q.rosa.List(ctx(b), &v1alpha1.ReviewList{}, client.InNamespace(q.ns), pending, client.Limit(10))
		}))
		all = append(all, timed(b, func() error {
			return q.rosa.List(ctx(b), &v1alpha1.ReviewList{}, client.InNamespace(q.ns), pending)
		}))
	}
	report(b, "page-ms", page)
	report(b, "all-ms", all)
}

// benchmarkApprove keeps at least n versions waiting.
func (q *queue) benchmarkApprove(b *testing.B, n int) {
	var decide, reconcile []time.Duration
	for b.Loop() {
		b.StopTimer()
		if q.made-q.next <= n {
			q.fill(b, n+40)
		}
		review := q.review(b)
		b.StartTimer()
		decided, reconciled := q.approveAndAwait(b, review)
		decide, reconcile = append(decide, decided), append(reconcile, reconciled)
	}
	report(b, "decide-ms", decide)
	report(b, "reconcile-ms", reconcile)
}

func timed(t testing.TB, do func() error) time.Duration {
	t.Helper()
	began := time.Now()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

// report adds the median of the times, in milliseconds.
func report(b *testing.B, unit string, times []time.Duration) {
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, unit)
}
