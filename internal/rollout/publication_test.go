package rollout

import (
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestAPauseDoesNotCountBeforeItsShareIsOut(t *testing.T) {
	plan := Plan{
		VersionRef: "1.1.0", By: "user", Stickiness: v1alpha1.StickinessVersion,
		Steps: []Step{{BasisPoints: 500}, {Pause: &Pause{Wait: time.Minute}}, {BasisPoints: 2500}, {Pause: &Pause{Wait: time.Minute}}},
	}
	first := Decide(plan, released(), seeing("1.1.0"), now)
	if got := first.Status; got.BasisPoints != 500 || got.Step.Index != 1 {
		t.Fatalf("started at %d basis points, step %d", got.BasisPoints, got.Step.Index)
	}
	// The manager dies before the document is written, and comes back an hour later.
	late := now.Add(time.Hour + 300*time.Millisecond)
	back := Decide(plan, first.Status, seeing("1.1.0", func(s *Seen) { s.Unpublished = true }), late)
	if got := back.Status; got.BasisPoints != 500 || got.Step.Index != 1 || back.Reason != "Publishing" || back.Recheck != time.Second {
		t.Errorf("before the share was out: %d basis points, step %d, %s, recheck %s", got.BasisPoints, got.Step.Index, back.Reason, back.Recheck)
	}
	out := back.Status
	CountFrom(&out, late)
	for after, want := range map[time.Duration]int32{0: 500, time.Minute: 500, 61 * time.Second: 2500} {
		if got := Decide(plan, out, seeing("1.1.0"), late.Add(after)).Status.BasisPoints; got != want {
			t.Errorf("%s after it was out: %d basis points, want %d", after, got, want)
		}
	}
}

func TestAnotherDocumentDuringAPauseDoesNotBeginItAnew(t *testing.T) {
	st := underWay(1, 500, ago(30*time.Second))
	began := *st.Step.Began
	st.Document.IssuedAt = *stampAt(now)
	CountFrom(&st, now)
	if !st.Step.Began.Equal(&began) {
		t.Errorf("the pause began %s, and now at %s", began, st.Step.Began)
	}
}
