package rollout

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// countHeld keeps since when the target is held by what is not in its plan, and
// tells when that takes longer than the plan allows. It holds on then: what is
// missing may come yet, and only people can tell that it will not.
func (d *decider) countHeld() {
	step := d.st.Step
	switch {
	case step == nil:
		return
	case !d.held:
		step.HeldSince = nil
		return
	case d.st.PausedReason != "":
		return // resume leaves out the time that is paused
	case step.HeldSince == nil:
		since := metav1.NewTime(d.now)
		step.HeldSince = &since
	}
	limit := d.plan.ProgressDeadline
	if limit == 0 {
		return
	}
	if left := step.HeldSince.Add(limit).Sub(d.now); left > 0 {
		d.recheckAfter(left)
		return
	}
	d.move.Overdue = true
	d.move.Message = cut(fmt.Sprintf(
		"held since %s, longer than the %s of spec.progressDeadlineSeconds: %s. It goes on when that is over; annotate miniprogram.dev/action=abort@%d to take it back",
		stamp(step.HeldSince.Time), limit, clip(d.move.Message), d.st.Attempt), 1000)
}
