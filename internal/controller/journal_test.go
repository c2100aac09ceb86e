package controller_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controller"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// direct is the registry past the front.
func (w *world) direct() *registry.Client {
	return registry.New(registry.Options{Host: w.registry.Host(), Prefix: "miniprograms", PlainHTTP: true, UserAgent: "test"})
}

func (w *world) trustedKeys(t testing.TB) []dsse.Key {
	t.Helper()
	var trusted corev1.ConfigMap
	w.must(t, w.admin.Get(ctx(t), key(systemNamespace, "miniprogram-trusted-keys"), &trusted))
	var keys []dsse.Key
	for _, pem := range trusted.Data {
		k, err := dsse.ParsePublicKeyPEM([]byte(pem))
		w.must(t, err)
		keys = append(keys, k)
	}
	return keys
}

// log reads a journal as whoever audits it does.
func (w *world) log(t testing.TB, repository string) []journal.Known {
	t.Helper()
	return w.logOf(t, w.direct(), repository)
}

func (w *world) logOf(t testing.TB, from *registry.Client, repository string) []journal.Known {
	t.Helper()
	keys := w.trustedKeys(t)
	tags, err := from.Tags(ctx(t), repository)
	w.must(t, err)
	var out []journal.Known
	for _, o := range journal.Sort(tags) {
		a, err := from.ReadEntry(ctx(t), repository, o.Tag())
		if errors.Is(err, registry.ErrNotFound) {
			continue // it is being written at this moment: a registry lists it earlier
		}
		w.must(t, err)
		out = append(out, journal.Know(a, func(a *journal.Artifact) (*journal.Entry, *document.Release, error) { return journal.Read(a, keys) }))
	}
	return out
}

func (g *group) rolloutLog(t testing.TB) []journal.Known {
	t.Helper()
	return g.log(t, journal.RolloutRepository(g.ns, "app"))
}

// awaitEntries waits until the journal has these sequences, and nothing is wrong with it.
func (g *group) awaitEntries(t testing.TB, want []int64) []journal.Known {
	t.Helper()
	var all []journal.Known
	eventually(t, "the journal has all that was published", func() string {
		var got []int64
		var checked []journal.Checked
		all = g.rolloutLog(t)
		for _, k := range all {
			checked = append(checked, k.Checked)
			if k.Entry != nil && (len(got) == 0 || got[len(got)-1] != k.Entry.Number) {
				if k.Entry != nil {
					got = append(got, k.Entry.Number)
				}
			}
		}
		if gaps := journal.Gaps(checked); len(gaps) > 0 {
			return strings.Join(gaps, "\n")
		}
		return cmp.Diff(want, got)
	})
	return all
}

// begins lets 1.1.0 become the target, with pauses for a person at 5 % and 25 %.
func (g *group) begins(t testing.TB) {
	t.Helper()
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) {
		ro.Spec.VersionRef.Name, ro.Spec.Steps = "app-1.1.0", []v1alpha1.RolloutStep{percent(5), pauseForPerson(), percent(25), pauseForPerson()}
	})
}

// publishes25 makes a Rollout with 1.0.0 stable and 1.1.0 at 25 %, and every sequence that was published.
func (g *group) publishes25(t testing.TB) (sequences []int64) {
	t.Helper()
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	for _, version := range []string{"1.0.0", "1.1.0"} {
		g.release(t, "app", version)
		g.approve(t, "app-"+version)
	}
	g.rollout(t, "app", "1.0.0")
	stable := g.awaitRollout(t, "app", "1.0.0 is stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Stable != nil && isOut(ro) })
	sequences = append(sequences, stable.Status.Sequence)
	g.begins(t)
	five := g.awaitRollout(t, "app", "5 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "5%" && isOut(ro) })
	g.act(t, "app", fmt.Sprintf("promote@%d/1", five.Status.Attempt))
	ro := g.awaitRollout(t, "app", "25 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "25%" && isOut(ro) })
	return append(sequences, five.Status.Sequence, ro.Status.Sequence)
}

func TestTheJournalHasEachDocumentWithWhatItRestsOn(t *testing.T) {
	g := newGroup(t, "quality")
	sequences := g.publishes25(t)
	all := g.awaitEntries(t, sequences)
	last := all[len(all)-1]
	if last.Document.Split == nil || last.Document.Split.BasisPoints != 2500 || len(last.Entry.Record) == 0 {
		t.Fatalf("the last entry is %s", show(last))
	}
	b := last.Entry.Basis
	for _, variant := range []*document.Variant{last.Document.Stable, last.Document.Target} {
		v := b.Version(variant.Digest)
		if v == nil || v.Name != "app-"+variant.Version || v.UID == "" || v.Author != g.danaName || len(v.Policies) != 1 || v.Policies[0].Name != g.ns || v.Policies[0].SHA256 == "" {
			t.Errorf("of %s the journal knows %s", variant.Version, show(v))
			continue
		}
		counted := slices.DeleteFunc(slices.Clone(v.Decisions), func(d journal.Decision) bool { return !d.Counted })
		if len(counted) != 1 || counted[0].Reviewer != g.rosaName || counted[0].Role != "quality" || counted[0].Digest != variant.Digest || counted[0].UID == "" {
			t.Errorf("%s was approved by %s", variant.Version, show(v.Decisions))
		}
	}
	if b.Action == nil || b.Action.User != "olu-"+g.ns || !strings.HasPrefix(b.Action.Value, "promote@") {
		t.Errorf("the action was %s", show(b.Action))
	}
	index, err := g.direct().Rollouts(ctx(t), g.ns+".app")
	if diff := cmp.Diff([]journal.Index{{AppID: g.ns + ".app", Namespace: g.ns, Rollout: "app"}}, index); err != nil || diff != "" {
		t.Errorf("the index: %v (-want +got):\n%s", err, diff)
	}
}

// journaling is the journal's part of a process that was started a moment ago.
func (g *group) journaling(r *registry.Client) *controller.JournalReconciler {
	shared := g.shared
	shared.Journal = &controller.Journal{Registry: r}
	return &controller.JournalReconciler{Shared: shared}
}

func (g *group) writeDown(t testing.TB, r *controller.JournalReconciler) error {
	t.Helper()
	_, err := r.Reconcile(ctx(t), ctrl.Request{NamespacedName: rolloutMap(g, "app")})
	return err
}

// The registry is away while a share is raised and aborted; nothing waits for it. The
// manager dies before it is back. The next one finds in the ConfigMap what is missing.
func TestARegistryThatIsAwayHoldsNothingUpAndLosesNothing(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	for _, version := range []string{"1.0.0", "1.1.0"} {
		g.release(t, "app", version)
		g.approve(t, "app-"+version)
		g.awaitCachedApproval(t, "app-"+version)
	}
	g.rollout(t, "app", "1.0.0")
	reached := func(share string) int64 {
		return g.awaitRollout(t, "app", share, func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == share && isOut(ro) }).Status.Sequence
	}
	sequences := []int64{reached("100%")}
	g.awaitEntries(t, sequences)

	g.refuse.Store(http.StatusServiceUnavailable)
	defer g.refuse.Store(0)
	g.begins(t)
	sequences = append(sequences, reached("5%"))
	g.act(t, "app", "promote@2/1")
	sequences = append(sequences, reached("25%"))
	g.act(t, "app", "abort@2")
	sequences = append(sequences, g.awaitRollout(t, "app", "aborted", func(ro *v1alpha1.Rollout) bool { return ro.Status.Outcome == v1alpha1.OutcomeAborted && isOut(ro) }).Status.Sequence)
	g.awaitCached(t, sequences[3])
	if err := g.writeDown(t, g.journaling(registry.New(registry.Options{Host: g.registryHost(), Prefix: "miniprograms", PlainHTTP: true, UserAgent: "test"}))); err == nil {
		t.Error("a registry that refuses everything takes an entry")
	}
	g.must(t, g.writeDown(t, g.journaling(g.direct())))
	all := g.awaitEntries(t, sequences)
	for _, k := range all {
		if k.Entry.Basis == nil || k.Entry.Basis.Version(k.Document.Stable.Digest) == nil {
			t.Errorf("entry %s does not know who approved stable", k.Tag)
		}
	}
}

// Somebody else has written under the tag of an entry. It stays as it is, is told, and the
// entries after it are written all the same.
func TestAnEntryIsNeverOverwritten(t *testing.T) {
	g := newGroup(t, "quality")
	sequences := g.publishes25(t)
	g.awaitEntries(t, sequences)
	g.refuse.Store(http.StatusServiceUnavailable)
	defer g.refuse.Store(0)
	g.act(t, "app", "abort@2")
	ro := g.awaitRollout(t, "app", "aborted", func(ro *v1alpha1.Rollout) bool { return ro.Status.Outcome == v1alpha1.OutcomeAborted && isOut(ro) })
	order := journal.Order{Number: ro.Status.Sequence, Second: ro.Status.Document.IssuedAt.Unix()}
	junk := registry.Record{
		Repository: journal.RolloutRepository(g.ns, "app"), Tag: order.Tag(), ArtifactType: journal.ArtifactType,
		Layers: []registry.RecordLayer{{MediaType: journal.EntryMediaType, Data: []byte("{}")}},
	}
	digest, err := g.direct().Append(ctx(t), junk)
	g.must(t, err)
	g.published(t, "app")
	g.awaitCached(t, order.Number)
	g.must(t, g.writeDown(t, g.journaling(g.direct())))
	there, _, err := g.direct().RecordLayers(ctx(t), junk.Repository, junk.Tag)
	if err != nil || there != digest {
		t.Errorf("the tag names %s, %v; it was %s", there, err, digest)
	}
	g.wantEvent(t, "JournalConflict", "entry "+order.Tag())
	var checked []journal.Checked
	for _, k := range g.rolloutLog(t) {
		checked = append(checked, k.Checked)
	}
	if gaps := journal.Gaps(checked); len(gaps) != 1 || !strings.Contains(gaps[0], "cannot be believed") {
		t.Errorf("who audits sees %q", gaps)
	}
}

func TestTheJournalHasWhatAHostAppBlocks(t *testing.T) {
	g := newGroup(t, "quality")
	g.changeHost(t, func(h *v1alpha1.HostApp) {
		h.Spec.Blocks = []v1alpha1.Block{{AppID: g.ns + ".app", Reason: "it crashes"}}
	})
	eventually(t, "the journal has the block", func() string {
		all := g.log(t, journal.HostAppRepository(g.host))
		if len(all) == 0 || all[len(all)-1].Err != nil || len(all[len(all)-1].Entry.HostApp.Blocked) != 1 {
			return show(all)
		}
		want := []journal.Block{{AppID: g.ns + ".app", Reason: "it crashes"}}
		return cmp.Diff(want, all[len(all)-1].Entry.HostApp.Blocked)
	})
}

// awaitCached waits until the manager's cache has the document of a sequence.
func (g *group) awaitCached(t testing.TB, sequence int64) {
	t.Helper()
	eventually(t, "the cache has the last document", func() string {
		var cm corev1.ConfigMap
		g.must(t, client.IgnoreNotFound(g.shared.Client.Get(ctx(t), rolloutMap(g, "app"), &cm)))
		if cm.Data[delivery.KeySequence] != fmt.Sprint(sequence) {
			return cm.Data[delivery.KeySequence]
		}
		return ""
	})
}

// A process may die at each request to the registry: between the index and the first entry,
// between the layers of an entry, its manifest and its tag, and between two entries. What it
// asked for last was done, and it did not hear of it. Each round dies one request later, in a
// journal of its own.
func TestAJournalThatDiesAtAnyRequestIsCompletedByTheNextProcess(t *testing.T) {
	g := newGroup(t, "quality")
	first := g.publishes25(t)
	g.awaitEntries(t, first)
	g.refuse.Store(http.StatusServiceUnavailable)
	defer g.refuse.Store(0)
	g.act(t, "app", "abort@2")
	aborted := g.awaitRollout(t, "app", "aborted", func(ro *v1alpha1.Rollout) bool { return ro.Status.Outcome == v1alpha1.OutcomeAborted && isOut(ro) })
	g.act(t, "app", "retry@2")
	again := g.awaitRollout(t, "app", "25 % again", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Percent == "25%" && ro.Status.Attempt == 3 && isOut(ro)
	})
	g.awaitCached(t, again.Status.Sequence)
	want := []int64{aborted.Status.Sequence, again.Status.Sequence}
	for dies := int32(0); ; dies++ {
		var asked atomic.Int32
		host := registrytest.Faulty(t, g.registry.Host(), func(*http.Request) *registrytest.Fault {
			switch n := asked.Add(1) - 1; {
			case n < dies:
				return nil
			case n == dies:
				return &registrytest.Fault{DropAnswer: true}
			default:
				return &registrytest.Fault{Status: http.StatusServiceUnavailable}
			}
		})
		at := func(host string) *registry.Client {
			return registry.New(registry.Options{Host: host, Prefix: fmt.Sprint("crash-", dies), PlainHTTP: true, UserAgent: "test"})
		}
		err := g.writeDown(t, g.journaling(at(host)))
		g.must(t, g.writeDown(t, g.journaling(at(g.registry.Host()))))
		var got []int64
		var checked []journal.Checked
		for _, k := range g.logOf(t, at(g.registry.Host()), journal.RolloutRepository(g.ns, "app")) {
			checked = append(checked, k.Checked)
			if k.Entry != nil {
				got = append(got, k.Entry.Number)
			}
		}
		// Those before were written down by the manager, in a journal that is not this one.
		if diff := cmp.Diff(want, got[max(0, len(got)-2):]); diff != "" {
			t.Fatalf("died at request %d (-want +got):\n%s", dies, diff)
		}
		if gaps := journal.Gaps(checked); len(gaps) > 0 {
			t.Fatalf("died at request %d: %q", dies, gaps)
		}
		if index, err := at(g.registry.Host()).Rollouts(ctx(t), g.ns+".app"); err != nil || len(index) != 1 {
			t.Fatalf("died at request %d: the index is %v, %v", dies, index, err)
		}
		if err == nil && asked.Load() <= dies {
			break
		}
	}
}
