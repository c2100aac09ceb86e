package rollout

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// white is a guardrail whose last measurement covers the minute before now, and
// that has had its outcome for so long without a break.
func white(outcome string, unbroken time.Duration, change ...func(*Guardrail)) Guardrail {
	g := Guardrail{
		Name: "white", OnFailure: v1alpha1.OnFailurePause, OnNoData: v1alpha1.OnNoDataHold, Interval: time.Minute,
		Measured: &Measurement{Outcome: outcome, Message: "figures of " + outcome, From: ago(time.Minute), At: now, Since: ago(unbroken)},
	}
	for _, c := range change {
		c(&g)
	}
	return g
}

func aborts(g *Guardrail) { g.OnFailure = v1alpha1.OnFailureAbort }

func withoutData(g *Guardrail) { g.Measured.NoData, g.OnNoData = true, v1alpha1.OnNoDataAbort }

func named(name string) func(*Guardrail) { return func(g *Guardrail) { g.Name = name } }

func guardedBy(guardrails ...Guardrail) func(*Seen) {
	return func(s *Seen) { s.Guardrails = append(s.Guardrails, guardrails...) }
}

func analysis(seconds int, names ...string) Step {
	return Step{Analysis: &Analysis{Guardrails: names, For: time.Duration(seconds) * time.Second}}
}

// said is what status says of a guardrail since a time.
func said(name, outcome, message string, since time.Time) v1alpha1.GuardrailStatus {
	return v1alpha1.GuardrailStatus{Name: name, Outcome: outcome, Message: message, Since: metav1.NewTime(since)}
}

func saying(entries ...v1alpha1.GuardrailStatus) func(*status) {
	return func(st *status) { st.Guardrails = entries }
}

const (
	passed, failed  = v1alpha1.GuardrailPassed, v1alpha1.GuardrailFailed
	unclear, broken = v1alpha1.GuardrailInconclusive, v1alpha1.GuardrailError
)

// guarding is a plan with an analysis, and the record at it for an hour.
func guarding(steps ...Step) Plan {
	if len(steps) == 0 {
		steps = []Step{percent(5), analysis(60, "white"), percent(25), person()}
	}
	return planTo("1.1.0", steps...)
}

func watched(step int32, change ...func(*status)) status {
	since := saying(said("white", unclear, unmeasured, ago(time.Hour)))
	return changed(underWay(step, 500, ago(time.Hour)), append([]func(*status){since}, change...)...)
}

// guardOutline is what a test of guardrails is about.
type guardOutline struct {
	Verb          Verb
	Target        string
	Step          int32
	Percent       string
	Paused        string
	Refused       string
	Answer        string
	Guardrails    []v1alpha1.GuardrailStatus
	Reason, Waits string
}

func TestGuardrails(t *testing.T) {
	paused := func(st *status) {
		saying(said("white", failed, "figures of Failed", ago(time.Minute)))(st)
		st.PausedReason, st.PausedSince = pausedByGuardrail, stampAt(ago(time.Minute))
	}
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		want     guardOutline
	}{
		"they watch from the first share on": {
			guarding(), released(), seeing("1.1.0", guardedBy(white(passed, time.Hour))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 1, Percent: "5%", Reason: ReasonAnalysis,
				Waits:      "1.1.0 stays at its present share: guardrail white has not passed: no whole interval was measured yet. To skip the step annotate miniprogram.dev/action=promote@2/1",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", unclear, unmeasured, now)}},
		},
		"and not while nobody has the target": {
			guarding(percent(0), person(), percent(25)), underWay(1, 0, ago(time.Hour)), seeing("1.1.0", guardedBy(white(failed, time.Hour, aborts))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 1, Percent: "0%", Reason: "WaitsForPromote",
				Waits: "1.1.0 is at 0% and waits for a person: annotate miniprogram.dev/action=promote@2/1, or abort@2"},
		},
		"an analysis passes": {
			guarding(), watched(1), seeing("1.1.0", guardedBy(white(passed, time.Minute))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 3, Percent: "25%", Reason: "WaitsForPromote",
				Waits:      "1.1.0 is at 25% and waits for a person: annotate miniprogram.dev/action=promote@2/3, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", passed, "figures of Passed", now)}},
		},
		"an analysis takes its time": {
			guarding(), watched(1), seeing("1.1.0", guardedBy(white(passed, 59*time.Second))),
			guardOutline{Verb: Advance, Target: "1.1.0", Step: 1, Percent: "5%", Reason: "Progressing",
				Waits:      "1.1.0 is at 5%, and guardrail white has to pass until 2026-11-22T12:00:01Z",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", passed, "figures of Passed", now)}},
		},
		"which begins when its share is out": {
			guarding(), watched(1, func(st *status) { st.Step.Began = stampAt(ago(30 * time.Second)) }), seeing("1.1.0", guardedBy(white(passed, time.Hour))),
			guardOutline{Verb: Advance, Target: "1.1.0", Step: 1, Percent: "5%", Reason: "Progressing",
				Waits:      "1.1.0 is at 5%, and guardrail white has to pass until 2026-11-22T12:00:30Z",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", passed, "figures of Passed", now)}},
		},
		"what is not out is not measured": {
			guarding(), watched(1), seeing("1.1.0", guardedBy(white(failed, time.Hour, aborts)), func(s *Seen) { s.Unpublished = true }),
			guardOutline{Verb: Advance, Target: "1.1.0", Step: 1, Percent: "5%", Reason: "Publishing", Waits: "1.1.0 goes out at 5%",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", unclear, unmeasured, ago(time.Hour))}},
		},
		"one that was promoted is skipped, and the share waits": {
			guarding(), watched(1), seeing("1.1.0", guardedBy(white(unclear, time.Hour)), asked("promote@2/1")),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Reason: ReasonGuardrails, Answer: "Done: step 1 is done",
				Waits: "1.1.0 stays at its present share: guardrail white has not passed: figures of Inconclusive. " +
					"It goes on when it has; to decide otherwise annotate miniprogram.dev/action=promote-full@2, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", unclear, "figures of Inconclusive", now)}},
		},
		"a share that waits is not promoted": {
			guarding(), watched(2), seeing("1.1.0", guardedBy(white(broken, time.Hour)), asked("promote@2/2")),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Reason: ReasonGuardrails,
				Answer: "Refused: guardrail white has not passed: figures of Error. It goes on when it has; to decide otherwise annotate miniprogram.dev/action=promote-full@2, or abort@2",
				Waits: "1.1.0 stays at its present share: guardrail white has not passed: figures of Error. " +
					"It goes on when it has; to decide otherwise annotate miniprogram.dev/action=promote-full@2, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", broken, "figures of Error", now)}},
		},
		"who promotes in full goes by what he knows": {
			guarding(), watched(2), seeing("1.1.0", guardedBy(white(broken, time.Hour)), asked("promote-full@2")),
			guardOutline{Verb: Complete, Percent: "100%", Reason: "Complete", Waits: "1.1.0 is stable for everybody", Answer: "Done: the target is stable for everybody"},
		},
		"but not past a failure that aborts": {
			guarding(), watched(2), seeing("1.1.0", guardedBy(white(failed, time.Hour, aborts)), asked("promote-full@2")),
			guardOutline{Verb: TakeBack, Percent: "100%", Reason: "Aborted", Waits: "guardrail white failed: figures of Failed",
				Refused: "guardrail white failed: figures of Failed", Answer: "Refused: no target is under way: there is nothing to promote"},
		},
		"nor past one that pauses": {
			guarding(), watched(2), seeing("1.1.0", guardedBy(white(failed, time.Hour)), asked("promote-full@2")),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Paused: pausedByGuardrail, Reason: "Paused", Answer: "Refused: the rollout is paused: write resume@2 first",
				Waits:      "1.1.0 stays at its present share: guardrail white failed: figures of Failed; annotate miniprogram.dev/action=resume@2 to go on, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", failed, "figures of Failed", now)}},
		},
		"a failure aborts while the gate is shut and it is paused": {
			guarding().with(func(p *Plan) { p.Paused = true }), watched(2), seeing("1.1.0", unapproved, guardedBy(white(failed, time.Hour, aborts))),
			guardOutline{Verb: TakeBack, Percent: "100%", Reason: "Aborted", Waits: "guardrail white failed: figures of Failed", Refused: "guardrail white failed: figures of Failed"},
		},
		"one by people without tokens at most pauses": {
			guarding(), watched(2), seeing("1.1.0", guardedBy(white(failed, time.Hour, aborts, func(g *Guardrail) { g.Measured.AtMostPause = true }))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Paused: pausedByGuardrail, Reason: "Paused",
				Waits:      "1.1.0 stays at its present share: guardrail white failed: figures of Failed; annotate miniprogram.dev/action=resume@2 to go on, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", failed, "figures of Failed", now)}},
		},
		"who resumes has seen the failure": {
			guarding(), watched(2, paused), seeing("1.1.0", guardedBy(white(failed, time.Hour)), asked("resume@2")),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Reason: ReasonGuardrails, Answer: "Done: the rollout goes on",
				Waits: "1.1.0 stays at its present share: guardrail white has not passed: " + anew +
					". It goes on when it has; to decide otherwise annotate miniprogram.dev/action=promote-full@2, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", unclear, anew, now)}},
		},
		"what failed before somebody resumed does not pause again": {
			guarding(), watched(2, saying(said("white", unclear, anew, ago(30*time.Second)))), seeing("1.1.0", guardedBy(white(failed, time.Hour))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Reason: ReasonGuardrails,
				Waits: "1.1.0 stays at its present share: guardrail white has not passed: " + anew +
					". It goes on when it has; to decide otherwise annotate miniprogram.dev/action=promote-full@2, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", unclear, anew, ago(30*time.Second))}},
		},
		"a failure after that does": {
			guarding(), watched(2, saying(said("white", unclear, anew, ago(time.Minute)))), seeing("1.1.0", guardedBy(white(failed, time.Hour))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Paused: pausedByGuardrail, Reason: "Paused",
				Waits:      "1.1.0 stays at its present share: guardrail white failed: figures of Failed; annotate miniprogram.dev/action=resume@2 to go on, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", failed, "figures of Failed", now)}},
		},
		"a pause stays when it passes again": {
			guarding(), watched(2, paused), seeing("1.1.0", guardedBy(white(passed, time.Hour))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Paused: pausedByGuardrail, Reason: "Paused",
				Waits:      "1.1.0 stays at its present share: it was paused by a guardrail that does not fail now; annotate miniprogram.dev/action=resume@2 to go on, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", passed, "figures of Passed", now)}},
		},
		"spec.state does not resume it": {
			guarding(), watched(2, func(st *status) { st.PausedReason, st.PausedSince = pausedBySpec, stampAt(ago(time.Hour)) }), seeing("1.1.0", guardedBy(white(failed, time.Hour))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Paused: pausedByGuardrail, Reason: "Paused",
				Waits:      "1.1.0 stays at its present share: guardrail white failed: figures of Failed; annotate miniprogram.dev/action=resume@2 to go on, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", failed, "figures of Failed", now)}},
		},
		"no data holds": {
			guarding(percent(5), seconds(60), percent(25)), watched(1), seeing("1.1.0", guardedBy(white(unclear, time.Hour, func(g *Guardrail) { g.Measured.NoData = true }))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Reason: ReasonGuardrails,
				Waits: "1.1.0 stays at its present share: guardrail white has not passed: figures of Inconclusive. " +
					"It goes on when it has; to decide otherwise annotate miniprogram.dev/action=promote-full@2, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", unclear, "figures of Inconclusive", now)}},
		},
		"no data aborts where that is asked for": {
			guarding(), watched(1), seeing("1.1.0", guardedBy(white(unclear, time.Hour, withoutData))),
			guardOutline{Verb: TakeBack, Percent: "100%", Reason: "Aborted", Waits: "guardrail white has no data for a whole interval: figures of Inconclusive",
				Refused: "guardrail white has no data for a whole interval: figures of Inconclusive"},
		},
		"an error is not no data": {
			guarding(), watched(1), seeing("1.1.0", guardedBy(white(broken, time.Hour, func(g *Guardrail) { g.OnNoData = v1alpha1.OnNoDataAbort }))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 1, Percent: "5%", Reason: ReasonAnalysis,
				Waits:      "1.1.0 stays at its present share: guardrail white has not passed: figures of Error. To skip the step annotate miniprogram.dev/action=promote@2/1",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", broken, "figures of Error", now)}},
		},
		"the last step waits too": {
			guarding(percent(5), seconds(60)), watched(1), seeing("1.1.0", guardedBy(white(passed, time.Hour), white(unclear, time.Hour, named("strict/white")))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Reason: ReasonGuardrails,
				Waits: "1.1.0 stays at its present share: guardrail strict/white has not passed: " + unmeasured +
					". It goes on when it has; to decide otherwise annotate miniprogram.dev/action=promote-full@2, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", passed, "figures of Passed", now), said("strict/white", unclear, unmeasured, now)}},
		},
		"a manager that knows nothing yet lets nothing grow": {
			guarding(), watched(2, saying(said("white", passed, "figures of Passed", ago(time.Hour)))),
			seeing("1.1.0", guardedBy(white(passed, time.Hour, func(g *Guardrail) { g.Measured = nil }))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 2, Percent: "5%", Reason: ReasonGuardrails,
				Waits: "1.1.0 stays at its present share: guardrail white has not passed: " + unmeasured +
					". It goes on when it has; to decide otherwise annotate miniprogram.dev/action=promote-full@2, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", passed, "figures of Passed", ago(time.Hour))}},
		},
		"the same word again is no write": {
			guarding(percent(5), person()), watched(1, saying(said("white", passed, "older figures", ago(time.Hour)))), seeing("1.1.0", guardedBy(white(passed, time.Hour))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 1, Percent: "5%", Reason: "WaitsForPromote",
				Waits:      "1.1.0 is at 5% and waits for a person: annotate miniprogram.dev/action=promote@2/1, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", passed, "older figures", ago(time.Hour))}},
		},
		"one that an edit removes goes": {
			guarding(percent(5), person()), watched(1), seeing("1.1.0"),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 1, Percent: "5%", Reason: "WaitsForPromote",
				Waits: "1.1.0 is at 5% and waits for a person: annotate miniprogram.dev/action=promote@2/1, or abort@2"},
		},
		"those of policies stay while these cannot be read": {
			guarding(percent(5), person()), watched(1, saying(said("strict/white", passed, "figures", ago(time.Hour)))), seeing("1.1.0", func(s *Seen) { s.PoliciesUnread = true }),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 1, Percent: "5%", Reason: "WaitsForPromote",
				Waits:      "1.1.0 is at 5% and waits for a person: annotate miniprogram.dev/action=promote@2/1, or abort@2",
				Guardrails: []v1alpha1.GuardrailStatus{said("strict/white", passed, "figures", ago(time.Hour))}},
		},
		"an analysis of none that there is holds": {
			guarding(percent(5), analysis(60, "gone"), percent(25)), watched(1), seeing("1.1.0", guardedBy(white(passed, time.Hour))),
			guardOutline{Verb: Wait, Target: "1.1.0", Step: 1, Percent: "5%", Reason: ReasonAnalysis,
				Waits:      "1.1.0 stays at its present share: step 1 names guardrail gone, which is not in spec.guardrails: add it. To skip the step annotate miniprogram.dev/action=promote@2/1",
				Guardrails: []v1alpha1.GuardrailStatus{said("white", passed, "figures of Passed", now)}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := Decide(test.plan, test.recorded, test.seen, now)
			got := guardOutline{Verb: m.Verb, Percent: m.Status.Percent, Paused: m.Status.PausedReason, Guardrails: m.Status.Guardrails, Reason: m.Reason, Waits: m.Message}
			if s := m.Status; s.Target != nil {
				got.Target, got.Step = s.Target.Version, s.Step.Index
			}
			if r := m.Status.Refused; r != nil {
				got.Refused = r.Reason
			}
			if a := m.Status.LastAction; a != nil {
				got.Answer = a.Result + ": " + a.Message
			}
			if diff := cmp.Diff(test.want, got, cmpEmpty); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			again := Decide(test.plan, m.Status, test.seen, now)
			if diff := cmp.Diff(m.Status, again.Status, cmpEmpty); diff != "" {
				t.Errorf("asking again changes the record (-first +again):\n%s", diff)
			}
		})
	}
}

// Whatever is measured, and whatever people do short of promote-full: the share grows
// only in a pass that saw every guardrail pass.
func TestNoShareGrowsUnguarded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := guarding(percent(5), analysis(60, "white"), percent(25), person(), percent(50), seconds(60))
		at, record := now, released()
		for range rapid.IntRange(1, 40).Draw(t, "passes") {
			at = at.Add(time.Duration(rapid.SampledFrom([]int{1, 30, 60, 300}).Draw(t, "seconds")) * time.Second)
			var guardrails []Guardrail
			ok := true
			for _, name := range []string{"white", "strict/white"} {
				outcome := rapid.SampledFrom([]string{passed, passed, passed, failed, unclear, broken}).Draw(t, name)
				from := at.Add(-time.Duration(rapid.IntRange(0, 120).Draw(t, "from")) * time.Second)
				g := Guardrail{Name: name, OnFailure: rapid.SampledFrom([]string{"Pause", "Abort"}).Draw(t, "onFailure"), OnNoData: "Hold", Interval: time.Minute,
					Measured: &Measurement{Outcome: outcome, Message: outcome, From: from, At: at, Since: from}}
				if rapid.IntRange(0, 5).Draw(t, "unknown") == 0 {
					g.Measured = nil
				}
				ok = ok && g.Measured != nil && outcome == passed
				guardrails = append(guardrails, g)
			}
			seen := seeing("1.1.0", guardedBy(guardrails...))
			if verb := rapid.SampledFrom([]string{"", "promote", "pause", "resume", "retry"}).Draw(t, "verb"); verb != "" {
				action := fmt.Sprintf("%s@%d", verb, record.Attempt)
				if verb == VerbPromote && record.Step != nil {
					action += fmt.Sprintf("/%d", record.Step.Index)
				}
				asked(action)(&seen)
			}
			m := Decide(plan, record, seen, at)
			attempt := record.Attempt == m.Status.Attempt && record.Target != nil
			grew := m.Status.BasisPoints > record.BasisPoints && m.Status.Outcome != v1alpha1.OutcomeAborted
			if attempt && grew && !ok {
				t.Fatalf("from %s to %s with %+v", record.Percent, m.Status.Percent, guardrails)
			}
			again := Decide(plan, m.Status, seen, at)
			if diff := cmp.Diff(m.Status, again.Status, cmpEmpty); diff != "" {
				t.Fatalf("asking again changes the record (-first +again):\n%s", diff)
			}
			record = m.Status
			if record.LastAction != nil {
				record.LastAction = nil // the annotation was taken away
			}
		}
	})
}

func TestMoreGuardrailsThanStatusHoldsNeverPass(t *testing.T) {
	seen := seeing("1.1.0")
	for i := range maxGuardrails + 1 {
		seen.Guardrails = append(seen.Guardrails, white(passed, time.Hour, named("strict/"+strconv.Itoa(i))))
	}
	m := Decide(guarding(percent(5), seconds(60), percent(25)), released(), seen, now)
	for _, after := range []time.Duration{2 * time.Minute, 4 * time.Minute} {
		for i := range seen.Guardrails {
			seen.Guardrails[i].Measured = &Measurement{Outcome: passed, From: now.Add(after - time.Minute), At: now.Add(after), Since: now}
		}
		m = Decide(guarding(percent(5), seconds(60), percent(25)), m.Status, seen, now.Add(after))
	}
	want := "1.1.0 stays at its present share: guardrail strict/200 has not passed: only 200 can watch a rollout: ask the platform's administrators to remove some from spec.rollout.guardrails of ReviewPolicies. " +
		"It goes on when it has; to decide otherwise annotate miniprogram.dev/action=promote-full@2, or abort@2"
	if m.Message != want || m.Status.Percent != "5%" || len(m.Status.Guardrails) != maxGuardrails {
		t.Errorf("%d are recorded at %s: %s", len(m.Status.Guardrails), m.Status.Percent, m.Message)
	}
}

// What was answered is not performed again, so each pause has a word of its own.
func TestAGuardrailThatPausesAgainIsResumedAgain(t *testing.T) {
	fails := white(failed, time.Hour)
	at, st := now, watched(1)
	for _, want := range []string{"resume@2", "resume@2/2", "resume@2/3"} {
		fails.Measured.From, fails.Measured.At = at, at.Add(time.Minute)
		at = at.Add(time.Minute)
		before := Decide(guarding(), st, seeing("1.1.0", guardedBy(fails)), at)
		if got := command.FindString(before.Message); got != want || before.Status.PausedReason != pausedByGuardrail {
			t.Fatalf("%s: the message names %q, and should %q: %s", before.Reason, got, want, before.Message)
		}
		st = Decide(guarding(), before.Status, seeing("1.1.0", guardedBy(fails), asked(want)), at).Status
		if st.PausedReason != "" || st.LastAction.Value != want || st.LastAction.Result != resultDone {
			t.Fatalf("after %s: paused %q, %+v", want, st.PausedReason, st.LastAction)
		}
		// It stays there, and resumes nothing else.
		if again := Decide(guarding(), changed(st, func(st *status) { st.PausedReason, st.PausedSince = pausedByUser, stampAt(at) }), seeing("1.1.0", guardedBy(fails), asked(want)), at).Status; again.PausedReason == "" {
			t.Fatalf("%s resumes a second time", want)
		}
	}
}
