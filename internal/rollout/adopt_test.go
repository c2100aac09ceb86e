package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// overtaken is seen by a rollout whose app ID others have held and published for:
// 3.0.0 is stable with them, under the number, and nothing of theirs is under way.
func overtaken(number, lastSequence int64) func(*Seen) {
	return func(s *Seen) {
		s.Overtaken, s.Adopt, s.LastDelivery, s.LastSequence = true, served("3.0.0", number), number, lastSequence
	}
}

func TestARolloutThatWasOvertakenStartsFromWhatOthersLeft(t *testing.T) {
	number, sequence := minutes(published)+50, published.Unix()+1000
	recorded := released("0.9.0")
	recorded.Recalls = []v1alpha1.Recall{{By: "user", Seed: "x", BasisPoints: 500, Delivery: minutes(published) + 1}}
	recorded.LastAction = &v1alpha1.ActionAnswer{Value: "pause@1", Result: resultDone}
	recorded.Refused = &v1alpha1.Refused{VersionRef: "shop-2.0.0", Digest: variant("2.0.0").Digest, Reason: "aborted", Step: 1}

	first := Decide(planTo("1.0.0"), recorded, seeing("1.0.0", overtaken(number, sequence)), now)
	want := outline{Verb: Advance, Reason: "Progressing", Stable: "3.0.0", Target: "1.0.0", Attempt: 2, Step: 1, Began: now, BasisPoints: 500, Availability: "Listed"}
	if diff := cmp.Diff(want, outlineOf(first)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	st := first.Status
	if st.Sequence <= sequence || st.Stable.Delivery != number || st.Target.Delivery <= number || len(st.Recalls)+len(st.Rollbacks) != 0 {
		t.Errorf("recorded is %+v", st)
	}
	if diff := cmp.Diff(recorded.LastAction, st.LastAction); diff != "" || len(st.History) != len(recorded.History) {
		t.Errorf("what people said is gone: %s", diff)
	}
	refused := Decide(planTo("2.0.0"), recorded, seeing("2.0.0", overtaken(number, sequence)), now)
	if st := refused.Status; refused.Reason != "Aborted" || st.Target != nil || st.Stable.Version != "3.0.0" {
		t.Errorf("what was aborted goes out again: %+v", outlineOf(refused))
	}
}

func TestATargetOfBeforeIsNotContinued(t *testing.T) {
	recorded := Decide(planTo("2.0.0"), released(), seeing("2.0.0"), published).Status
	if recorded.Target == nil {
		t.Fatal("no target is under way")
	}
	got := Decide(planTo("2.0.0"), recorded, seeing("2.0.0", unapproved, overtaken(minutes(now)+5, now.Unix()+5)), now)
	if st := got.Status; st.Target != nil || st.Stable.Version != "3.0.0" || st.Step != nil || st.BasisPoints != 10000 || st.Sequence != now.Unix()+6 {
		t.Errorf("recorded is %+v", outlineOf(got))
	}
}

// The sequence is above also where nothing but it changes.
func TestWhoWasOvertakenByTheSameGoesAbove(t *testing.T) {
	recorded := released()
	seen := seeing("1.0.0", func(s *Seen) {
		s.Overtaken, s.Adopt, s.LastSequence = true, recorded.Stable.DeepCopy(), recorded.Sequence
	})
	if got := Decide(planTo("1.0.0"), recorded, seen, published.Add(-time.Minute)).Status.Sequence; got != recorded.Sequence+1 {
		t.Errorf("the sequence is %d after %d", got, recorded.Sequence)
	}
}

// What others had approved for wallet was approved for nothing else, whatever the
// record says that this rollout served before.
func TestWhatOthersLeftGoesWhereTheyHadIt(t *testing.T) {
	recorded := changed(released(), func(st *status) { st.Document.HostApps = []string{"bank", "wallet"} })
	both := func(s *Seen) {
		s.HostApps, s.Candidate.HostApps = []string{"bank", "wallet"}, []string{"bank", "wallet"}
	}
	deleting := func(policy string) Plan {
		return planTo("1.0.0").with(func(p *Plan) { p.Deleting, p.DeletionPolicy = true, policy })
	}
	for name, test := range map[string]struct {
		plan  Plan
		seen  Seen
		wants []string
	}{
		"as stable":                   {planTo("1.0.0"), seeing("1.0.0", both, unapproved), []string{"wallet"}},
		"as stable beside a target":   {planTo("1.0.0"), seeing("1.0.0", both), []string{"wallet"}},
		"as what stays with devices":  {deleting(v1alpha1.DeletionRetain), seeing("1.0.0", both), []string{"wallet"}},
		"a removal is for all it had": {deleting(v1alpha1.DeletionRemove), seeing("1.0.0", both), []string{"bank", "wallet"}},
	} {
		t.Run(name, func(t *testing.T) {
			overtaken(minutes(published)+50, published.Unix()+1000)(&test.seen)
			got := Decide(test.plan, recorded, test.seen, now).Status
			if diff := cmp.Diff(test.wants, got.Document.HostApps); diff != "" || got.Stable.Version != "3.0.0" {
				t.Errorf("%s is stable, -want +got:\n%s", got.Stable.Version, diff)
			}
		})
	}
}

func TestADeletionLeavesWhatOthersLeft(t *testing.T) {
	deleting := planTo("1.0.0").with(func(p *Plan) { p.Deleting = true })
	st := Decide(deleting, released(), seeing("1.0.0", overtaken(minutes(now), now.Unix())), now).Status
	if st.Stable == nil || st.Stable.Version != "3.0.0" || st.Document.Availability != "Retained" || st.Sequence <= now.Unix() {
		t.Errorf("recorded is %+v", st)
	}
}

func TestAfterANumberThatIsHigherStableIsAdoptedUnderANewOne(t *testing.T) {
	for name, test := range map[string]struct {
		last int64
		want int64
	}{
		"nothing was given out after it": {minutes(published), minutes(published)},
		"a target was, a while ago":      {minutes(published) + 1, minutes(now)},
		"a target was, just now":         {minutes(now) + 7, minutes(now) + 8},
	} {
		t.Run(name, func(t *testing.T) {
			seen := seeing("1.0.0", func(s *Seen) { s.Adopt, s.LastDelivery = served("1.0.0", minutes(published)), test.last })
			if got := Decide(planTo("1.0.0"), status{}, seen, now).Status.Stable.Delivery; got != test.want {
				t.Errorf("stable has number %d, want %d", got, test.want)
			}
		})
	}
}

// Host apps may have seen the last document of an earlier Rollout in this very
// second, or by a clock that was fast. Only what is decided goes above it.
func TestASuccessorGoesAboveWhatHostAppsHaveSeen(t *testing.T) {
	floor := func(s *Seen) { s.Floor = now.Unix() + 5 }
	first := Decide(planTo("1.0.0"), v1alpha1.RolloutStatus{}, seeing("1.0.0", floor), now)
	if got, want := first.Status.Sequence, now.Unix()+6; got != want {
		t.Errorf("the first sequence is %d, not %d", got, want)
	}
	recorded := released()
	again := Decide(planTo("1.0.0"), recorded, seeing("1.0.0", floor), now)
	if again.Status.Sequence != recorded.Sequence {
		t.Errorf("without a change the sequence goes from %d to %d", recorded.Sequence, again.Status.Sequence)
	}
}
