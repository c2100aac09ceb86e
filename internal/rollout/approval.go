package rollout

import (
	"fmt"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// ReasonWaitingForApproval is why a move waits at an approval step.
const ReasonWaitingForApproval = "WaitingForApproval"

// Question asks for the approval of one step: in this attempt, in this role, for
// these bytes. An approval of anything else does not answer it.
type Question struct {
	// Attempt from 1, Step from 0.
	Attempt, Step int32
	Role, Digest  string
}

// Answer is what is known about a Question.
type Answer struct {
	// Approved says that the step may be passed.
	Approved bool
	// Reason and Message say why not, and who can help; empty: it waits for what the Question asks.
	Reason, Message string
	// Review is the name of the one that asks; empty: not known.
	Review string
	// Expires is when an approval that counts ends, and the answer may be another; nil: never.
	Expires *time.Time
}

// Questions are those of all approval steps, about the recorded target and
// attempt; none without a target.
func (p Plan) Questions(st *v1alpha1.RolloutStatus) []Question {
	var out []Question
	for i, s := range p.Steps {
		if s.Approval != nil && st.Target != nil {
			out = append(out, Question{st.Attempt, int32(i), s.Approval.Role, st.Target.Digest})
		}
	}
	return out
}

// Asked is the question of the step that is recorded; false where that is no
// approval step. Something else may keep the target there too, such as a pause.
func (p Plan) Asked(st *v1alpha1.RolloutStatus) (Question, bool) {
	for _, q := range p.Questions(st) {
		if st.Step != nil && q.Step == st.Step.Index {
			return q, true
		}
	}
	return Question{}, false
}

// awaitEnds looks again when an approval ends on which the target rests.
func (d *decider) awaitEnds() {
	for _, q := range d.plan.Questions(&d.st) {
		if end := d.seen.Answers[q].Expires; end != nil {
			d.recheckAfter(end.Sub(d.now))
		}
	}
}

// lacking returns the question of the first approval step before the index that
// is not approved; false when there is none.
func (d *decider) lacking(before int32) (Question, bool) {
	for _, q := range d.plan.Questions(&d.st) {
		if q.Step < before && !d.seen.Answers[q].Approved {
			return q, true
		}
	}
	return Question{}, false
}

// heldBack is the index, or that of an earlier step that lacks its approval.
func (d *decider) heldBack(index int32) int32 {
	if q, lacks := d.lacking(index); lacks {
		return q.Step
	}
	return index
}

// passApproval tells whether the step at which the target is, an approval, was
// approved. If not, it says what is waited for.
func (d *decider) passApproval() bool {
	q, asked := d.plan.Asked(&d.st)
	answer := d.seen.Answers[q]
	if !asked || answer.Approved {
		return true
	}
	if answer.Message == "" {
		answer.Reason = ReasonWaitingForApproval
		answer.Message = fmt.Sprintf("waits for 1 approval of role %s for step %d (needs approve on miniprograms/review-%s)", q.Role, q.Step, q.Role)
	}
	way := fmt.Sprintf("Annotate miniprogram.dev/action=abort@%d to take it back", d.st.Attempt)
	if answer.asks() {
		way = fmt.Sprintf("Approve %s, or annotate miniprogram.dev/action=abort@%d", answer.review(), d.st.Attempt)
	}
	d.say(Wait, answer.Reason, fmt.Sprintf("%s is at %s and %s. %s",
		d.st.Target.Version, delivery.Percent(d.st.BasisPoints), clip(answer.Message), way))
	d.move.Waits = true
	return false
}

// asks tells that somebody is, or will be, asked.
func (a Answer) asks() bool { return a.Reason == "" || a.Reason == ReasonWaitingForApproval }

func (a Answer) review() string {
	if a.Review == "" {
		return "the Review that names the step in spec.rollout"
	}
	return "Review " + a.Review
}

// unpromotable says how the step goes on that nobody can promote.
func (d *decider) unpromotable(q Question) string {
	answer := d.seen.Answers[q]
	if !answer.asks() {
		return fmt.Sprintf("promoting does not replace the approval of step %d: %s", q.Step, answer.Message)
	}
	return fmt.Sprintf("promoting does not replace the approval of step %d: approve %s (role %s, needs approve on miniprograms/review-%s)",
		q.Step, answer.review(), q.Role, q.Role)
}

// promoteFull skips what is left, up to the next approval that lacks. What has to
// happen after that is recorded, for the answer to the action is given now.
func (d *decider) promoteFull() (result, message string) {
	d.st.Promotion = v1alpha1.PromotionFull
	q, lacks := d.lacking(int32(len(d.plan.Steps)))
	if !lacks {
		d.complete(v1alpha1.OutcomeFastPromoted)
		return resultDone, "the target is stable for everybody"
	}
	return resultDone, fmt.Sprintf("the target goes as far as step %d, which only an approval of role %s passes; the pauses after it are skipped too", q.Step, q.Role)
}
