package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controller"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// keysOfHost are the states of the keys that the group's host app shows, by their IDs.
func (g *group) keysOfHost(t testing.TB) map[string]string {
	t.Helper()
	var h v1alpha1.HostApp
	g.must(t, g.admin.Get(ctx(t), key("", g.host), &h))
	states := map[string]string{}
	for _, k := range h.Status.Keys {
		states[k.KeyID] = k.State
	}
	return states
}

// rotate asks for a new key, and has the manager look at once.
func (w *world) rotate(t testing.TB) {
	t.Helper()
	var trusted, chain corev1.ConfigMap
	w.must(t, w.admin.Get(ctx(t), key(publishedNamespace, delivery.KeysConfigMap), &chain))
	w.must(t, w.admin.Get(ctx(t), key(systemNamespace, "miniprogram-trusted-keys"), &trusted))
	before := trusted.DeepCopy()
	trusted.Annotations[signing.RequestAnnotation] = "rotate@" + chain.Data[delivery.KeySequence]
	w.must(t, w.admin.Patch(ctx(t), &trusted, client.MergeFrom(before)))
	touched := chain.DeepCopy()
	touched.Annotations = map[string]string{"test": strconv.FormatInt(time.Now().UnixNano(), 10)}
	w.must(t, w.admin.Patch(ctx(t), touched, client.MergeFrom(&chain)))
}

// The manager of these tests announces no key for long: a rotation is over when
// every document is signed by the new key. There are two, for the second one ends in
// the Secret that other tests read.
func TestARotationReachesEveryDocumentAndHostApp(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	for range 2 {
		old, doc := g.keysOfHost(t), g.published(t, "app")
		if len(old) != 1 {
			t.Fatalf("the host app shows the keys %v, want one", old)
		}
		g.rotate(t)
		eventually(t, "the host app shows another key alone", func() string {
			now := g.keysOfHost(t)
			if len(now) == 1 && !maps.Equal(now, old) {
				return ""
			}
			return fmt.Sprint(now)
		})
		id := slices.Collect(maps.Keys(g.keysOfHost(t)))[0]
		var cm corev1.ConfigMap
		g.must(t, g.admin.Get(ctx(t), rolloutMap(g, "app"), &cm))
		if !slices.Contains(signersOf(t, &cm), id) {
			t.Errorf("the document is signed by %v, want %s", signersOf(t, &cm), id)
		}
		if diff := cmp.Diff(doc, g.published(t, "app")); diff != "" {
			t.Errorf("the document changed (-before +after):\n%s", diff)
		}
		var ro v1alpha1.Rollout
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), &ro))
		if ro.Status.Sequence != doc.Sequence {
			t.Errorf("the sequence is %d, was %d", ro.Status.Sequence, doc.Sequence)
		}
	}
	g.ourKey(t)
}

func signersOf(t testing.TB, cm *corev1.ConfigMap) []string {
	t.Helper()
	e, err := dsse.Parse([]byte(cm.Data[delivery.KeyEnvelope]), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range e.Signatures {
		ids = append(ids, s.KeyID)
	}
	return ids
}

// byHand is the keys of an installation of its own, with a clock that the test sets.
type byHand struct {
	*controller.KeysReconciler
	w   *world
	ns  string
	now time.Time
}

func newByHand(t *testing.T) *byHand {
	t.Helper()
	w := theWorldFor(t)
	b := &byHand{w: w, ns: w.cp.Namespace(t), now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	b.KeysReconciler = &controller.KeysReconciler{
		Shared: controller.Shared{Client: w.admin, Namespace: b.ns, PublicationNamespace: b.ns, Keys: &signing.Keys{
			Client: w.admin, Namespace: b.ns, Name: "key", TrustedName: "trusted", PublicationNamespace: b.ns,
			Times: signing.Times{Announce: time.Hour, Overlap: time.Hour}, Now: func() time.Time { return b.now },
		}},
		Changed: make(chan event.GenericEvent, 100),
	}
	b.pass(t)
	return b
}

// pass reconciles until there is nothing more for now, and counts how often.
func (b *byHand) pass(t *testing.T) int {
	t.Helper()
	for n := 1; ; n++ {
		result, err := b.Reconcile(ctx(t), ctrl.Request{})
		if err != nil {
			t.Fatal(err)
		}
		if result.RequeueAfter > time.Second {
			return n
		}
	}
}

func (b *byHand) rotate(t *testing.T) {
	t.Helper()
	var trusted corev1.ConfigMap
	b.w.must(t, b.w.admin.Get(ctx(t), key(b.ns, "trusted"), &trusted))
	var report signing.Report
	b.w.must(t, json.Unmarshal([]byte(trusted.Annotations[signing.ReportAnnotation]), &report))
	trusted.Annotations[signing.RequestAnnotation] = fmt.Sprintf("rotate@%d", report.Number)
	b.w.must(t, b.w.admin.Update(ctx(t), &trusted))
	b.pass(t)
}

func (b *byHand) publish(t *testing.T, name string, envelope []byte) {
	t.Helper()
	b.w.must(t, b.w.admin.Create(ctx(t), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name, Labels: map[string]string{
			v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: delivery.KindRollout,
		}},
		Data: map[string]string{delivery.KeyEnvelope: string(envelope), delivery.KeySequence: "7", delivery.KeyPercent: "5%"},
	}))
}

func (b *byHand) set(t *testing.T) *signing.Set {
	t.Helper()
	set, err := b.Keys.Set(ctx(t), nil)
	b.w.must(t, err)
	return set
}

// behind is a cache that still has what was read before.
type behind struct {
	client.Client
	seen *corev1.ConfigMapList
}

func (b behind) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if maps, is := list.(*corev1.ConfigMapList); is {
		b.seen.DeepCopyInto(maps)
		return nil
	}
	return b.Client.List(ctx, list, opts...)
}

func TestASlowPassDoesNotOverwriteANewerDocument(t *testing.T) {
	b := newByHand(t)
	one := b.set(t)
	envelope, err := one.Sign([]byte("older"))
	b.w.must(t, err)
	b.publish(t, "app.rollout", envelope)
	b.rotate(t)
	seen := new(corev1.ConfigMapList)
	b.w.must(t, b.w.admin.List(ctx(t), seen, client.InNamespace(b.ns), client.MatchingLabels{delivery.DocumentLabel: delivery.KindRollout}))
	var cm corev1.ConfigMap
	b.w.must(t, b.w.admin.Get(ctx(t), key(b.ns, "app.rollout"), &cm))
	newer, err := one.Sign([]byte("newer"))
	b.w.must(t, err)
	cm.Data[delivery.KeyEnvelope] = string(newer)
	b.w.must(t, b.w.admin.Update(ctx(t), &cm))

	b.Client, b.now = behind{b.w.admin, seen}, b.now.Add(time.Hour)
	result, err := b.Reconcile(ctx(t), ctrl.Request{})
	if err != nil || result.RequeueAfter > time.Second {
		t.Errorf("overtaken: %+v, %v, want another try", result, err)
	}
	b.w.must(t, b.w.admin.Get(ctx(t), key(b.ns, "app.rollout"), &cm))
	if cm.Data[delivery.KeyEnvelope] != string(newer) {
		t.Error("the newer document was overwritten")
	}
	b.Client = b.w.admin
	b.pass(t)
	b.w.must(t, b.w.admin.Get(ctx(t), key(b.ns, "app.rollout"), &cm))
	if both := b.set(t); !both.Good([]byte(cm.Data[delivery.KeyEnvelope]), []byte("newer")) || !both.Complete([]byte(cm.Data[delivery.KeyEnvelope])) {
		t.Errorf("the newer document is signed by %v", signersOf(t, &cm))
	}
}

func TestDocumentsAreSignedAnewAFewAtATimeAndTheOldKeyStaysUntilAllAre(t *testing.T) {
	b := newByHand(t)
	const documents = 45
	one := b.set(t)
	for n := range documents {
		envelope, err := one.Sign([]byte(strconv.Itoa(n)))
		b.w.must(t, err)
		b.publish(t, fmt.Sprintf("n%02d.rollout", n), envelope)
	}
	forged, err := newByHand(t).set(t).Sign([]byte("forged"))
	b.w.must(t, err)
	b.publish(t, "forged.rollout", forged)

	b.rotate(t)
	b.now = b.now.Add(time.Hour)
	if passes := b.pass(t); passes != 3 {
		t.Errorf("%d documents were signed anew in %d passes, want 20 in each", documents, passes)
	}
	both := b.set(t)
	var all corev1.ConfigMapList
	b.w.must(t, b.w.admin.List(ctx(t), &all, client.InNamespace(b.ns), client.MatchingLabels{delivery.DocumentLabel: delivery.KindRollout}))
	for _, cm := range all.Items {
		if cm.Name == "forged.rollout" {
			if cm.Data[delivery.KeyEnvelope] != string(forged) {
				t.Error("what somebody forged is signed by us")
			}
			continue
		}
		if n := len(signersOf(t, &cm)); n != 2 || both.Lacks([]byte(cm.Data[delivery.KeyEnvelope])) || cm.Data[delivery.KeyPercent] != "5%" || cm.Data[delivery.KeySequence] != "7" {
			t.Errorf("%s has %d signatures, and %v", cm.Name, n, cm.Data)
		}
	}
	// One more that only the old key signed: as of a manager that led until now.
	late, err := one.Sign([]byte("late"))
	b.w.must(t, err)
	b.publish(t, "late.rollout", late)
	b.now = b.now.Add(time.Hour)
	b.pass(t)
	b.pass(t)
	var cm corev1.ConfigMap
	b.w.must(t, b.w.admin.Get(ctx(t), key(b.ns, "late.rollout"), &cm))
	last := b.set(t)
	if len(last.Keys) != 1 || last.Keys[0].KeyID == one.Keys[0].KeyID || !last.Good([]byte(cm.Data[delivery.KeyEnvelope]), []byte("late")) {
		t.Errorf("in the end the keys are %+v, and the late document is signed by %v", last.Keys, signersOf(t, &cm))
	}
}
