package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

type status = v1alpha1.RolloutStatus

const renewed = 56 * time.Hour // a third of a week

// decision is one question and the whole answer to it.
type decision struct {
	plan     Plan
	recorded status
	seen     Seen
	want     Move
}

func check(t *testing.T, tests map[string]decision) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := test.recorded.DeepCopy()
			got := Decide(test.plan, test.recorded, test.seen, now)
			if diff := cmp.Diff(test.want, got, cmpEmpty); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(*before, test.recorded); diff != "" {
				t.Errorf("the record was changed in place: %s", diff)
			}
			again := Decide(test.plan, got.Status, test.seen, now)
			if diff := cmp.Diff(got.Status, again.Status, cmpEmpty); diff != "" {
				t.Errorf("asking again changes the record (-first +again):\n%s", diff)
			}
			if got.Status.Document != nil {
				rendered(t, got.Status)
			}
		})
	}
}

// The examples of the package comment, row by row.
func TestWorkedExamples(t *testing.T) {
	target := variant("1.1.0")
	recall := v1alpha1.Recall{By: "user", Seed: appID + "@" + target.Digest, BasisPoints: 2500, Delivery: minutes(now), Digest: target.Digest}
	check(t, map[string]decision{
		"an approved version starts at the first share": {
			planTo("1.1.0"), released(), seeing("1.1.0"),
			Move{Verb: Advance, Reason: "Progressing", Message: "1.1.0 is at 5% until 2026-11-22T12:01:00Z", Recheck: time.Minute,
				Status: changed(underWay(1, 500, now), decidedNow, until(now.Add(time.Minute)), func(st *status) {
					st.Target.Delivery, st.LastDelivery = minutes(now), minutes(now)
				})},
		},
		"an unapproved one waits": {
			planTo("1.1.0"), released(), seeing("1.1.0", unapproved),
			Move{Verb: Wait, Reason: "NotApproved", Message: "it waits for 1 approval of role quality", Waits: true,
				Recheck: renewed - time.Hour, Status: released()},
		},
		"a pause that is not over goes on": {
			planTo("1.1.0"), underWay(1, 500, ago(10*time.Second)), seeing("1.1.0"),
			Move{Verb: Advance, Reason: "Progressing", Message: "1.1.0 is at 5% until 2026-11-22T12:00:50Z", Recheck: 50 * time.Second,
				Status: changed(underWay(1, 500, ago(10*time.Second)), until(now.Add(50*time.Second)))},
		},
		"a pause that is over leads to the next share": {
			planTo("1.1.0"), underWay(1, 500, ago(time.Minute)), seeing("1.1.0"),
			Move{Verb: Wait, Reason: "WaitsForPromote", Waits: true, Recheck: renewed,
				Message: "1.1.0 is at 25% and waits for a person: annotate miniprogram.dev/action=promote@2/3, or abort@2",
				Status:  changed(underWay(3, 2500, now), decidedNow)},
		},
		"a promotion of the last step makes it stable": {
			planTo("1.1.0"), underWay(3, 2500, ago(time.Hour)), seeing("1.1.0", asked("promote@2/3")),
			Move{Verb: Complete, Reason: "Complete", Message: "1.1.0 is stable for everybody", Recheck: renewed,
				Status: changed(released(), decidedNow, func(st *status) {
					st.Rollbacks = []v1alpha1.Variant{*st.Stable}
					st.Attempt, st.LastDelivery = 2, st.LastDelivery+1
					st.Stable = served("1.1.0", st.LastDelivery)
					st.History = append(st.History, v1alpha1.Attempt{Attempt: 2, Version: "1.1.0", Digest: target.Digest, Outcome: v1alpha1.OutcomePromoted, Ended: *stampAt(now)})
					st.LastAction = answer("promote@2/3", "Done", "step 3 is done")
				})},
		},
		"an abort takes it back": {
			planTo("1.1.0"), underWay(3, 2500, ago(time.Hour)), seeing("1.1.0", asked("abort@2")),
			Move{Verb: TakeBack, Reason: "Aborted", Message: "aborted by oscar", Waits: true, Recheck: 24 * time.Hour,
				Status: changed(released(), decidedNow, func(st *status) {
					st.Attempt, st.LastDelivery, st.Outcome = 2, minutes(now), v1alpha1.OutcomeAborted
					st.Recalls = []v1alpha1.Recall{recall}
					st.Refused = &v1alpha1.Refused{VersionRef: "shop-1.1.0", Digest: target.Digest, Reason: "aborted by oscar", Step: 3}
					st.History = append(st.History, v1alpha1.Attempt{Attempt: 2, Version: "1.1.0", Digest: target.Digest, Outcome: v1alpha1.OutcomeAborted, Message: "aborted by oscar", Ended: *stampAt(now)})
					st.Document.PollSeconds = 300
					st.LastAction = answer("abort@2", "Done", "the target was taken back")
				})},
		},
		"what was aborted stays out": {
			planTo("1.1.0"), aborted(), seeing("1.1.0"),
			Move{Verb: Wait, Reason: "Aborted", Waits: true, Recheck: 24*time.Hour - time.Minute,
				Message: "shop-1.1.0 stays out: aborted by oscar. To go on, name another version in spec.versionRef, or annotate miniprogram.dev/action=retry@2",
				Status:  aborted()},
		},
		"a retry starts where it was aborted": {
			planTo("1.1.0"), aborted(), seeing("1.1.0", asked("retry@2")),
			Move{Verb: Wait, Reason: "WaitsForPromote", Waits: true, Recheck: renewed,
				Message: "1.1.0 is at 25% and waits for a person: annotate miniprogram.dev/action=promote@3/3, or abort@3",
				Status: changed(aborted(), decidedNow, func(st *status) {
					st.Attempt, st.Outcome, st.Refused = 3, "", nil
					st.LastDelivery = minutes(now)
					st.Target = served("1.1.0", minutes(now))
					st.Step = &v1alpha1.StepStatus{Index: 3, Kind: "Pause", Began: stampAt(now)}
					st.BasisPoints, st.PeakBasisPoints, st.Percent = 2500, 2500, "25%"
					st.Document.By, st.Document.Seed = "user", appID+"@"+target.Digest
					st.LastAction = answer("retry@2", "Done", "the target starts again at the step where it was aborted")
				})},
		},
		"an earlier version that Git names is stable at once": {
			planTo("0.9.0"), released("0.8.0", "0.9.0"), seeing("0.9.0"),
			Move{Verb: TakeBack, Reason: "RolledBack", Message: "spec.versionRef names the earlier version 0.9.0", Recheck: renewed,
				Status: changed(released("0.8.0"), decidedNow, func(st *status) {
					st.Rollbacks[0].Delivery-- // it was the older of two
					st.Attempt, st.LastDelivery, st.Outcome = 2, minutes(now), v1alpha1.OutcomeRolledBack
					st.Stable = served("0.9.0", minutes(now))
					st.History = append(st.History, v1alpha1.Attempt{Attempt: 1, Version: "1.0.0", Digest: variant("1.0.0").Digest, Outcome: v1alpha1.OutcomeRolledBack, Message: "spec.versionRef names the earlier version 0.9.0", Ended: *stampAt(now)})
				})},
		},
	})
}

func answer(value, result, message string) *v1alpha1.ActionAnswer {
	return &v1alpha1.ActionAnswer{Value: value, User: "oscar", Result: result, Message: message, Time: *stampAt(now)}
}

// outline is what most tests are about: where the record got to, and why.
type outline struct {
	Verb            Verb
	Reason          string
	Stable, Target  string
	Attempt         int32
	Step            int32
	Began           time.Time
	BasisPoints     int32
	Refused         string
	Outcome, Paused string
	Promotion       string
	Availability    string
}

func outlineOf(m Move) outline {
	st := m.Status
	o := outline{Verb: m.Verb, Reason: m.Reason, Attempt: st.Attempt, BasisPoints: st.BasisPoints, Outcome: st.Outcome, Paused: st.PausedReason, Promotion: st.Promotion}
	if st.Stable != nil {
		o.Stable = st.Stable.Version
	}
	if st.Target != nil {
		o.Target, o.Step, o.Began = st.Target.Version, st.Step.Index, st.Step.Began.UTC()
	}
	if st.Refused != nil {
		o.Refused = st.Refused.VersionRef
	}
	if st.Document != nil {
		o.Availability = st.Document.Availability
	}
	return o
}

func TestWhatATargetDoes(t *testing.T) {
	const (
		user  = "User"
		inGit = "Spec"
	)
	at := func(step, basisPoints int32, began time.Time) outline {
		return outline{Verb: Wait, Reason: "WaitsForPromote", Stable: "1.0.0", Target: "1.1.0", Attempt: 2, Step: step, Began: began, BasisPoints: basisPoints, Availability: "Listed"}
	}
	with := func(o outline, change func(*outline)) outline { change(&o); return o }
	back := outline{Verb: TakeBack, Reason: "Aborted", Stable: "1.0.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"}
	done := outline{Verb: Complete, Reason: "Complete", Stable: "1.1.0", Attempt: 2, BasisPoints: 10000, Outcome: "Promoted", Availability: "Listed"}
	hourAgo := ago(time.Hour)
	timed := func(then string) Plan { return planTo("1.1.0", percent(5), timeout(60, then), percent(25), person()) }
	paused := func(reason string, since time.Time) func(*status) {
		return func(st *status) { st.PausedReason, st.PausedSince = reason, stampAt(since) }
	}
	inPause := func(p *Plan) { p.Paused = true }

	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		want     outline
	}{
		"a pause ends to the second": {
			planTo("1.1.0"), underWay(1, 500, ago(59*time.Second)), seeing("1.1.0"),
			with(at(1, 500, ago(59*time.Second)), func(o *outline) { o.Verb, o.Reason = Advance, "Progressing" }),
		},
		"a person in time":            {timed("Abort"), underWay(1, 500, ago(59*time.Second)), seeing("1.1.0"), at(1, 500, ago(59*time.Second))},
		"nobody in time: Abort":       {timed("Abort"), underWay(1, 500, ago(time.Minute)), seeing("1.1.0"), back},
		"nobody in time: Hold":        {timed("Hold"), underWay(1, 500, ago(time.Minute)), seeing("1.1.0"), at(1, 500, ago(time.Minute))},
		"nobody in time: Continue":    {timed("Continue"), underWay(1, 500, ago(time.Minute)), seeing("1.1.0"), at(3, 2500, now)},
		"the clock went back":         {planTo("1.1.0"), underWay(1, 500, now.Add(time.Hour)), seeing("1.1.0"), with(at(1, 500, now.Add(time.Hour)), func(o *outline) { o.Verb, o.Reason = Advance, "Progressing" })},
		"a lost step begins anew":     {planTo("1.1.0"), changed(underWay(3, 2500, hourAgo), func(st *status) { st.Step = nil }), seeing("1.1.0"), at(3, 2500, now)},
		"an approval is withdrawn":    {planTo("1.1.0"), underWay(1, 500, hourAgo), seeing("1.1.0", unapproved), with(at(1, 500, hourAgo), func(o *outline) { o.Reason = "NotApproved" })},
		"a policy objects":            {planTo("1.1.0"), underWay(1, 500, hourAgo), seeing("1.1.0", objected), with(at(1, 500, hourAgo), func(o *outline) { o.Reason = "PolicyFailed" })},
		"no host app may be served":   {planTo("1.1.0"), underWay(1, 500, hourAgo), seeing("1.1.0", func(s *Seen) { s.HostApps = nil }), with(at(1, 500, hourAgo), func(o *outline) { o.Reason = "NoHostApp" })},
		"its version is gone":         {planTo("1.1.0"), underWay(1, 500, hourAgo), seeing("1.1.0", missing), with(at(1, 500, hourAgo), func(o *outline) { o.Reason = "VersionMissing" })},
		"it is withdrawn":             {planTo("1.1.0"), underWay(3, 2500, hourAgo), seeing("1.1.0", withdrawn("1.1.0")), back},
		"the program is suspended":    {planTo("1.1.0"), underWay(3, 2500, hourAgo), seeing("1.1.0", suspendedProgram), with(back, func(o *outline) { o.Availability = "Suspended" })},
		"withdrawn beats paused":      {planTo("1.1.0").with(inPause), underWay(3, 2500, hourAgo), seeing("1.1.0", withdrawn("1.1.0")), back},
		"withdrawn beats a promotion": {planTo("1.1.0"), underWay(3, 2500, hourAgo), seeing("1.1.0", withdrawn("1.1.0"), asked("promote-full@2")), back},

		"spec.state Paused": {
			planTo("1.1.0").with(inPause), underWay(1, 500, hourAgo), seeing("1.1.0"),
			with(at(1, 500, hourAgo), func(o *outline) { o.Reason, o.Paused = "Paused", inGit }),
		},
		"and Running again does not count the time": {
			planTo("1.1.0"), changed(underWay(1, 500, ago(70*time.Second)), paused(inGit, ago(50*time.Second))), seeing("1.1.0"),
			with(at(1, 500, ago(20*time.Second)), func(o *outline) { o.Verb, o.Reason = Advance, "Progressing" }),
		},
		"what a person paused stays so while Git says Running": {
			planTo("1.1.0"), changed(underWay(1, 500, hourAgo), paused(user, hourAgo)), seeing("1.1.0"),
			with(at(1, 500, hourAgo), func(o *outline) { o.Reason, o.Paused = "Paused", user }),
		},
		"a new target in a paused plan starts at nothing": {
			planTo("1.1.0").with(inPause), released(), seeing("1.1.0"),
			with(at(0, 0, now), func(o *outline) { o.Reason, o.Paused = "Paused", inGit }),
		},

		"an edit behind the step keeps it":           {planTo("1.1.0", percent(5), seconds(7200), percent(50)), underWay(1, 500, hourAgo), seeing("1.1.0"), with(at(1, 500, hourAgo), func(o *outline) { o.Verb, o.Reason = Advance, "Progressing" })},
		"an edit before it goes to the same share":   {planTo("1.1.0", percent(1), person(), percent(25), person(), percent(50)), underWay(1, 2500, hourAgo), seeing("1.1.0"), at(3, 2500, now)},
		"or to the next higher one":                  {planTo("1.1.0", percent(10), person(), percent(30), person()), underWay(3, 2500, hourAgo), seeing("1.1.0"), at(3, 3000, now)},
		"and holds where there is none":              {planTo("1.1.0", percent(10), person()), underWay(3, 2500, hourAgo), seeing("1.1.0"), with(at(3, 2500, hourAgo), func(o *outline) { o.Reason = "ShareWouldFall" })},
		"a step that was dropped at the end is done": {planTo("1.1.0", percent(25)), underWay(3, 2500, hourAgo), seeing("1.1.0"), done},
		"no steps at all: at once":                   {planTo("1.1.0").with(noSteps), underWay(3, 2500, hourAgo), seeing("1.1.0"), done},

		"another version starts again from stable": {
			planTo("1.2.0"), underWay(3, 2500, hourAgo), seeing("1.2.0"),
			outline{Verb: Advance, Reason: "Progressing", Stable: "1.0.0", Target: "1.2.0", Attempt: 3, Step: 1, Began: now, BasisPoints: 500, Availability: "Listed"},
		},
		"an unapproved one does not, and the target stays": {
			planTo("1.2.0"), underWay(1, 500, hourAgo), seeing("1.2.0", unapproved), with(at(1, 500, hourAgo), func(o *outline) { o.Reason = "NotApproved" }),
		},
		"back to stable": {
			planTo("1.0.0"), underWay(3, 2500, hourAgo), seeing("1.0.0"),
			outline{Verb: TakeBack, Reason: "Superseded", Stable: "1.0.0", Attempt: 2, BasisPoints: 10000, Outcome: "Superseded", Availability: "Listed"},
		},
		"a rollback ends it": {
			planTo("0.9.0"), underWay(3, 2500, hourAgo, "0.9.0"), seeing("0.9.0"),
			outline{Verb: TakeBack, Reason: "RolledBack", Stable: "0.9.0", Attempt: 3, BasisPoints: 10000, Outcome: "RolledBack", Availability: "Listed"},
		},
		"another version after an abort": {
			planTo("1.2.0"), aborted(), seeing("1.2.0"),
			outline{Verb: Advance, Reason: "Progressing", Stable: "1.0.0", Target: "1.2.0", Attempt: 3, Step: 1, Began: now, BasisPoints: 500, Availability: "Listed"},
		},
		"stable withdrawn, with a history": {
			planTo("1.1.0"), underWay(1, 500, ago(time.Second), "0.8.0", "0.9.0"), seeing("1.1.0", withdrawn("1.0.0", "0.9.0")),
			outline{Verb: TakeBack, Reason: "StableTakenBack", Stable: "0.8.0", Target: "1.1.0", Attempt: 3, Step: 1, Began: ago(time.Second), BasisPoints: 500, Availability: "Listed"},
		},
		"stable withdrawn, without one": {
			planTo("1.0.0"), released(), seeing("1.0.0", withdrawn("1.0.0")),
			outline{Verb: TakeBack, Reason: "StableTakenBack", Attempt: 2, Refused: "shop-1.0.0", Outcome: "RolledBack", Availability: "Withdrawn"},
		},
		"stable withdrawn after an abort: the aborted one stays out": {
			planTo("1.1.0"), aborted("0.9.0"), seeing("1.1.0", withdrawn("1.0.0")),
			outline{Verb: TakeBack, Reason: "StableTakenBack", Stable: "0.9.0", Attempt: 3, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "RolledBack", Availability: "Listed"},
		},
		"a suspended program starts nothing": {
			planTo("1.1.0"), released(), seeing("1.1.0", suspendedProgram),
			outline{Verb: Wait, Reason: "Suspended", Stable: "1.0.0", Attempt: 1, BasisPoints: 10000, Outcome: "Promoted", Availability: "Suspended"},
		},
		"an aborted step that is no more does not let it out to everybody": {
			planTo("1.1.0", percent(10), person()), aborted(), seeing("1.1.0", asked("retry@2")),
			outline{Verb: Wait, Reason: "WaitsForPromote", Stable: "1.0.0", Target: "1.1.0", Attempt: 3, Step: 1, Began: now, BasisPoints: 1000, Availability: "Listed"},
		},
		"a first release follows its steps": {
			planTo("1.0.0"), status{}, seeing("1.0.0"),
			outline{Verb: Advance, Reason: "Progressing", Target: "1.0.0", Attempt: 1, Step: 1, Began: now, BasisPoints: 500, Availability: "Listed"},
		},
		"a first release without steps is for everybody": {
			planTo("1.0.0").with(noSteps), status{}, seeing("1.0.0", func(s *Seen) { s.StableHostApps = nil }),
			outline{Verb: Complete, Reason: "Complete", Stable: "1.0.0", Attempt: 1, BasisPoints: 10000, Outcome: "Promoted", Availability: "Listed"},
		},
		"nothing was ever decided": {
			planTo("1.0.0"), status{}, seeing("1.0.0", unapproved), outline{Verb: Wait, Reason: "NotApproved"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(test.plan, test.recorded, test.seen, now)
			if diff := cmp.Diff(test.want, outlineOf(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got.Status.Document != nil {
				rendered(t, got.Status)
			}
			if extra := got.Status.PausedSince; got.Status.PausedReason == "" && extra != nil {
				t.Errorf("not paused since %s", extra)
			}
		})
	}
}

func noSteps(p *Plan) { p.Steps = nil }

func objected(s *Seen) { s.Candidate.Problem = &Hold{"PolicyFailed", "a policy objects"} }

func missing(s *Seen) {
	s.Candidate, s.Missing = nil, Hold{"VersionMissing", "spec.versionRef names nothing: create it"}
}
