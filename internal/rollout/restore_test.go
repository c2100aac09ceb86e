package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// outIs is what host apps have: the document of a later record.
func outIs(t *testing.T, later status) func(*Seen) {
	t.Helper()
	doc, err := delivery.Render("shop-team", "shop", v1alpha1.ChannelRelease, &later)
	if err != nil {
		t.Fatal(err)
	}
	return func(s *Seen) { s.Out, s.LastSequence = doc, doc.Sequence }
}

// remembering is what the ledger has of what became stable since.
func remembering(version string, delivery int64) func(*Seen) {
	return func(s *Seen) { s.OutStable = served(version, delivery) }
}

func TestARestoredRecordTakesUpWhatIsOut(t *testing.T) {
	const since = "it was taken back after the backup was made that this record comes from"
	later := func(st *status) { st.Sequence += 100 }
	backup := underWay(1, 500, ago(time.Second))
	for name, test := range map[string]struct {
		recorded status
		out      status
		seen     Seen
		want     outline
		reason   string
	}{
		"the share had grown": {
			backup, changed(underWay(3, 2500, ago(time.Second)), later), seeing("1.1.0"),
			outline{Verb: Wait, Reason: "WaitsForPromote", Stable: "1.0.0", Target: "1.1.0", Attempt: 2, Step: 3, Began: now, BasisPoints: 2500, Availability: "Listed"}, "",
		},
		"it was aborted": {
			backup, changed(aborted(), later), seeing("1.1.0"),
			outline{Verb: TakeBack, Reason: "Aborted", Stable: "1.0.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"}, since,
		},
		"it was begun and aborted": {
			released(), changed(aborted(), later), seeing("1.1.0"),
			outline{Verb: Wait, Reason: "Aborted", Stable: "1.0.0", Attempt: 1, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Promoted", Availability: "Listed"}, since,
		},
		"it was completed": {
			backup, changed(backup, later, func(st *status) {
				st.Stable, st.Target, st.Step = st.Target, nil, nil
				st.Document.By, st.Document.Seed = "", ""
			}), seeing("1.1.0"),
			outline{Verb: TakeBack, Reason: "Restored", Stable: "1.1.0", Attempt: 2, BasisPoints: 10000, Outcome: "Promoted", Availability: "Listed"}, "",
		},
		"another became stable": {
			backup, changed(released(), later, func(st *status) { st.Stable = served("1.2.0", 9) }), seeing("1.1.0", remembering("1.2.0", 8)),
			outline{Verb: TakeBack, Reason: "Aborted", Stable: "1.2.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"}, since,
		},
		"it was begun anew and completed": {
			aborted(), changed(aborted(), later, func(st *status) { st.Stable, st.Refused = served("1.1.0", 9), nil }), seeing("1.1.0", remembering("1.1.0", 8)),
			outline{Verb: TakeBack, Reason: "Restored", Stable: "1.1.0", Attempt: 2, BasisPoints: 10000, Outcome: "Aborted", Availability: "Listed"}, "",
		},
		"a document of the same sequence says nothing new": {
			backup, underWay(3, 2500, ago(time.Second)), seeing("1.1.0"),
			outline{Verb: Advance, Reason: "Progressing", Stable: "1.0.0", Target: "1.1.0", Attempt: 2, Step: 1, Began: ago(time.Second), BasisPoints: 500, Availability: "Listed"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			outIs(t, test.out)(&test.seen)
			got := Decide(planTo("1.1.0"), test.recorded, test.seen, now)
			if diff := cmp.Diff(test.want, outlineOf(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if r := got.Status.Refused; r != nil && r.Reason != test.reason {
				t.Errorf("refused: %q, want %q", r.Reason, test.reason)
			}
			if got.Status.Sequence < test.out.Sequence {
				t.Errorf("sequence %d, and %d is out", got.Status.Sequence, test.out.Sequence)
			}
		})
	}
}

// What was stable is gone back to from what a restored record takes up, where that must not
// be served any more.
func TestWhatARestoredRecordTakesUpMayBeUnservable(t *testing.T) {
	later := changed(released(), func(st *status) { st.Sequence, st.Stable = st.Sequence+100, served("1.2.0", 9) })
	withdrawn := func(s *Seen) { s.Unservable[variant("1.2.0").Digest] = Hold{"Withdrawn", "it was withdrawn"} }
	for want, change := range map[string]func(*Seen){"1.2.0": func(*Seen) {}, "1.0.0": withdrawn} {
		got := Decide(planTo("1.2.0"), released(), seeing("1.2.0", outIs(t, later), remembering("1.2.0", 8), change, func(s *Seen) {
			s.Candidate.Problem = &Hold{"Withdrawn", "it was withdrawn: name another in spec.versionRef"}
		}), now).Status
		if got.Stable.Version != want || got.Target != nil || got.Sequence <= later.Sequence {
			t.Errorf("stable is %s with sequence %d, want %s above %d; target %v", got.Stable.Version, got.Sequence, want, later.Sequence, got.Target)
		}
		if want == "1.2.0" && (got.Stable.Delivery != 9 || got.Rollbacks[len(got.Rollbacks)-1].Version != "1.0.0") {
			t.Errorf("nobody is to download what he has: delivery %d, want 9; back to %+v", got.Stable.Delivery, got.Rollbacks)
		}
	}
}

func TestWhoHasATargetThatARestoredRecordDoesNotKnowGetsStable(t *testing.T) {
	forgotten := changed(underWay(1, 500, ago(time.Second)), func(st *status) { st.Sequence += 100 })
	got := Decide(planTo("1.0.0"), released(), seeing("1.0.0", outIs(t, forgotten)), now).Status
	want := []v1alpha1.Recall{{
		By: "user", Seed: forgotten.Document.Seed, BasisPoints: 500, Delivery: minutes(now), Digest: forgotten.Target.Digest,
	}}
	if diff := cmp.Diff(want, got.Recalls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The share that is out is out to an audience. While the gate is shut nobody else gets
// the target because a record knows nothing of that.
func TestARestoredRecordTakesUpToWhomTheTargetIsOut(t *testing.T) {
	named := v1alpha1.AudienceFacts{Seed: salt, Include: hashes("ada"), Rules: inCity("Lhasa")}
	end := metav1.NewTime(now.Add(time.Hour))
	later := changed(underWay(3, 2500, ago(time.Second)), func(st *status) {
		st.Sequence += 100
		st.Document.Audience, st.Document.Window = named.DeepCopy(), &v1alpha1.WindowFacts{End: &end}
	})
	edited := planTo("1.1.0").with(withAudience(Audience{Include: []string{"ada"}})) // an edit that waits for the gate
	got := Decide(edited, underWay(1, 500, ago(time.Second)), seeing("1.1.0", unapproved, outIs(t, later)), now).Status
	if diff := cmp.Diff(later.Document.Audience, got.Document.Audience); diff != "" {
		t.Errorf("audience (-want +got):\n%s", diff)
	}
	if got.BasisPoints != 2500 || got.Document.Window == nil || !got.Document.Window.End.Equal(&end) {
		t.Errorf("%d basis points in %+v", got.BasisPoints, got.Document.Window)
	}
	forgotten := Decide(planTo("1.0.0"), released(), seeing("1.0.0", outIs(t, later)), now).Status
	want := &v1alpha1.RecallAudience{Seed: salt, Include: hashes("ada")}
	if diff := cmp.Diff(want, forgotten.Recalls[0].Audience); diff != "" {
		t.Errorf("recalled (-want +got):\n%s", diff)
	}
}
