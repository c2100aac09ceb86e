//go:build scale

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// 10,000 rollouts: for each of 1,000 mini programs one in each of 10 host apps.
const (
	groups      = 10
	perGroup    = 100
	hosts       = 10
	allRollouts = groups * perGroup * hosts
	stepping    = 500
	pauseOfStep = 100 * time.Second
	watched     = 4 * time.Minute
	idle        = 30 * time.Second
	aborted     = 20
	settingUp   = 15 * time.Minute
	published   = "miniprogram-published"
)

// BenchmarkRollout has one manager with 10,000 Rollouts, of which 500 are taken
// through shares with pauses of 100 seconds. It reports
//
//   - ready_seconds: from the start of the manager's process, with all Rollouts
//     there but those that step, until it has answered an action of one of them
//   - rest_seconds: from the same moment until nothing is left to do of what a start looks after
//   - idle_cpu_percent: of one core, over half a minute after that, while none steps
//   - writes_per_step: of Rollouts and of documents, for each share that grew, in four minutes
//   - writes_per_second and writes_in_the_busiest_second: of the same
//   - late_p50_seconds, late_p99_seconds: from the end of a pause, which is counted in
//     whole seconds, until the document of the next share is out
//   - abort_p99_ms: from the annotation of an abort until the document without the target is out
//   - rss_mib: the greatest memory that the process had
func BenchmarkRollout(b *testing.B) {
	b.Run(strconv.Itoa(allRollouts), func(b *testing.B) {
		for b.Loop() {
			measureRollouts(b)
		}
	})
}

func measureRollouts(b *testing.B) {
	p := newPlatform(b, "scale", v1alpha1.ApprovalRule{Role: "none"})
	// Neither the making of the world nor what is applied at once is to wait for turns.
	must(b, p.manager.Stop(time.Minute))
	p.startManager(b, "--step-writes-per-second=0")
	p.makePrograms(b)
	rest := p.makeRollouts(b, stepping, allRollouts, nil)
	p.awaitAll(b, "stable", rest, func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Stable != nil && ro.Status.Published != nil && ro.Status.Published.Sequence == ro.Status.Sequence
	})
	p.awaitRest(b)
	must(b, p.manager.Stop(time.Minute))

	began := time.Now()
	p.startManager(b)
	p.act(b, rest[len(rest)-1], "pause@1")
	p.await(b, "an action is answered", func() string {
		var ro v1alpha1.Rollout
		must(b, p.client.Get(b.Context(), rest[len(rest)-1], &ro))
		if ro.Status.LastAction == nil {
			return "no answer"
		}
		return ""
	})
	b.ReportMetric(time.Since(began).Seconds(), "ready_seconds")

	p.awaitRest(b)
	b.ReportMetric(time.Since(began).Seconds(), "rest_seconds")
	used := p.cpu(b)
	<-time.After(idle)
	b.ReportMetric(100*float64(p.cpu(b)-used)/float64(idle), "idle_cpu_percent")
	p.measureSteps(b)
	b.ReportMetric(p.peakMiB(b), "rss_mib")
}

// awaitRest lets the manager do what is left to do when all that is waited for is there:
// what it would else do after its restart is no part of that.
func (p *platform) awaitRest(b *testing.B) {
	b.Helper()
	const look = 5 * time.Second
	for end := time.Now().Add(settingUp); ; {
		used := p.cpu(b)
		<-time.After(look)
		if p.cpu(b)-used < look/100 {
			return
		}
		if time.Now().After(end) {
			b.Fatal("the manager does not come to rest")
		}
	}
}

func groupName(n int) string { return fmt.Sprintf("scale-%d", n) }
func hostName(n int) string  { return fmt.Sprintf("scale-%d", n) }

// makePrograms makes the host apps, and the mini programs with a version each.
func (p *platform) makePrograms(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), settingUp)
	defer cancel()
	var names []string
	for n := range hosts {
		names = append(names, hostName(n))
		must(b, p.client.Create(ctx, &v1alpha1.HostApp{
			ObjectMeta: metav1.ObjectMeta{Name: hostName(n)}, Spec: v1alpha1.HostAppSpec{DisplayName: "Host", Availability: v1alpha1.HostAppActive},
		}))
	}
	making, ctx := errgroup.WithContext(ctx)
	making.SetLimit(8)
	for g := range groups {
		must(b, p.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: groupName(g), Labels: map[string]string{platformLabel: p.name}}}))
		for n := range perGroup {
			making.Go(func() error {
				name := fmt.Sprintf("app-%d", n)
				err := p.client.Create(ctx, &v1alpha1.MiniProgram{
					ObjectMeta: metav1.ObjectMeta{Namespace: groupName(g), Name: name},
					Spec:       v1alpha1.MiniProgramSpec{AppID: groupName(g) + "." + name, DisplayName: "App", HostApps: names, Kind: "WebApp"},
				})
				if err != nil {
					return err
				}
				v := p.version(groupName(g), g*perGroup+n)
				v.Name, v.Spec.Version, v.Spec.MiniProgramRef.Name = name, "1.0.0", name
				return p.client.Create(ctx, v)
			})
		}
	}
	must(b, making.Wait())
	p.awaitCount(b, "versions are approved", groups*perGroup, func() int {
		var list v1alpha1.MiniProgramVersionList
		must(b, p.client.List(b.Context(), &list))
		return count(list.Items, func(v *v1alpha1.MiniProgramVersion) bool {
			return meta.IsStatusConditionTrue(v.Status.Conditions, v1alpha1.ConditionApproved)
		})
	})
}

// makeRollouts creates the Rollouts from one number up to another.
func (p *platform) makeRollouts(b *testing.B, from, to int, steps []v1alpha1.RolloutStep) []client.ObjectKey {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), settingUp)
	defer cancel()
	keys := make([]client.ObjectKey, to-from)
	making, ctx := errgroup.WithContext(ctx)
	making.SetLimit(8)
	for n := from; n < to; n++ {
		program, host := n/hosts, hostName(n%hosts)
		app := fmt.Sprintf("app-%d", program%perGroup)
		ro := &v1alpha1.Rollout{
			ObjectMeta: metav1.ObjectMeta{Namespace: groupName(program / perGroup), Name: app + "-" + host},
			Spec: v1alpha1.RolloutSpec{
				MiniProgramRef: v1alpha1.MiniProgramReference{Name: app}, VersionRef: v1alpha1.VersionReference{Name: app},
				HostApps: []string{host}, Steps: steps,
			},
		}
		keys[n-from] = client.ObjectKeyFromObject(ro)
		making.Go(func() error { return p.client.Create(ctx, ro) })
	}
	must(b, making.Wait())
	return keys
}

func (p *platform) awaitAll(b *testing.B, what string, keys []client.ObjectKey, is func(*v1alpha1.Rollout) bool) {
	b.Helper()
	wanted := map[client.ObjectKey]bool{}
	for _, key := range keys {
		wanted[key] = true
	}
	p.awaitCount(b, "Rollouts are "+what, len(keys), func() int {
		var list v1alpha1.RolloutList
		must(b, p.client.List(b.Context(), &list))
		return count(list.Items, func(ro *v1alpha1.Rollout) bool { return wanted[client.ObjectKeyFromObject(ro)] && is(ro) })
	})
}

func (p *platform) awaitCount(b *testing.B, what string, want int, have func() int) {
	b.Helper()
	deadline := time.Now().Add(settingUp)
	for n := have(); n < want; n = have() {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d %s; the manager's last words:\n%s", n, want, what, p.manager.LogTail(20))
		}
		<-time.After(5 * time.Second)
	}
}

func count[T any](list []T, is func(*T) bool) int {
	n := 0
	for i := range list {
		if is(&list[i]) {
			n++
		}
	}
	return n
}

func (p *platform) act(b testing.TB, of client.ObjectKey, action string) {
	b.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q,%q:"admin"}}}`, v1alpha1.ActionAnnotation, action, v1alpha1.ActionByAnnotation)
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: of.Namespace, Name: of.Name}}
	must(b, p.client.Patch(b.Context(), ro, client.RawPatch("application/merge-patch+json", []byte(patch))))
}

// cpu is the time that the manager's process has computed so far.
func (p *platform) cpu(b testing.TB) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.manager.PID()))
	must(b, err)
	// The second field, the name, may have spaces, and ends with the last parenthesis.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime, of proc_pid_stat(5)
		n, err := strconv.ParseInt(field, 10, 64)
		must(b, err)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// measureSteps creates the Rollouts that step over the length of a pause, as they
// would be in a cluster that was not made this minute, and watches them.
func (p *platform) measureSteps(b *testing.B) {
	ctx, cancel := context.WithTimeout(b.Context(), settingUp)
	defer cancel()
	var steps []v1alpha1.RolloutStep
	for n := range 10 {
		share := intstr.FromInt(n + 1)
		steps = append(steps, v1alpha1.RolloutStep{SetPercent: &share}, v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{Seconds: int64(pauseOfStep / time.Second)}})
	}
	var keys []client.ObjectKey
	every := time.NewTicker(pauseOfStep / stepping)
	defer every.Stop()
	for n := range stepping {
		keys = append(keys, p.makeRollouts(b, n, n+1, steps)...)
		<-every.C
	}
	rollouts, err := p.client.Watch(ctx, &v1alpha1.RolloutList{})
	must(b, err)
	defer rollouts.Stop()
	documents, err := p.client.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace(published))
	must(b, err)
	defer documents.Stop()
	m := &counted{share: map[client.ObjectKey]int32{}, due: map[string]pauseEnds{}, seconds: map[int64]int{}}
	for end := time.After(watched); ; {
		select {
		case event := <-rollouts.ResultChan():
			ro, ok := event.Object.(*v1alpha1.Rollout)
			if !ok {
				b.Fatalf("the watch of Rollouts ends: %v", event.Object)
			}
			m.rollout(event.Type, ro)
		case event := <-documents.ResultChan():
			cm, ok := event.Object.(*corev1.ConfigMap)
			if !ok {
				b.Fatalf("the watch of documents ends: %v", event.Object)
			}
			m.document(event.Type, cm)
		case <-end:
			m.report(b)
			p.measureAborts(b, keys[:aborted])
			return
		}
	}
}

// counted is what is seen of the Rollouts that step. Of each it has the share, and by
// the name of its document when its pauses are over.
type counted struct {
	share         map[client.ObjectKey]int32
	due           map[string]pauseEnds
	seconds       map[int64]int // writes, by second
	writes, steps int
	late          []time.Duration
}

// pauseEnds are when the present pause of a Rollout is over, which was recorded with
// the sequence, and when the one before was: the document comes after the record.
type pauseEnds struct {
	sequence        int64
	before, present time.Time
}

func (m *counted) wrote(how watch.EventType) {
	if how == watch.Modified {
		m.writes++
		m.seconds[time.Now().Unix()]++
	}
}

func (m *counted) rollout(how watch.EventType, ro *v1alpha1.Rollout) {
	m.wrote(how)
	key, st := client.ObjectKeyFromObject(ro), &ro.Status
	if share, seen := m.share[key]; seen && st.BasisPoints > share {
		m.steps++
	}
	m.share[key] = st.BasisPoints
	name := delivery.RolloutConfigMap(ro.Namespace, ro.Name)
	if due := m.due[name]; st.Step != nil && st.Step.Began != nil && due.sequence != st.Sequence {
		m.due[name] = pauseEnds{sequence: st.Sequence, before: due.present, present: st.Step.Began.Add(pauseOfStep)}
	}
}

// document is that of a Rollout, or something else that is published.
func (m *counted) document(how watch.EventType, cm *corev1.ConfigMap) {
	m.wrote(how)
	due, ok := m.due[cm.Name]
	if !ok || due.before.IsZero() || cm.Data[delivery.KeySequence] != strconv.FormatInt(due.sequence, 10) {
		return
	}
	m.late = append(m.late, time.Since(due.before))
	m.due[cm.Name] = pauseEnds{sequence: due.sequence, present: due.present} // each counts once
}

func (m *counted) report(b *testing.B) {
	b.Helper()
	if m.steps < stepping || len(m.late) < stepping {
		b.Fatalf("%d Rollouts made %d steps, of which %d were seen from the pause before", stepping, m.steps, len(m.late))
	}
	most := 0
	for _, n := range m.seconds {
		most = max(most, n)
	}
	slices.Sort(m.late)
	b.ReportMetric(float64(m.writes)/float64(m.steps), "writes_per_step")
	b.ReportMetric(float64(m.writes)/watched.Seconds(), "writes_per_second")
	b.ReportMetric(float64(most), "writes_in_the_busiest_second")
	b.ReportMetric(float64(m.steps), "steps")
	b.ReportMetric(m.late[len(m.late)/2].Seconds(), "late_p50_seconds")
	b.ReportMetric(m.late[len(m.late)*99/100].Seconds(), "late_p99_seconds")
}

// measureAborts aborts Rollouts while the others go on.
func (p *platform) measureAborts(b *testing.B, keys []client.ObjectKey) {
	b.Helper()
	var took []time.Duration
	for _, key := range keys {
		began := time.Now()
		p.act(b, key, "abort@1")
		for {
			var cm corev1.ConfigMap
			must(b, p.client.Get(b.Context(), client.ObjectKey{Namespace: published, Name: delivery.RolloutConfigMap(key.Namespace, key.Name)}, &cm))
			var doc document.Release
			must(b, json.Unmarshal([]byte(cm.Data[delivery.KeyDocument]), &doc))
			if doc.Target == nil {
				break
			}
			if time.Since(began) > time.Minute {
				b.Fatalf("the abort of %s is not out", key)
			}
			<-time.After(2 * time.Millisecond)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "abort_p99_ms")
}
