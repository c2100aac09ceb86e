package controller_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// played is a Rollout that a test reconciles itself, with two approved versions.
type played struct {
	*group
	transport *deadly
}

// newPlayed makes the Rollout, with 1.0.0 stable.
func newPlayed(t *testing.T) *played {
	t.Helper()
	p := &played{group: newGroup(t, "quality")}
	p.letApprove(t, p.rosaName, "quality", "app")
	p.program(t, "app")
	for _, version := range []string{"1.0.0", "1.1.0"} {
		p.release(t, "app", version)
		p.approve(t, "app-"+version)
	}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		p.awaitCachedApproval(t, "app-"+version)
	}
	p.transport = p.newDeadly(t)
	p.must(t, p.olu.Create(ctx(t), &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.ns, Name: "app", Labels: map[string]string{byHandLabel: "true"}},
		Spec: v1alpha1.RolloutSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"},
		},
	}))
	p.process(&lifeline{}).live(t)
	change(t, p.group, p.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) {
		ro.Spec.Steps = []v1alpha1.RolloutStep{percent(5), pauseForPerson(), percent(25), pauseForPerson()}
	})
	p.process(&lifeline{}).live(t)
	return p
}

func (p *played) rolloutNow(t testing.TB) *v1alpha1.Rollout {
	t.Helper()
	ro := &v1alpha1.Rollout{}
	p.must(t, p.admin.Get(ctx(t), key(p.ns, "app"), ro))
	return ro
}

// names lets Git name a version.
func (p *played) names(version string) func(testing.TB) {
	return func(t testing.TB) { p.target(t, "app", "app-"+version) }
}

// asks sets an action that is about the present attempt.
func (p *played) asks(verb, arg string) func(testing.TB) {
	return func(t testing.TB) { p.act(t, "app", fmt.Sprintf("%s@%d%s", verb, p.rolloutNow(t).Status.Attempt, arg)) }
}

// reached is where a Rollout got to, and what host apps are told.
type reached struct {
	Stable, Target, Outcome, Percent, Refused string
	Step, Kind                                string
	// Attempts, History and Recalls are how many more than before.
	Attempts, History int
	Answer            string
	// OutStable, OutTarget and OutShare are what is published.
	OutStable, OutTarget string
	OutShare             int32
	// Lags tells that what is published is not what is recorded; Fell that a number did.
	Lags, Fell bool
	Finalizers int
	Twice      []string
}

// state is what there is of the Rollout at one moment: its record, what is published, and
// the parts of its lists, by digest.
type state struct {
	rollout *v1alpha1.Rollout
	out     *document.Release
	parts   map[string]document.PartData
}

func (p *played) now(t testing.TB) state {
	t.Helper()
	return state{rollout: p.rolloutNow(t), out: p.publishedNow(t, "app"), parts: p.partsNow(t)}
}

// since tells where the Rollout got to since an earlier moment, in the lives of some processes.
func (now state) since(before state, lives ...*lifeline) reached {
	ro, doc, was := now.rollout, now.out, before.rollout.Status
	st := ro.Status
	r := reached{
		Stable: st.Stable.Version, Outcome: st.Outcome, Percent: st.Percent, Attempts: int(st.Attempt - was.Attempt),
		History: len(st.History) - len(was.History), OutStable: doc.Stable.Version, Finalizers: len(ro.Finalizers),
		Lags: doc.Sequence != st.Sequence || st.Published == nil || st.Published.Sequence != st.Sequence,
		Fell: doc.Sequence < before.out.Sequence || st.LastDelivery < was.LastDelivery || doc.Stable.Delivery < before.out.Stable.Delivery,
	}
	if st.Target != nil {
		r.Target, r.Step, r.Kind = st.Target.Version, fmt.Sprint(st.Step.Index), st.Step.Kind
	}
	if st.Refused != nil {
		r.Refused = st.Refused.VersionRef
	}
	if a := st.LastAction; a != nil && (was.LastAction == nil || was.LastAction.Value != a.Value) {
		r.Answer = a.Result
	}
	if doc.Target != nil {
		r.OutTarget, r.OutShare = doc.Target.Version, doc.Split.BasisPoints
	}
	r.Twice = twice(lives)
	return r
}

// scene is what somebody does to a Rollout, and where that leads.
type scene struct {
	name string
	do   func(testing.TB)
	want reached
	// parts is how many parts of lists there are then.
	parts int
}

// eachDeathInScenes plays the scenes one after another, and all of them again and again: first
// undisturbed, then each with a process that dies at its first call, at its second, … Two
// Rollouts live side by side: processes of the one die before the call, of the other after it.
func eachDeathInScenes(t *testing.T, start func(*testing.T) (*played, []scene)) {
	for when, last := range map[string]fate{"before": neverMade, "after": answerLost} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			p, scenes := start(t)
			calls := map[string]int{}
			longEnough := func(end int) bool {
				return end == 0 || slices.ContainsFunc(scenes, func(s scene) bool { return calls[s.name] >= end })
			}
			for end := 0; longEnough(end); end++ {
				for _, scene := range scenes {
					dies := &lifeline{}
					if end <= calls[scene.name] {
						dies.end, dies.last = end, last
					}
					p.play(t, scene, dies)
					if end == 0 {
						calls[scene.name] = len(dies.all())
					}
				}
			}
			for name, n := range calls {
				if n < 4 {
					t.Errorf("%s took %d calls: status, document, ledger and event should be among them", name, n)
				}
			}
		})
	}
}

// play lets a process do what a scene asks for, which may die of it, and then another one.
func (p *played) play(t *testing.T, s scene, dies *lifeline) {
	t.Helper()
	before, mends := p.now(t), &lifeline{}
	s.do(t)
	p.process(dies).live(t)
	when := fmt.Sprintf("%s: a process died at call %d of %q", s.name, dies.end, dies.all())
	p.now(t).sound(t, when)
	p.process(mends).live(t)
	now, want := p.now(t), s.want
	want.History = min(want.History, 10-len(before.rollout.Status.History)) // it is full at some time
	if diff := cmp.Diff(want, now.since(before, dies, mends)); diff != "" {
		t.Fatalf("%s, and after the next one (-want +got):\n%s", when, diff)
	}
	now.sound(t, when)
	if named := now.recorded(); len(now.parts) != s.parts || len(named) != s.parts {
		t.Fatalf("%s: %d parts are there and %d named, want %d", when, len(now.parts), len(named), s.parts)
	}
}

// A process may die at each call of a pass: between the record and the document, the
// document and the ledger, the ledger and the record.
func TestACrashAtAnyCallOfARolloutIsMendedByTheNextProcess(t *testing.T) {
	t.Parallel()
	back := reached{Stable: "1.0.0", Outcome: "Aborted", Percent: "100%", Refused: "app-1.1.0", History: 1, Answer: "Done", OutStable: "1.0.0", Finalizers: 1}
	at := func(step, share string, basisPoints int32, attempts int, answer string) reached {
		return reached{
			Stable: "1.0.0", Target: "1.1.0", Step: step, Kind: "Pause", Percent: share, Attempts: attempts, Answer: answer,
			OutStable: "1.0.0", OutTarget: "1.1.0", OutShare: basisPoints, Finalizers: 1,
		}
	}
	eachDeathInScenes(t, func(t *testing.T) (*played, []scene) {
		p := newPlayed(t)
		return p, []scene{
			{name: "a start", do: p.names("1.1.0"), want: at("1", "5%", 500, 1, "")},
			{name: "a step", do: p.asks("promote", "/1"), want: at("3", "25%", 2500, 0, "Done")},
			{name: "an abort", do: p.asks("abort", ""), want: back},
			{name: "a retry", do: p.asks("retry", ""), want: at("3", "25%", 2500, 1, "Done")},
			{name: "a completion", do: p.asks("promote", "/3"), want: reached{
				Stable: "1.1.0", Outcome: "Promoted", Percent: "100%", History: 1, Answer: "Done", OutStable: "1.1.0", Finalizers: 1,
			}},
			{name: "a rollback", do: p.names("1.0.0"), want: reached{
				Stable: "1.0.0", Outcome: "RolledBack", Percent: "100%", Attempts: 1, History: 1, OutStable: "1.0.0", Finalizers: 1,
			}},
		}
	})
}

// A manager that leads no longer does not know it, and a cache shows what was there
// once. Each of the two changes nothing of what is there now.
func TestWhoSeesWhatWasThereOnceChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPlayed(t)
	p.names("1.1.0")(t)
	p.process(&lifeline{}).live(t)
	early, earlyMaps := p.rolloutNow(t), p.publishedMaps(t)
	p.asks("promote", "/1")(t)
	p.process(&lifeline{}).live(t)
	late, lateMaps := p.rolloutNow(t), p.publishedMaps(t)
	p.asks("abort", "")(t)
	p.process(&lifeline{}).live(t)
	now, nowMaps := p.rolloutNow(t), p.publishedMaps(t)
	if now.Status.Target != nil || late.Status.Percent != "25%" || early.Status.Percent != "5%" {
		t.Fatalf("the test plays something else: %s, %s, %s", show(early.Status), show(late.Status), show(now.Status))
	}
	// Somebody who still believes that it leads may want something that nobody wants any more.
	wants := early.DeepCopy()
	wants.Annotations = map[string]string{v1alpha1.ActionAnnotation: fmt.Sprintf("promote-full@%d", early.Status.Attempt), v1alpha1.ActionByAnnotation: "olu-" + p.ns}
	for name, stale := range map[string]struct {
		rollout   *v1alpha1.Rollout
		published []corev1.ConfigMap
	}{
		"status of the first step":                         {early, nil},
		"status of the last step":                          {late, nil},
		"status and document of the first step":            {early, earlyMaps},
		"status and document of the last step":             {late, lateMaps},
		"status of the last step, document of the first":   {late, earlyMaps},
		"an action that was taken away, and all as it was": {wants, earlyMaps},
		"an action that was taken away, and status alone":  {wants, nil},
		"the document alone":                               {nil, earlyMaps},
	} {
		t.Run(name, func(t *testing.T) {
			line := &lifeline{}
			process := p.process(line)
			process.stale(stale.rollout, stale.published)
			for range 3 {
				process.pass(t)
			}
			if n := line.written(); n != 0 {
				t.Errorf("%d of its writes were taken: %q", n, line.all())
			}
			after := p.rolloutNow(t)
			if diff := cmp.Diff(now.Status, after.Status); diff != "" || after.ResourceVersion != now.ResourceVersion {
				t.Errorf("status is another (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(nowMaps, p.publishedMaps(t)); diff != "" {
				t.Errorf("what is published, or the ledger, is another (-before +after):\n%s", diff)
			}
			if len(line.events) > 0 {
				t.Errorf("it told %q", line.events)
			}
		})
	}
}

// publishedMaps are the document and the page of the ledger. One watch tells of both, so
// they are late together.
func (p *played) publishedMaps(t testing.TB) []corev1.ConfigMap {
	t.Helper()
	var document, page corev1.ConfigMap
	p.must(t, p.admin.Get(ctx(t), rolloutMap(p.group, "app"), &document))
	p.must(t, p.admin.Get(ctx(t), key(publishedNamespace, document.Labels[delivery.LedgerLabel]), &page))
	return []corev1.ConfigMap{document, page}
}

// awaitCachedApproval waits until the manager's cache shows a version approved.
func (g *group) awaitCachedApproval(t testing.TB, name string) {
	t.Helper()
	eventually(t, "the cache has "+name+" approved", func() string {
		var v v1alpha1.MiniProgramVersion
		if err := g.shared.Client.Get(ctx(t), client.ObjectKey{Namespace: g.ns, Name: name}, &v); err != nil {
			return err.Error()
		}
		if got := condition(v.Status.Conditions, v1alpha1.ConditionApproved); len(got) < 4 || got[:4] != "True" {
			return got
		}
		return ""
	})
}
