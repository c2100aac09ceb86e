package rollout

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/schedule"
)

// ReasonCalendarClosed is why a move waits for a calendar.
const ReasonCalendarClosed = "CalendarClosed"

// opening asks the rollout's calendar and those of policies. What takes something
// back does not ask.
func (d *decider) opening() schedule.Opening {
	if d.asked == nil {
		o := schedule.At(d.now, append([]schedule.Calendar{d.plan.Calendar}, d.seen.Calendars...)...)
		d.asked = &o
	}
	if !d.asked.Ask.IsZero() {
		d.recheckAfter(d.asked.Ask.Sub(d.now))
	}
	return *d.asked
}

// shut says what keeps the share from growing now, and until when; empty: nothing does.
func (d *decider) shut() string {
	o := d.opening()
	switch {
	case o.Open:
		return ""
	case o.Changes.IsZero():
		return fmt.Sprintf("the share may not grow now: %s, and no end of that is known", o.Why)
	}
	return fmt.Sprintf("the share may not grow before %s: %s", stamp(o.Changes), o.Why)
}

// closed tells that the calendar keeps the target from going on, and says until when.
func (d *decider) closed() bool {
	why := d.shut()
	if why == "" {
		return false
	}
	d.until(d.opening().Changes)
	d.say(Wait, ReasonCalendarClosed, fmt.Sprintf(
		"%s is at %s, and %s. It goes on by itself then; annotate miniprogram.dev/action=abort@%d to take it back, or change the calendar",
		d.st.Target.Version, delivery.Percent(d.st.BasisPoints), why, d.st.Attempt))
	return true
}

// until records when what the step waits for is over by itself.
func (d *decider) until(end time.Time) {
	if d.st.Step == nil || end.IsZero() {
		return
	}
	at := metav1.NewTime(end.UTC())
	d.st.Step.Until = &at
}
