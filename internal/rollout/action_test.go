package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestActions asks for every verb in every situation and compares the answer. A
// situation that is not named for a verb is answered like "the right attempt".
func TestActions(t *testing.T) {
	hourAgo := ago(time.Hour)
	base := underWay(3, 2500, hourAgo, "0.9.0")
	type situation struct {
		plan     Plan
		recorded status
		seen     Seen
	}
	plan := planTo("1.1.0")
	ordinary := seeing("1.1.0")
	situations := map[string]situation{
		"the right attempt": {plan, base, ordinary},
		"another attempt":   {plan, changed(base, func(st *status) { st.Attempt = 7 }), ordinary},
		"another step":      {plan, changed(base, func(st *status) { st.Step.Index, st.BasisPoints = 1, 500 }), ordinary},
		"nothing under way": {planTo("1.0.0"), changed(released("0.9.0"), func(st *status) { st.Attempt = 2 }), seeing("1.0.0")},
		"paused by a person": {plan, changed(base, func(st *status) {
			st.PausedReason, st.PausedSince = pausedByUser, stampAt(hourAgo)
		}), ordinary},
		"paused in Git":     {plan.with(func(p *Plan) { p.Paused = true }), base, ordinary},
		"unapproved":        {plan, base, seeing("1.1.0", unapproved)},
		"no host app":       {plan, base, seeing("1.1.0", func(s *Seen) { s.HostApps = nil })},
		"no place":          {planTo("1.1.0", percent(10), person()), base, ordinary},
		"Git names another": {planTo("1.2.0"), base, seeing("1.2.0", unapproved)},
		"aborted":           {plan, aborted("0.9.0"), ordinary},
		"at creation":       {plan, status{}, ordinary},
		"at an approval":    {planTo("1.1.0", percent(5), seconds(60), percent(25), approval("privacy")), base, seeing("1.1.0", unanswered(privacyAt(2, 3)))},
		"once approved":     {planTo("1.1.0", percent(5), seconds(60), percent(25), approval("privacy")), base, seeing("1.1.0", approved(privacyAt(2, 3)))},
		"approval behind":   {planTo("1.1.0", percent(5), approval("privacy"), percent(25), person()), base, seeing("1.1.0")},
	}
	const (
		stale       = "the rollout is at attempt 7, not 2: look at it again, then write "
		notBegun    = "the rollout has not begun yet, so there is nothing to "
		noTarget    = "no target is under way: there is nothing to "
		notApproved = "it waits for 1 approval of role quality"
		noHostApp   = "no host app may be served: create the HostApps that spec.hostApps names, or let their selectors select this namespace and the mini program"
		gitPaused   = "spec.state is Paused: set it to Running first"
		isPaused    = "the rollout is paused: write resume@2 first"
		privacyRole = " (role privacy, needs approve on miniprograms/review-privacy)"
		otherTarget = "spec.versionRef no longer names the target that is under way"
		noPlace     = "no step of the edited plan reaches the present share of 25%, and a share never falls by itself: add such a step, or annotate miniprogram.dev/action=promote-full@2 or abort@2"
	)
	for action, want := range map[string]map[string][2]string{
		"promote@2/3": {
			"the right attempt": {"Done", "step 3 is done"}, "another attempt": {"Stale", stale + "promote@7/3"},
			"another step":      {"Stale", "the rollout is at step 1, not 3: look at it again, then write promote@2/1"},
			"nothing under way": {"Refused", noTarget + "promote"}, "aborted": {"Refused", noTarget + "promote"},
			"paused by a person": {"Refused", isPaused}, "paused in Git": {"Refused", gitPaused}, "unapproved": {"Refused", notApproved},
			"no host app": {"Refused", noHostApp}, "no place": {"Refused", noPlace}, "Git names another": {"Refused", otherTarget},
			"at creation":     {"Stale", notBegun + "promote"},
			"at an approval":  {"Refused", "promoting does not replace the approval of step 3: approve Review shop-1.1.0-privacy-1-ab12cd34" + privacyRole},
			"approval behind": {"Refused", "promoting does not replace the approval of step 1: approve the Review that names the step in spec.rollout" + privacyRole},
		},
		"promote-full@2": {
			"the right attempt": {"Done", "the target is stable for everybody"}, "another attempt": {"Stale", stale + "promote-full@7"},
			"nothing under way": {"Refused", noTarget + "promote"}, "aborted": {"Refused", noTarget + "promote"},
			"paused by a person": {"Refused", isPaused}, "paused in Git": {"Refused", gitPaused}, "unapproved": {"Refused", notApproved},
			"no host app": {"Refused", noHostApp}, "Git names another": {"Refused", otherTarget},
			"at creation":     {"Stale", notBegun + "promote-full"},
			"at an approval":  {"Done", "the target goes as far as step 3, which only an approval of role privacy passes; the pauses after it are skipped too"},
			"approval behind": {"Done", "the target goes as far as step 1, which only an approval of role privacy passes; the pauses after it are skipped too"},
		},
		"abort@2": {
			"the right attempt": {"Done", "the target was taken back"}, "another attempt": {"Stale", stale + "abort@7"},
			"nothing under way": {"Refused", noTarget + "abort"}, "aborted": {"Refused", noTarget + "abort"},
			"at creation": {"Stale", notBegun + "abort"},
		},
		"retry@2": {
			"the right attempt": {"Refused", "no aborted target is waiting for a retry"}, "another attempt": {"Stale", stale + "retry@7"},
			"aborted": {"Done", "the target starts again at the step where it was aborted"}, "at creation": {"Stale", notBegun + "retry"},
		},
		"pause@2": {
			"the right attempt": {"Done", "the share does not grow until somebody resumes"}, "another attempt": {"Stale", stale + "pause@7"},
			"nothing under way": {"Refused", "no target is under way"}, "aborted": {"Refused", "no target is under way"},
			"at creation": {"Stale", notBegun + "pause"},
		},
		"resume@2": {
			"the right attempt": {"Refused", "the rollout is not paused"}, "another attempt": {"Stale", stale + "resume@7"},
			"paused by a person": {"Done", "the rollout goes on"}, "paused in Git": {"Refused", "spec.state is Paused: set it to Running instead"},
			"nothing under way": {"Refused", "no target is under way"}, "aborted": {"Refused", "no target is under way"},
			"at creation": {"Stale", notBegun + "resume"},
		},
		"rollback@2/0.9.0": {
			"the right attempt": {"Done", "0.9.0 is stable again for everybody"}, "another attempt": {"Stale", stale + "rollback@7/0.9.0"},
			"at creation": {"Stale", notBegun + "rollback"},
		},
		"rollback@2/1.0.0": {
			"the right attempt": {"Refused", "version 1.0.0 is not in the rollback history (status.rollbacks)"},
			"another attempt":   {"Stale", stale + "rollback@7/1.0.0"}, "at creation": {"Stale", notBegun + "rollback"},
		},
		"rollback@2": {"the right attempt": {"Invalid", `"rollback@2" lacks the version to go back to, such as rollback@3/1.0.0`}},
		"promote@2":  {"the right attempt": {"Invalid", `"promote@2" lacks the step, such as promote@3/1`}},
		"abort@2/3":  {"the right attempt": {"Invalid", "abort takes nothing after the attempt: write abort@2"}},
		"abort":      {"the right attempt": {"Invalid", `"abort" is not of the form <verb>@<attempt>[/<step or version>], such as abort@3`}},
		"dance@2":    {"the right attempt": {"Invalid", `"dance" is not a verb: write promote, promote-full, abort, retry, pause, resume or rollback`}},
	} {
		for name, s := range situations {
			t.Run(action+" "+name, func(t *testing.T) {
				w, ok := want[name]
				if !ok {
					w = want["the right attempt"]
				}
				s.seen.Action = &Action{Value: action, User: "oscar"}
				got := Decide(s.plan, s.recorded, s.seen, now)
				if diff := cmp.Diff(answer(action, w[0], w[1]), got.Status.LastAction); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if w[0] != resultDone {
					s.seen.Action = nil
					without := Decide(s.plan, s.recorded, s.seen, now)
					got.Status.LastAction = nil
					if diff := cmp.Diff(without, got); diff != "" {
						t.Errorf("it did something although it was not done (-without +with):\n%s", diff)
					}
				}
			})
		}
	}
}

func TestAnAnsweredActionIsNotPerformedAgain(t *testing.T) {
	recorded := changed(underWay(1, 500, ago(time.Second)), func(st *status) { st.LastAction = answer("pause@2", "Done", "…") })
	got := Decide(planTo("1.1.0"), recorded, seeing("1.1.0", asked("pause@2")), now)
	if got.Status.PausedReason != "" {
		t.Errorf("it paused again: %+v", got)
	}
}

// A click in Argo CD is one patch, so what was answered cannot be taken away first: the
// same attempt in another spelling asks anew.
func TestAnAnsweredActionIsPerformedAgainInAnotherSpelling(t *testing.T) {
	recorded := changed(underWay(3, 2500, ago(time.Hour)), func(st *status) { st.LastAction = answer("promote@2/3", "Refused", "not now") })
	got := Decide(planTo("1.1.0"), recorded, seeing("1.1.0", asked("promote@02/3")), now)
	if diff := cmp.Diff(answer("promote@02/3", "Done", "step 3 is done"), got.Status.LastAction); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestWhatActionsDo(t *testing.T) {
	hourAgo := ago(time.Hour)
	pausedAt := func(began, since time.Time) status {
		return changed(underWay(1, 500, began), func(st *status) { st.PausedReason, st.PausedSince = pausedByUser, stampAt(since) })
	}
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		want     outline
	}{
		"a resumed pause has as long to go as it had": {
			planTo("1.1.0"), pausedAt(ago(70*time.Second), ago(50*time.Second)), seeing("1.1.0", asked("resume@2")),
			outline{Verb: Advance, Reason: "Progressing", Stable: "1.0.0", Target: "1.1.0", Attempt: 2, Step: 1, Began: ago(20 * time.Second), BasisPoints: 500, Availability: "Listed"},
		},
		"a pause holds although the step's time is over": {
			planTo("1.1.0"), underWay(1, 500, hourAgo), seeing("1.1.0", asked("pause@2")),
			outline{Verb: Wait, Reason: "Paused", Paused: pausedByUser, Stable: "1.0.0", Target: "1.1.0", Attempt: 2, Step: 1, Began: hourAgo, BasisPoints: 500, Availability: "Listed"},
		},
		"an abort works while it is paused": {
			planTo("1.1.0").with(func(p *Plan) { p.Paused = true }), pausedAt(hourAgo, hourAgo), seeing("1.1.0", asked("abort@2")),
			outline{Verb: TakeBack, Reason: "Aborted", Stable: "1.0.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"},
		},
		"promote-full skips what is left": {
			planTo("1.1.0"), underWay(1, 500, now), seeing("1.1.0", asked("promote-full@2")),
			outline{Verb: Complete, Reason: "Complete", Stable: "1.1.0", Attempt: 2, BasisPoints: 10000, Outcome: "FastPromoted", Availability: "Listed"},
		},
		"a promotion ends a timed pause": {
			planTo("1.1.0"), underWay(1, 500, now), seeing("1.1.0", asked("promote@2/1")),
			outline{Verb: Wait, Reason: "WaitsForPromote", Stable: "1.0.0", Target: "1.1.0", Attempt: 2, Step: 3, Began: now, BasisPoints: 2500, Availability: "Listed"},
		},
		"after a rollback what Git names stays out": {
			planTo("1.0.0"), released("0.9.0"), seeing("1.0.0", asked("rollback@1/0.9.0")),
			outline{Verb: TakeBack, Reason: "RolledBack", Stable: "0.9.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.0.0", Outcome: "RolledBack", Availability: "Listed"},
		},
		"also when it was under way": {
			planTo("1.1.0"), underWay(1, 500, hourAgo, "0.9.0"), seeing("1.1.0", asked("rollback@2/0.9.0")),
			outline{Verb: TakeBack, Reason: "RolledBack", Stable: "0.9.0", Attempt: 3, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "RolledBack", Availability: "Listed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(test.plan, test.recorded, test.seen, now)
			if diff := cmp.Diff(test.want, outlineOf(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			rendered(t, got.Status)
		})
	}
}

func TestARetryAfterARollbackStartsFromTheFirstStep(t *testing.T) {
	rolled := Decide(planTo("1.1.0"), underWay(3, 2500, ago(time.Hour), "0.9.0"), seeing("1.1.0", asked("rollback@2/0.9.0")), now).Status
	got := Decide(planTo("1.1.0"), rolled, seeing("1.1.0", asked("retry@3")), now)
	want := outline{Verb: Advance, Reason: "Progressing", Stable: "0.9.0", Target: "1.1.0", Attempt: 4, Step: 1, Began: now, BasisPoints: 500, Availability: "Listed"}
	if diff := cmp.Diff(want, outlineOf(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnAbortIsSaidWithItsWayOutWhateverTheReason(t *testing.T) {
	long := changed(aborted(), func(st *status) {
		st.Refused.Reason = clip(string(make([]byte, 2000)))
	})
	got := Decide(planTo("1.1.0"), long, seeing("1.1.0"), now).Message
	const want = "To go on, name another version in spec.versionRef, or annotate miniprogram.dev/action=retry@2"
	if len(got) < len(want) || got[len(got)-len(want):] != want {
		t.Errorf("the way out is cut off: %q", got)
	}
}
