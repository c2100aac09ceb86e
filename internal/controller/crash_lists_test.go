package controller_test

import (
	"fmt"
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
func (now state) sound(t *testing.T, when string) {
	t.Helper()
	for _, part := range delivery.Parts(now.out) {
		if now.parts[part.Digest] == nil {
			t.Fatalf("%s: the document names a part that is not there", when)
		}
	}
	for digest := range now.recorded() {
		if now.parts[digest] == nil {
			t.Fatalf("%s: the record names a part that is not there", when)
		}
	}
}

// recorded are the parts that the record names, by digest.
func (now state) recorded() map[string]bool {
	named, st := map[string]bool{}, now.rollout.Status
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
	t.Parallel()
	at := func(attempts int, answer string) reached {
		return reached{
			Stable: "1.0.0", Target: "1.1.0", Step: "1", Kind: "Pause", Percent: "5%", Attempts: attempts, Answer: answer,
			OutStable: "1.0.0", OutTarget: "1.1.0", OutShare: 500, Finalizers: 1,
		}
	}
	eachDeathInScenes(t, func(t *testing.T) (*played, []scene) {
		p := newListed(t)
		first, second := p.lists(t, "ada", "eve"), p.lists(t, "ben", "dan")
		first(t)
		return p, []scene{
			{name: "a start", do: p.names("1.1.0"), want: at(1, ""), parts: 2},
			{name: "an edit", do: second, want: at(0, ""), parts: 3}, // who was included before is remembered
			{name: "an abort", do: p.asks("abort", ""), parts: 2, want: reached{ // the lists of include, for those of exclude came later
				Stable: "1.0.0", Outcome: "Aborted", Percent: "100%", Refused: "app-1.1.0", History: 1, Answer: "Done", OutStable: "1.0.0", Finalizers: 1,
			}},
			{name: "a retry", do: p.asks("retry", ""), want: at(1, "Done"), parts: 3}, // both targets have one seed
			{name: "a completion", do: p.asks("promote-full", ""), want: reached{
				Stable: "1.1.0", Outcome: "FastPromoted", Percent: "100%", History: 1, Answer: "Done", OutStable: "1.1.0", Finalizers: 1,
			}},
			{name: "a rollback", do: func(t testing.TB) { first(t); p.names("1.0.0")(t) }, want: reached{
				Stable: "1.0.0", Outcome: "RolledBack", Percent: "100%", Attempts: 1, History: 1, OutStable: "1.0.0", Finalizers: 1,
			}},
		}
	})
}

// Who leads no longer neither removes parts that a newer record names nor writes others.
func TestWhoSeesOldListsChangesNoPart(t *testing.T) {
	t.Parallel()
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
