package rollout

import (
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// unpublished is what is seen of a decision whose document is not out.
func unpublished(s *Seen) { s.Unpublished = true }

func outSince(t time.Time) func(*Seen) { return func(s *Seen) { s.OutSince = t } }

// twoPauses is 5 %, a pause of a minute, 25 %, a pause of a minute.
var twoPauses = Plan{
	VersionRef: "1.1.0", By: "user", Stickiness: v1alpha1.StickinessVersion,
	Steps: []Step{{BasisPoints: 500}, {Pause: &Pause{Wait: time.Minute}}, {BasisPoints: 2500}, {Pause: &Pause{Wait: time.Minute}}},
}

func TestAPauseDoesNotCountBeforeItsShareIsOut(t *testing.T) {
	first := Decide(twoPauses, released(), seeing("1.1.0"), now)
	if got := first.Status; got.BasisPoints != 500 || got.Step.Index != 1 {
		t.Fatalf("started at %d basis points, step %d", got.BasisPoints, got.Step.Index)
	}
	// The manager dies before the document is written, and comes back an hour later.
	late := now.Add(time.Hour + 300*time.Millisecond)
	back := Decide(twoPauses, first.Status, seeing("1.1.0", unpublished), late)
	if got := back.Status; got.BasisPoints != 500 || got.Step.Index != 1 || back.Reason != "Publishing" || back.Recheck != time.Second {
		t.Errorf("before the share was out: %d basis points, step %d, %s, recheck %s", got.BasisPoints, got.Step.Index, back.Reason, back.Recheck)
	}
	out := Decide(twoPauses, back.Status, seeing("1.1.0", outSince(late)), late).Status
	for after, want := range map[time.Duration]int32{0: 500, time.Minute: 500, 61 * time.Second: 2500} {
		for name, seen := range map[string]Seen{
			"known from the record":   seeing("1.1.0"),
			"known from the document": seeing("1.1.0", outSince(late)),
		} {
			if got := Decide(twoPauses, out, seen, late.Add(after)).Status.BasisPoints; got != want {
				t.Errorf("%s, %s after it was out: %d basis points, want %d", name, after, got, want)
			}
		}
	}
}

func TestAStepBeginsWhenItsDocumentIsThoughtToBeOut(t *testing.T) {
	began := func(by time.Time) time.Time {
		seen := seeing("1.1.0")
		seen.OutBy = by
		st := Decide(twoPauses, released(), seen, now).Status
		if until := st.Step.Began.Add(time.Minute); !st.Step.Until.Time.Equal(until) {
			t.Errorf("the pause ends %s, not %s", st.Step.Until, until)
		}
		return st.Step.Began.Time
	}
	for by, want := range map[time.Time]time.Time{
		{}: now, now.Add(-time.Hour): now, now: now, now.Add(time.Millisecond): now.Add(time.Second), now.Add(time.Second): now.Add(time.Second),
	} {
		if got := began(by); !got.Equal(want) {
			t.Errorf("out by %s: began %s, want %s", by, got, want)
		}
	}
	// What was in time is not written again.
	thought := seeing("1.1.0")
	thought.OutBy = now.Add(500 * time.Millisecond)
	st := Decide(twoPauses, released(), thought, now).Status
	again := Decide(twoPauses, st, seeing("1.1.0", outSince(now.Add(time.Second))), now).Status
	if !again.Step.Began.Equal(st.Step.Began) {
		t.Errorf("it began %s, and now at %s", st.Step.Began, again.Step.Began)
	}
}

func TestAnotherDocumentDuringAPauseDoesNotBeginItAnew(t *testing.T) {
	st := underWay(1, 500, ago(30*time.Second))
	st.Document.IssuedAt = *stampAt(now)
	got := Decide(planTo("1.1.0"), st, seeing("1.1.0", outSince(now)), now).Status
	if !got.Step.Began.Equal(st.Step.Began) {
		t.Errorf("the pause began %s, and now at %s", st.Step.Began, got.Step.Began)
	}
}
