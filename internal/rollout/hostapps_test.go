package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// untaken is what is observed when the host apps do not take the program.
func untaken(hostApps ...string) func(*Seen) {
	return func(s *Seen) {
		s.HostApps, s.NotTaken, s.Remarks = nil, hostApps, nil
		for _, h := range []string{"chat", "wallet"} {
			if h != hostApps[0] && h != hostApps[len(hostApps)-1] {
				s.HostApps = append(s.HostApps, h)
			}
		}
		for _, h := range hostApps {
			s.Remarks = append(s.Remarks, "host app "+h+" does not take it")
		}
	}
}

func blocks(version string) func(*Seen) {
	return func(s *Seen) {
		s.Blocked = map[string]Hold{variant(version).Digest: {"Blocked", "host app wallet blocks " + version}}
	}
}

func TestAHostAppThatTakesTheProgramNoLonger(t *testing.T) {
	of := func(st status, hostApps ...string) status {
		return changed(st, func(st *status) { st.Document.HostApps = hostApps })
	}
	nottaken := func(st *status) { st.Document.Availability = delivery.NotTaken }
	suspended := func(st *status) { st.Document.Availability = v1alpha1.AvailabilitySuspended }
	check(t, map[string]decision{
		"it goes, and the others stay": {
			planTo("1.0.0"), of(released(), "chat", "wallet"), seeing("1.0.0", untaken("wallet")),
			Move{Verb: Idle, Reason: "Complete", Message: "1.0.0 is stable for everybody; host app wallet does not take it", Recheck: renewed,
				Status: changed(of(released(), "chat"), decidedNow)},
		},
		"the last one is told that it gets nothing": {
			planTo("1.0.0"), released(), seeing("1.0.0", untaken("chat", "wallet")),
			Move{Verb: Wait, Reason: "NotTaken", Waits: true, Recheck: renewed,
				Message: "nobody is handed 1.0.0, for none of spec.hostApps takes the mini program; host app chat does not take it; host app wallet does not take it",
				Status:  changed(released(), nottaken, decidedNow)},
		},
		"when it takes it again everything is as before": {
			planTo("1.0.0"), changed(released(), nottaken), seeing("1.0.0"),
			Move{Verb: Idle, Reason: "Complete", Message: "1.0.0 is stable for everybody", Recheck: renewed, Status: changed(released(), decidedNow)},
		},
		"a target keeps its share until then": {
			planTo("1.1.0"), underWay(1, 500, ago(time.Hour)), seeing("1.1.0", untaken("chat", "wallet")),
			Move{Verb: Wait, Reason: "NoHostApp", Waits: true, Recheck: renewed,
				Message: "1.1.0 stays at its present share: no host app may be served: create the HostApps that spec.hostApps names, or let their selectors select this namespace and the mini program; " +
					"host app chat does not take it; host app wallet does not take it",
				Status: changed(underWay(1, 500, ago(time.Hour)), nottaken, decidedNow, heldSince(now))},
		},
		"a suspension is told all the same": {
			planTo("1.0.0"), released(), seeing("1.0.0", suspendedProgram, untaken("chat", "wallet")),
			Move{Verb: Wait, Reason: "NotTaken", Waits: true, Recheck: renewed,
				Message: "nobody is handed 1.0.0, for none of spec.hostApps takes the mini program; host app chat does not take it; host app wallet does not take it",
				Status:  changed(released(), suspended, decidedNow)},
		},
	})
}

func TestADeletedRolloutHandsNothingToWhoDoesNotTakeIt(t *testing.T) {
	recorded := changed(released(), func(st *status) { st.Document.Availability = delivery.NotTaken })
	for policy, want := range map[string]string{v1alpha1.DeletionRetain: delivery.NotTaken, v1alpha1.DeletionRemove: delivery.Removed} {
		t.Run(policy, func(t *testing.T) {
			p := planTo("1.0.0").with(func(p *Plan) { p.Deleting, p.DeletionPolicy = true, policy })
			if got := Decide(p, recorded, seeing("1.0.0"), now).Status.Document.Availability; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestABlockedDigest(t *testing.T) {
	back := outline{Verb: TakeBack, Reason: "Aborted", Stable: "1.0.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"}
	for name, test := range map[string]struct {
		recorded status
		seen     Seen
		want     outline
	}{
		"takes back the target": {underWay(1, 500, now), seeing("1.1.0", blocks("1.1.0")), back},
		"is not retried": {
			aborted(), seeing("1.1.0", blocks("1.1.0"), asked("retry@2")),
			outline{Verb: Wait, Reason: "Aborted", Stable: "1.0.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"},
		},
		"is not begun":             {released(), seeing("1.1.0", blocks("1.1.0")), outline{Verb: Wait, Reason: "Blocked", Stable: "1.0.0", Attempt: 1, BasisPoints: 10000, Outcome: "Promoted", Availability: "Listed"}},
		"stays stable, for others": {released("0.9.0"), seeing("1.0.0", blocks("1.0.0")), outline{Verb: Idle, Reason: "Complete", Stable: "1.0.0", Attempt: 1, BasisPoints: 10000, Outcome: "Promoted", Availability: "Listed"}},
		"is none of this rollout's": {
			underWay(1, 500, ago(10*time.Second)), seeing("1.1.0", blocks("9.9.9")),
			outline{Verb: Advance, Reason: "Progressing", Stable: "1.0.0", Target: "1.1.0", Attempt: 2, Step: 1, Began: ago(10 * time.Second), BasisPoints: 500, Availability: "Listed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := planTo("1.1.0")
			if test.seen.Candidate.Variant.Version == "1.0.0" {
				p = planTo("1.0.0")
			}
			if diff := cmp.Diff(test.want, outlineOf(Decide(p, test.recorded, test.seen, now))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if got := Decide(planTo("1.1.0"), aborted(), seeing("1.1.0", blocks("1.1.0"), asked("retry@2")), now).Status.LastAction; got.Result != resultRefused || got.Message != "host app wallet blocks 1.1.0" {
		t.Errorf("the retry is answered %s: %s", got.Result, got.Message)
	}
}
