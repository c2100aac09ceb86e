package controller_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// newListed is a Rollout with lists in ConfigMaps, of a host app with tokens.
func newListed(t *testing.T) *played {
	t.Helper()
	p := newPlayed(t)
	p.withToken(t)
	eventually(t, "the cache has the host app's access", func() string {
		var h v1alpha1.HostApp
		p.must(t, p.shared.Client.Get(ctx(t), key("", p.host), &h))
		if h.Spec.Access == nil {
			return "it asks for no token"
		}
		return ""
	})
	return p
}

// lists lets the audience name other lists.
func (p *played) lists(t testing.TB, include, exclude string) func(testing.TB) {
	in, ex := p.list(t, "in-"+include, keysOf(include, 3)), p.list(t, "ex-"+exclude, keysOf(exclude, 2))
	return func(t testing.TB) {
		p.edit(t, fmt.Sprintf("audience: {include: {from: [%s]}, exclude: {from: [%s]}}", in, ex))
	}
}

// sound wants the parts there that the published document and the record name.
func (p *played) sound(t *testing.T, when string) {
	t.Helper()
	there := p.partsNow(t)
	for _, part := range delivery.Parts(p.publishedNow(t, "app")) {
		if there[part.Digest] == nil {
			t.Fatalf("%s: the document names a part that is not there", when)
		}
	}
	for digest := range p.recorded(t) {
		if there[digest] == nil {
			t.Fatalf("%s: the record names a part that is not there", when)
		}
	}
}

// recorded are the parts that the record names, by list.
func (p *played) recorded(t *testing.T) map[string]bool {
	t.Helper()
	named, st := map[string]bool{}, p.rolloutNow(t).Status
	if a := st.Document.Audience; a != nil {
		for _, part := range a.Parts {
			named[part.Digest] = true
		}
	}
	for _, r := range st.Recalls {
		if r.Audience != nil {
			for _, part := range r.Audience.Parts {
				named[part.Digest] = true
			}
		}
	}
	return named
}

// A process may die between the parts and the record, the record and the document, the
// document and the removal of what it names no longer.
func TestACrashAtAnyCallWithListsIsMendedByTheNextProcess(t *testing.T) {
	p := newListed(t)
	first, second := p.lists(t, "ada", "eve"), p.lists(t, "ben", "dan")
	first(t)
	at := func(attempts int, answer string) reached {
		return reached{
			Stable: "1.0.0", Target: "1.1.0", Step: "1", Kind: "Pause", Percent: "5%", Attempts: attempts, Answer: answer,
			OutStable: "1.0.0", OutTarget: "1.1.0", OutShare: 500, Finalizers: 1,
		}
	}
	scenes := []struct {
		scene
		parts int
	}{
		{scene{"a start", p.names("1.1.0"), at(1, "")}, 2},
		{scene{"an edit", second, at(0, "")}, 3}, // who was included before is remembered
		{scene{"an abort", p.asks("abort", ""), reached{
			Stable: "1.0.0", Outcome: "Aborted", Percent: "100%", Refused: "app-1.1.0", History: 1, Answer: "Done", OutStable: "1.0.0", Finalizers: 1,
		}}, 2}, // the lists of include, for those of exclude came later
		{scene{"a retry", p.asks("retry", ""), at(1, "Done")}, 3}, // both targets have one seed
		{scene{"a completion", p.asks("promote-full", ""), reached{
			Stable: "1.1.0", Outcome: "FastPromoted", Percent: "100%", History: 1, Answer: "Done", OutStable: "1.1.0", Finalizers: 1,
		}}, 0},
		{scene{"a rollback", func(t testing.TB) { first(t); p.names("1.0.0")(t) }, reached{
			Stable: "1.0.0", Outcome: "RolledBack", Percent: "100%", Attempts: 1, History: 1, OutStable: "1.0.0", Finalizers: 1,
		}}, 0},
	}
	calls := map[string]int{}
	for end := 0; end == 0 || slices.ContainsFunc(scenes, func(s struct {
		scene
		parts int
	}) bool {
		return calls[s.name] >= end
	}); end++ {
		for _, last := range []fate{neverMade, answerLost} {
			for _, scene := range scenes {
				before, out := p.rolloutNow(t), p.published(t, "app")
				dies, mends := &lifeline{}, &lifeline{}
				if end > 0 && end <= calls[scene.name] {
					dies.end, dies.last = end, last
				}
				scene.do(t)
				p.process(dies).live(t)
				when := fmt.Sprintf("%s: a process died at call %d of %q", scene.name, end, dies.all())
				p.sound(t, when)
				p.process(mends).live(t)
				want := scene.want
				want.History = min(want.History, 10-len(before.Status.History))
				if diff := cmp.Diff(want, p.reached(t, before, out, dies, mends)); diff != "" {
					t.Fatalf("%s, and after the next one (-want +got):\n%s", when, diff)
				}
				p.sound(t, when)
				if there, named := p.partsNow(t), p.recorded(t); len(there) != scene.parts || len(named) != scene.parts {
					t.Fatalf("%s: %d parts are there and %d named, want %d", when, len(there), len(named), scene.parts)
				}
				if end == 0 {
					calls[scene.name] = len(dies.all())
				}
			}
		}
	}
}

// Who leads no longer neither removes parts that a newer record names nor writes others.
func TestWhoSeesOldListsChangesNoPart(t *testing.T) {
	p := newListed(t)
	p.lists(t, "ada", "eve")(t)
	p.names("1.1.0")(t)
	p.process(&lifeline{}).live(t)
	early, earlyMaps := p.rolloutNow(t), p.publishedMaps(t)
	p.lists(t, "ben", "dan")(t)
	p.process(&lifeline{}).live(t)
	p.asks("abort", "")(t)
	p.process(&lifeline{}).live(t)
	now, parts := p.rolloutNow(t), p.partsNow(t)
	if len(parts) != 2 || len(early.Status.Document.Audience.Parts) != 2 {
		t.Fatalf("the test plays something else: %d parts, %s", len(parts), show(early.Status.Document.Audience))
	}
	line := &lifeline{}
	process := p.process(line)
	process.stale(early, earlyMaps)
	for range 3 {
		process.pass(t)
	}
	if n := line.written(); n != 0 {
		t.Errorf("%d of its writes were taken: %q", n, line.all())
	}
	if diff := cmp.Diff(parts, p.partsNow(t)); diff != "" || p.rolloutNow(t).ResourceVersion != now.ResourceVersion {
		t.Errorf("parts are others (-before +after):\n%s", diff)
	}
}

// Somebody removes parts by hand, and the next pass writes them anew; or the list is gone
// too, and what takes back does not wait for it.
func TestPartsThatAreGoneAreMadeAgain(t *testing.T) {
	g := newGroup(t, "quality")
	server := g.ready(t)
	token := g.withToken(t)
	list := g.list(t, "in", keysOf("in", 3))
	g.edit(t, "versionRef: {name: app-1.1.0}, steps: [{setPercent: 0}, {pause: {}}], audience: {include: {from: ["+list+"]}}")
	under := g.awaitRollout(t, "app", "the target", func(ro *v1alpha1.Rollout) bool { return ro.Status.Target != nil && isOut(ro) })
	g.awaitResolvedBy(t, server, token, map[user]string{"in-0": "1.1.0 Included"})
	g.removeParts(t)
	g.awaitParts(t, 1)

	part := under.Status.Document.Audience.Parts[0]
	name := delivery.AudienceConfigMap(g.ns, "app", part.Digest, part.Keys)
	g.must(t, g.dana.Delete(ctx(t), groupConfigMap(g, "in")))
	g.removeParts(t)
	gone := "False SourceMissing: spec.audience.include.from[0].configMap names ConfigMap in, which does not exist in namespace " + g.ns + ": create it"
	g.awaitRollout(t, "app", gone, func(ro *v1alpha1.Rollout) bool {
		return condition(ro.Status.Conditions, v1alpha1.ConditionReady) == gone || condition(ro.Status.Conditions, v1alpha1.ConditionReady) == "False AudiencePartMissing: "+name
	})
	g.awaitResolvedBy(t, server, token, map[user]string{"in-0": "1.1.0 Included", "mo": "1.0.0 OutsideShare"}) // what is in service stays
	g.act(t, "app", "abort@2")
	aborted := g.awaitRollout(t, "app", "the abort", func(ro *v1alpha1.Rollout) bool { return ro.Status.Outcome == v1alpha1.OutcomeAborted && isOut(ro) })
	g.awaitResolvedBy(t, server, token, map[user]string{"in-0": "1.0.0 NoTarget"})
	g.awaitResolvedBy(t, g.serving(t), token, map[user]string{"in-0": "1.0.0 NoTarget"}) // also by one that starts now
	if len(aborted.Status.Recalls) != 0 || aborted.Status.Stable.Delivery <= under.Status.Target.Delivery {
		t.Errorf("recalls %s, stable under %d, the target had %d", show(aborted.Status.Recalls), aborted.Status.Stable.Delivery, under.Status.Target.Delivery)
	}
}
