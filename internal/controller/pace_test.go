package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/rollout"
)

var paceBegan = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// A hundred steps that fall due at once take the time that their writes take, in the
// order in which they came, and a step that was given its turn keeps it.
func TestStepsThatFallDueAtOnceTakeTurns(t *testing.T) {
	p := NewPace(30)
	var went []string
	most := map[int]int{} // steps by second
	for now := paceBegan; len(went) < 100 && now.Before(paceBegan.Add(time.Minute)); now = now.Add(100 * time.Millisecond) {
		for i := range 100 {
			of := fmt.Sprint(i)
			if i < len(went) {
				continue // they go in order, which is looked at below
			}
			if p.Wait(types.UID(of), 7, now) == 0 {
				went = append(went, of)
				most[int(now.Sub(paceBegan)/time.Second)]++
			}
		}
	}
	for i, of := range went {
		if of != fmt.Sprint(i) {
			t.Fatalf("step %s went in place %d: %v", of, i, went)
		}
	}
	if len(went) != 100 || len(p.turns) != 0 {
		t.Errorf("%d steps went, %d turns are kept", len(went), len(p.turns))
	}
	want := map[int]int{0: 28, 1: 15, 2: 15, 3: 15, 4: 15, 5: 12} // a second's worth may go at once
	if diff := cmp.Diff(want, most); diff != "" {
		t.Errorf("steps in each second (-want +got):\n%s", diff)
	}
}

func TestATurnIsForOneStep(t *testing.T) {
	p := NewPace(2)
	at := func(of string, sequence int64, now time.Time) time.Duration {
		return p.Wait(types.UID(of), sequence, now).Round(time.Millisecond)
	}
	got := []time.Duration{at("a", 1, paceBegan), at("b", 1, paceBegan), at("b", 1, paceBegan.Add(400*time.Millisecond)), at("c", 1, paceBegan), at("b", 2, paceBegan)}
	want := []time.Duration{0, time.Second, 600 * time.Millisecond, 2 * time.Second, 3 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	p.Forget("c")
	if _, kept := p.turns["c"]; kept || len(p.turns) != 1 {
		t.Errorf("kept %v", p.turns)
	}
}

func TestWithoutAPaceNothingWaits(t *testing.T) {
	p := NewPace(0)
	p.Forget("a")
	for range 1000 {
		if wait := p.Wait("a", 1, paceBegan); wait != 0 {
			t.Fatalf("waits %s", wait)
		}
	}
}

// paced is a rollout at 5 % whose document is out.
func paced() *v1alpha1.Rollout {
	return &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Generation: 3},
		Status: v1alpha1.RolloutStatus{
			ObservedGeneration: 3, Attempt: 2, Sequence: 40, BasisPoints: 500,
			Stable: &v1alpha1.Variant{Version: "1.0.0"}, Target: &v1alpha1.Variant{Version: "1.1.0"},
			Document: &v1alpha1.DocumentFacts{
				AppID: "app", Availability: v1alpha1.AvailabilityListed, HostApps: []string{"bank", "wallet"}, PollSeconds: 300,
				By: "user", Seed: "seed", IssuedAt: metav1.NewTime(paceBegan.Add(-time.Minute)),
			},
			Published: &v1alpha1.PublishedDocument{Sequence: 40},
		},
	}
}

func TestOnlyWhatTheClockBringsAboutWaitsForItsTurn(t *testing.T) {
	grows := func(st *v1alpha1.RolloutStatus) { st.Sequence, st.BasisPoints = 41, 2500 }
	for name, tc := range map[string]struct {
		verb   rollout.Verb
		before func(*v1alpha1.Rollout)
		next   func(*v1alpha1.RolloutStatus)
		want   bool
	}{
		"the next share": {verb: rollout.Advance, next: grows, want: true},
		"the end of the plan": {verb: rollout.Complete, want: true, next: func(st *v1alpha1.RolloutStatus) {
			st.Sequence, st.Stable, st.Target = 41, st.Target, nil
			st.Document.By, st.Document.Seed, st.Document.PollSeconds = "", "", 1800
		}},
		"a document that is signed anew": {verb: rollout.Idle, next: func(*v1alpha1.RolloutStatus) {}, want: true},
		"an abort": {verb: rollout.TakeBack, next: func(st *v1alpha1.RolloutStatus) {
			st.Sequence, st.Target = 41, nil
		}},
		"a changed spec": {verb: rollout.Advance, next: grows, before: func(ro *v1alpha1.Rollout) { ro.Generation = 4 }},
		"an action": {verb: rollout.Advance, next: func(st *v1alpha1.RolloutStatus) {
			grows(st)
			st.LastAction = &v1alpha1.ActionAnswer{Value: "promote@2/1"}
		}},
		"a new attempt": {verb: rollout.Advance, next: func(st *v1alpha1.RolloutStatus) {
			grows(st)
			st.Attempt = 3
		}},
		"what is recorded and not out": {verb: rollout.Advance, next: grows, before: func(ro *v1alpha1.Rollout) { ro.Status.Published.Sequence = 39 }},
		"the first document":           {verb: rollout.Advance, next: grows, before: func(ro *v1alpha1.Rollout) { ro.Status.Document = nil }},
		"a suspension": {verb: rollout.Idle, next: func(st *v1alpha1.RolloutStatus) {
			st.Sequence, st.Document.Availability = 41, v1alpha1.AvailabilitySuspended
		}},
		"a suspension while it grows": {verb: rollout.Advance, next: func(st *v1alpha1.RolloutStatus) {
			grows(st)
			st.Document.Availability = v1alpha1.AvailabilitySuspended
		}},
		"a host app that goes while it grows": {verb: rollout.Advance, next: func(st *v1alpha1.RolloutStatus) {
			grows(st)
			st.Document.HostApps = []string{"bank"}
		}},
		"a permission that is withheld while it grows": {verb: rollout.Advance, next: func(st *v1alpha1.RolloutStatus) {
			grows(st)
			st.Target.Declaration = &v1alpha1.Declaration{}
		}},
		"a history that is shortened": {verb: rollout.Idle, next: func(st *v1alpha1.RolloutStatus) { st.Sequence = 41 }},
	} {
		t.Run(name, func(t *testing.T) {
			before := paced()
			move := rollout.Move{Verb: tc.verb, Status: *before.Status.DeepCopy()}
			move.Status.Document.IssuedAt = metav1.NewTime(paceBegan)
			tc.next(&move.Status)
			if tc.before != nil {
				tc.before(before)
			}
			if got := byTheClock(before, move); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
	before := paced()
	if byTheClock(before, rollout.Move{Verb: rollout.Advance, Status: before.Status}) {
		t.Error("a move without a new document waits")
	}
}
