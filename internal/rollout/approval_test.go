package rollout

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

func approval(role string) Step { return Step{Approval: &Approval{Role: role}} }

// gated is the plan of the package comment with an approval of role privacy
// between the pause and 25 %.
func gated(change ...func(*Plan)) Plan {
	p := planTo("1.1.0", percent(5), seconds(60), approval("privacy"), percent(25), person())
	for _, c := range change {
		c(&p)
	}
	return p
}

// privacyAt is the question of an approval step for 1.1.0.
func privacyAt(attempt, step int32) Question {
	return Question{Attempt: attempt, Step: step, Role: "privacy", Digest: variant("1.1.0").Digest}
}

// approved answers questions with yes, and asked for with the Review that asks.
func approved(questions ...Question) func(*Seen) {
	return func(s *Seen) {
		s.Answers = map[Question]Answer{}
		for _, q := range questions {
			s.Answers[q] = Answer{Approved: true, Review: "shop-1.1.0-privacy-1-ab12cd34"}
		}
	}
}

const privacyWaits = "waits for 1 approval of role privacy for step 2 of attempt 2 of Rollout shop (needs approve on miniprograms/review-privacy)"

func unanswered(q Question) func(*Seen) {
	return func(s *Seen) {
		s.Answers = map[Question]Answer{q: {Reason: ReasonWaitingForApproval, Review: "shop-1.1.0-privacy-1-ab12cd34", Message: privacyWaits}}
	}
}

// atApproval is the record with 1.1.0 at the approval, since an hour.
func atApproval(change ...func(*status)) status {
	st := underWay(2, 500, ago(time.Hour))
	st.Step.Kind = "Approval"
	return changed(st, change...)
}

func hurried(st *status) { st.Promotion = v1alpha1.PromotionFull }

// The examples of the package comment that have an approval, row by row.
func TestWorkedExamplesOfApprovals(t *testing.T) {
	const waits = "1.1.0 is at 5% and waits for 1 approval of role privacy for step 2 (needs approve on miniprograms/review-privacy). " +
		"Approve the Review that names the step in spec.rollout, or annotate miniprogram.dev/action=abort@2"
	const named = "1.1.0 is at 5% and " + privacyWaits + ". Approve Review shop-1.1.0-privacy-1-ab12cd34, or annotate miniprogram.dev/action=abort@2"
	stable := changed(released(), decidedNow, func(st *status) {
		st.Rollbacks = []v1alpha1.Variant{*st.Stable}
		st.Attempt, st.LastDelivery, st.Outcome = 2, st.LastDelivery+1, v1alpha1.OutcomeFastPromoted
		st.Stable = served("1.1.0", st.LastDelivery)
		st.History = append(st.History, v1alpha1.Attempt{
			Attempt: 2, Version: "1.1.0", Digest: variant("1.1.0").Digest, Outcome: v1alpha1.OutcomeFastPromoted, Ended: *stampAt(now),
		})
	})
	check(t, map[string]decision{
		"a pause that is over leads to the approval": {
			gated(), underWay(1, 500, ago(time.Minute)), seeing("1.1.0"),
			Move{Verb: Wait, Reason: ReasonWaitingForApproval, Message: waits, Waits: true, Recheck: renewed - time.Hour,
				Status: atApproval(func(st *status) { st.Step.Began = stampAt(now) })},
		},
		"nobody promotes it": {
			gated(), atApproval(), seeing("1.1.0", unanswered(privacyAt(2, 2)), asked("promote@2/2")),
			Move{Verb: Wait, Reason: ReasonWaitingForApproval, Message: named, Waits: true, Recheck: renewed - time.Hour,
				Status: atApproval(func(st *status) {
					st.LastAction = answer("promote@2/2", "Refused", "promoting does not replace the approval of step 2: "+
						"approve Review shop-1.1.0-privacy-1-ab12cd34 (role privacy, needs approve on miniprograms/review-privacy)")
				})},
		},
		"it is approved": {
			gated(), atApproval(), seeing("1.1.0", approved(privacyAt(2, 2))),
			Move{Verb: Wait, Reason: "WaitsForPromote", Waits: true, Recheck: renewed,
				Message: "1.1.0 is at 25% and waits for a person: annotate miniprogram.dev/action=promote@2/4, or abort@2",
				Status:  changed(underWay(4, 2500, now), decidedNow)},
		},
		"promote-full goes to it and no further": {
			gated(), underWay(1, 500, now), seeing("1.1.0", asked("promote-full@2")),
			Move{Verb: Wait, Reason: ReasonWaitingForApproval, Message: waits, Waits: true, Recheck: renewed - time.Hour,
				Status: atApproval(hurried, func(st *status) {
					st.Step.Began = stampAt(now)
					st.LastAction = answer("promote-full@2", "Done", "the target goes as far as step 2, which only an approval of role privacy passes; the pauses after it are skipped too")
				})},
		},
		"and on when it is approved": {
			gated(), atApproval(hurried), seeing("1.1.0", approved(privacyAt(2, 2))),
			Move{Verb: Complete, Reason: "Complete", Message: "1.1.0 is stable for everybody", Recheck: renewed, Status: stable},
		},
		"an approval that is gone leads back to it": {
			gated(), underWay(4, 2500, ago(time.Hour)), seeing("1.1.0"),
			Move{Verb: Wait, Reason: ReasonWaitingForApproval, Waits: true, Recheck: renewed - time.Hour,
				Message: "1.1.0 is at 25%" + waits[len("1.1.0 is at 5%"):],
				Status:  changed(underWay(2, 2500, now), func(st *status) { st.Step.Kind = "Approval" })},
		},
		"a retry asks anew": {
			gated(), changed(aborted(), func(st *status) { st.Refused.Step = 4 }), seeing("1.1.0", approved(privacyAt(2, 2)), asked("retry@2")),
			Move{Verb: Wait, Reason: ReasonWaitingForApproval, Waits: true, Recheck: renewed, Message: waits[:len(waits)-1] + "3",
				Status: changed(aborted(), decidedNow, func(st *status) {
					st.Attempt, st.Outcome, st.Refused, st.LastDelivery = 3, "", nil, minutes(now)
					st.Target = served("1.1.0", minutes(now))
					st.Step = &v1alpha1.StepStatus{Index: 2, Kind: "Approval", Began: stampAt(now)}
					st.BasisPoints, st.PeakBasisPoints, st.Percent = 500, 500, "5%"
					st.Document.By, st.Document.Seed = "user", appID+"@"+variant("1.1.0").Digest
					st.LastAction = answer("retry@2", "Done", "the target starts again at step 2, which has to be approved anew")
				})},
		},
	})
}

func TestWhatAnApprovalStepDoes(t *testing.T) {
	hourAgo := ago(time.Hour)
	waits := func(step, basisPoints int32, began time.Time, change ...func(*outline)) outline {
		o := outline{Verb: Wait, Reason: ReasonWaitingForApproval, Stable: "1.0.0", Target: "1.1.0", Attempt: 2, Step: step, Began: began, BasisPoints: basisPoints, Availability: "Listed"}
		for _, c := range change {
			c(&o)
		}
		return o
	}
	back := outline{Verb: TakeBack, Reason: "Aborted", Stable: "1.0.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"}
	passed := waits(4, 2500, now, func(o *outline) { o.Reason = "WaitsForPromote" })
	full := func(o *outline) { o.Promotion = "Full" }
	steps := func(steps ...Step) Plan { return planTo("1.1.0", steps...) }
	paused := func(st *status) { st.PausedReason, st.PausedSince = pausedByUser, stampAt(hourAgo) }
	other := func(change func(*Question)) func(*Seen) {
		q := privacyAt(2, 2)
		change(&q)
		return approved(q)
	}

	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		want     outline
	}{
		"nobody answered":                  {gated(), atApproval(), seeing("1.1.0"), waits(2, 500, hourAgo)},
		"it is approved":                   {gated(), atApproval(), seeing("1.1.0", approved(privacyAt(2, 2))), passed},
		"another attempt was approved":     {gated(), atApproval(), seeing("1.1.0", other(func(q *Question) { q.Attempt = 1 })), waits(2, 500, hourAgo)},
		"another step was approved":        {gated(), atApproval(), seeing("1.1.0", other(func(q *Question) { q.Step = 1 })), waits(2, 500, hourAgo)},
		"another role approved":            {gated(), atApproval(), seeing("1.1.0", other(func(q *Question) { q.Role = "quality" })), waits(2, 500, hourAgo)},
		"another digest was approved":      {gated(), atApproval(), seeing("1.1.0", other(func(q *Question) { q.Digest = variant("1.2.0").Digest })), waits(2, 500, hourAgo)},
		"the gate is shut":                 {gated(), atApproval(), seeing("1.1.0", approved(privacyAt(2, 2)), unapproved), waits(2, 500, hourAgo, func(o *outline) { o.Reason = "NotApproved" })},
		"paused by a person":               {gated(), atApproval(paused), seeing("1.1.0", approved(privacyAt(2, 2))), waits(2, 500, hourAgo, func(o *outline) { o.Reason, o.Paused = "Paused", "User" })},
		"paused in Git":                    {gated(func(p *Plan) { p.Paused = true }), atApproval(), seeing("1.1.0", approved(privacyAt(2, 2))), waits(2, 500, hourAgo, func(o *outline) { o.Reason, o.Paused = "Paused", "Spec" })},
		"resumed":                          {gated(), atApproval(paused), seeing("1.1.0", approved(privacyAt(2, 2)), asked("resume@2")), passed},
		"an abort beats its approval":      {gated(), atApproval(), seeing("1.1.0", approved(privacyAt(2, 2)), asked("abort@2")), back},
		"a withdrawal beats its approval":  {gated(), atApproval(hurried), seeing("1.1.0", approved(privacyAt(2, 2)), withdrawn("1.1.0")), back},
		"the share need not be out for it": {gated(), atApproval(), seeing("1.1.0", approved(privacyAt(2, 2)), func(s *Seen) { s.Unpublished = true }), passed},
		"two in a row are two approvals": {
			steps(percent(5), approval("quality"), approval("privacy"), percent(25)), atApproval(), seeing("1.1.0", approved(privacyAt(2, 2))), waits(1, 500, now),
		},
		"the last step before everybody": {
			steps(percent(5), approval("privacy")), underWay(1, 500, hourAgo), seeing("1.1.0", approved(privacyAt(2, 1))),
			outline{Verb: Complete, Reason: "Complete", Stable: "1.1.0", Attempt: 2, BasisPoints: 10000, Outcome: "Promoted", Availability: "Listed"},
		},
		"a first release waits too": {
			planTo("1.0.0", percent(5), approval("privacy")), status{}, seeing("1.0.0"),
			outline{Verb: Wait, Reason: ReasonWaitingForApproval, Target: "1.0.0", Attempt: 1, Step: 1, Began: now, BasisPoints: 500, Availability: "Listed"},
		},
		"another version asks for its own": {
			planTo("1.2.0", gated().Steps...).with(func(p *Plan) { p.Steps[1] = seconds(60) }), atApproval(hurried), seeing("1.2.0", approved(privacyAt(2, 2))),
			outline{Verb: Advance, Reason: "Progressing", Stable: "1.0.0", Target: "1.2.0", Attempt: 3, Step: 1, Began: now, BasisPoints: 500, Availability: "Listed"},
		},

		"an edit puts another role there": {
			gated(func(p *Plan) { p.Steps[2] = approval("security") }), atApproval(), seeing("1.1.0", approved(privacyAt(2, 2))), waits(2, 500, hourAgo),
		},
		"an edit puts another role behind it": {
			gated(func(p *Plan) { p.Steps[2] = approval("security") }), underWay(4, 2500, hourAgo), seeing("1.1.0", approved(privacyAt(2, 2))), waits(2, 2500, now),
		},
		"an edit puts one behind it": {
			steps(percent(5), approval("privacy"), percent(25), person()), underWay(3, 2500, hourAgo), seeing("1.1.0"), waits(1, 2500, now),
		},
		"and it goes on where it was": {
			steps(percent(5), approval("privacy"), percent(25), person()), underWay(1, 2500, hourAgo), seeing("1.1.0", approved(privacyAt(2, 1))),
			waits(3, 2500, now, func(o *outline) { o.Reason = "WaitsForPromote" }),
		},
		"an edit moves it": {
			gated(func(p *Plan) { p.Steps = append([]Step{percent(1)}, p.Steps...) }), underWay(4, 2500, hourAgo), seeing("1.1.0", approved(privacyAt(2, 2))), waits(3, 2500, now),
		},
		"an edit takes it away": {
			gated(func(p *Plan) { p.Steps[2] = seconds(1) }), atApproval(), seeing("1.1.0"), passed,
		},
		"an edit before it keeps what was approved": {
			gated(func(p *Plan) { p.Steps[1] = seconds(7200) }), underWay(4, 2500, hourAgo), seeing("1.1.0", approved(privacyAt(2, 2))),
			waits(4, 2500, hourAgo, func(o *outline) { o.Reason = "WaitsForPromote" }),
		},

		"promote-full takes the shares on its way": {
			steps(percent(5), person(), percent(50), person(), approval("privacy"), percent(60), person()), underWay(1, 500, hourAgo), seeing("1.1.0", asked("promote-full@2")),
			waits(4, 5000, now, full),
		},
		"to the next approval": {
			steps(percent(5), approval("quality"), percent(50), approval("privacy"), percent(60)), changed(underWay(1, 500, hourAgo), hurried),
			seeing("1.1.0", approved(Question{2, 1, "quality", variant("1.1.0").Digest})), waits(3, 5000, now, full),
		},
		"also where the edited plan has no place": {
			steps(percent(10), approval("privacy")), underWay(3, 2500, hourAgo), seeing("1.1.0", asked("promote-full@2")), waits(1, 2500, now, full),
		},
		"and holds at the shut gate": {
			gated(), atApproval(hurried), seeing("1.1.0", unapproved), waits(2, 500, hourAgo, full, func(o *outline) { o.Reason = "NotApproved" }),
		},
		"a promotion of the pause before it": {
			gated(), underWay(1, 500, now), seeing("1.1.0", asked("promote@2/1")), waits(2, 500, now),
		},
		"a promotion while it lacks an earlier approval": {
			gated(), underWay(4, 2500, hourAgo), seeing("1.1.0", asked("promote@2/4")), waits(2, 2500, now),
		},
		"a retry of the step itself": {
			gated(), changed(aborted(), func(st *status) { st.Refused.Step = 2 }), seeing("1.1.0", approved(privacyAt(2, 2)), asked("retry@2")),
			waits(2, 500, now, func(o *outline) { o.Attempt = 3 }),
		},
		"a retry forgets that it was promoted": {
			gated(), changed(aborted(), func(st *status) { st.Refused.Step = 1 }), seeing("1.1.0", asked("retry@2")),
			waits(1, 500, now, func(o *outline) { o.Attempt, o.Verb, o.Reason = 3, Advance, "Progressing" }),
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

func TestAnApprovalThatIsNotAskedForSaysWhy(t *testing.T) {
	const why = "1 approval of role privacy is not asked for: review r was withdrawn by dana; kubectl delete mprev r asks again"
	notAsked := func(s *Seen) {
		s.Answers = map[Question]Answer{privacyAt(2, 2): {Reason: "RequestWithdrawn", Message: why, Review: "another"}}
	}
	check(t, map[string]decision{
		"it waits for another reason": {
			gated(), atApproval(), seeing("1.1.0", notAsked, asked("promote@2/2")),
			Move{Verb: Wait, Reason: "RequestWithdrawn", Waits: true, Recheck: renewed - time.Hour,
				Message: "1.1.0 is at 5% and " + why + ". Annotate miniprogram.dev/action=abort@2 to take it back",
				Status: atApproval(func(st *status) {
					st.LastAction = answer("promote@2/2", "Refused", "promoting does not replace the approval of step 2: "+why)
				})},
		},
	})
}

func TestAbortingEndsAPromotion(t *testing.T) {
	got := Decide(gated(), atApproval(hurried), seeing("1.1.0", asked("abort@2")), now).Status
	if got.Promotion != "" {
		t.Errorf("without a target it is still promoted: %q", got.Promotion)
	}
}

func TestQuestions(t *testing.T) {
	plan := planTo("1.1.0", percent(5), approval("privacy"), percent(25), approval("security"))
	st := underWay(3, 2500, ago(time.Hour))
	second := Question{2, 3, "security", variant("1.1.0").Digest}
	if diff := cmp.Diff([]Question{privacyAt(2, 1), second}, plan.Questions(&st)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for name, test := range map[string]struct {
		recorded status
		want     string
	}{
		"at an approval":    {st, fmt.Sprint(second, true)},
		"at another step":   {underWay(2, 500, ago(time.Hour)), fmt.Sprint(Question{}, false)},
		"past the last":     {underWay(4, 2500, ago(time.Hour)), fmt.Sprint(Question{}, false)},
		"nothing under way": {released(), fmt.Sprint(Question{}, false)},
		"a step was lost":   {changed(st, func(st *status) { st.Step = nil }), fmt.Sprint(Question{}, false)},
	} {
		t.Run(name, func(t *testing.T) {
			q, ok := plan.Asked(&test.recorded)
			if got := fmt.Sprint(q, ok); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// answerStep mostly approves what is asked, and else something near to it.
func answerStep(w *world, t *rapid.T) {
	q, asked := w.plan.Asked(&w.record.status)
	if !asked || rapid.IntRange(0, 2).Draw(t, "something else") == 0 {
		q = Question{
			Attempt: w.record.status.Attempt + int32(rapid.IntRange(-1, 1).Draw(t, "attempt")), Step: int32(rapid.IntRange(0, 5).Draw(t, "step")),
			Role: rapid.SampledFrom([]string{"privacy", "quality"}).Draw(t, "role"), Digest: variant(rapid.SampledFrom(allVersions).Draw(t, "version")).Digest,
		}
	}
	w.answers[q] = Answer{Approved: rapid.IntRange(0, 4).Draw(t, "approved") > 0, Review: "review"}
}

// checkApprovals lets no share grow past an approval step of the plan, and
// nothing become stable, without somebody's approval of just that.
func checkApprovals(t *rapid.T, plan Plan, before, after v1alpha1.RolloutStatus, seen Seen) {
	passes := func(digest string) (share int32, all bool) {
		for i, s := range plan.Steps {
			switch {
			case s.Approval == nil && s.Pause == nil:
				share = s.BasisPoints
			case s.Approval != nil && !seen.Answers[Question{after.Attempt, int32(i), s.Approval.Role, digest}].Approved:
				return share, false
			}
		}
		return 10000, true
	}
	if a := after.Target; a != nil {
		had := int32(0)
		if before.Target != nil && before.Target.Delivery == a.Delivery {
			had = before.BasisPoints
			if out := seen.Out; out != nil && out.Split != nil && is(out.Target, a) {
				had = max(had, out.Split.BasisPoints) // the record came back from a backup
			}
		}
		if share, _ := passes(a.Digest); after.BasisPoints > max(had, share) {
			t.Fatalf("target %s grows from %d to %d, but the approvals let it come to %d", a.Version, had, after.BasisPoints, share)
		}
	}
	completed := func(st v1alpha1.RolloutStatus) int {
		return slices.IndexFunc(st.History, func(a v1alpha1.Attempt) bool {
			return a.Attempt == after.Attempt && (a.Outcome == v1alpha1.OutcomePromoted || a.Outcome == v1alpha1.OutcomeFastPromoted)
		})
	}
	if i := completed(after); i >= 0 && completed(before) < 0 {
		restored := seen.Out != nil && before.Target != nil && is(seen.Out.Stable, before.Target) // approved before the backup came back
		if _, all := passes(after.History[i].Digest); !all && !restored {
			t.Fatalf("%s went to everybody without an approval", after.History[i].Version)
		}
	}
}

func TestTheEndOfAnApprovalIsAwaited(t *testing.T) {
	until := func(q Question, after time.Duration) func(*Seen) {
		return func(s *Seen) { s.Answers[q] = Answer{Approved: true, Expires: new(now.Add(after))} }
	}
	passed := privacyAt(2, 2)
	at25 := underWay(4, 2500, ago(time.Minute))
	for name, test := range map[string]struct {
		recorded status
		seen     Seen
		want     time.Duration
	}{
		"of the step that was passed":    {at25, seeing("1.1.0", approved(passed), until(passed, time.Minute)), time.Minute},
		"in whole seconds, at least one": {at25, seeing("1.1.0", approved(passed), until(passed, time.Millisecond)), time.Second},
		"there is none":                  {at25, seeing("1.1.0", approved(passed)), delivery.RenewAfter - time.Hour},
		"of another attempt it is not":   {at25, seeing("1.1.0", approved(passed), until(privacyAt(1, 2), time.Minute)), delivery.RenewAfter - time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Decide(gated(), test.recorded, test.seen, now).Recheck; got != test.want {
				t.Errorf("looks again after %s, want %s", got, test.want)
			}
		})
	}
}
