package rollout

import (
	"fmt"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Window is when the target is handed out, from Start to before End; a zero time is an
// open end, and the zero Window is always.
type Window struct {
	Start, End time.Time
	// Users is how many get the target before it closes; 0: as many as there are.
	Users int64
	After string // Hold, Abort, or empty for Hold
}

func windowOf(w *v1alpha1.Window) Window {
	if w == nil {
		return Window{}
	}
	out := Window{Users: w.Users, After: w.AfterWindow}
	if w.Start != nil {
		out.Start = w.Start.UTC().Truncate(time.Second)
	}
	if w.End != nil {
		out.End = w.End.UTC().Truncate(time.Second)
	}
	return out
}

func (w Window) facts() *v1alpha1.WindowFacts {
	if w.Start.IsZero() && w.End.IsZero() && w.Users == 0 {
		return nil
	}
	out := &v1alpha1.WindowFacts{Users: w.Users}
	if !w.Start.IsZero() {
		start := metav1.NewTime(w.Start)
		out.Start = &start
	}
	if !w.End.IsZero() {
		end := metav1.NewTime(w.End)
		out.End = &end
	}
	return out
}

func (w Window) closed(now time.Time) bool { return !w.End.IsZero() && !now.Before(w.End) }

// closeWindow takes the target back when its window has closed and the plan says so,
// whatever else holds it. A later end counts as soon as the spec has it, also while the
// gate is shut and the document keeps the earlier one.
func (d *decider) closeWindow() {
	w := d.plan.Window
	if d.st.Target == nil {
		return
	}
	for _, at := range []time.Time{w.Start, w.End} {
		if at.After(d.now) {
			d.recheckAfter(at.Sub(d.now))
		}
	}
	if d.windowClosed() && w.After == v1alpha1.AfterWindowAbort {
		d.abort("its window closed " + d.closedAt())
	}
}

// unstarted says why no target begins now because of the window, or for want of
// testers; nil: one may.
func (d *decider) unstarted() *Hold {
	if d.plan.Trial && len(d.plan.Audience.Include) == 0 {
		return &Hold{"NoTesters", "the MiniProgram names no testers: add the keys of some to its spec.testers"}
	}
	if w := d.plan.Window; w.closed(d.now) {
		return &Hold{ReasonWindowClosed, fmt.Sprintf("the window closed at %s: set a later spec.window.end, or remove it", stamp(w.End))}
	}
	return nil
}

// awaitWindow tells whether the plan goes on by the window. Before it opens nobody is
// in the share, so that no pause counts; after it has closed a person says how the
// target ends. Of promote-full both are passed.
func (d *decider) awaitWindow() bool {
	w, s := d.plan.Window, d.st.Step
	switch {
	case d.st.Promotion == v1alpha1.PromotionFull:
		return true
	case d.windowClosed():
		d.say(Wait, ReasonWindowClosed, d.sayClosed())
		d.move.Waits = true
		return false
	case d.now.Before(w.Start):
		d.until(w.Start)
		start := metav1.NewTime(w.Start)
		if s.Began == nil || s.Began.Before(&start) {
			began := start
			s.Began = &began
		}
		d.say(Advance, reasonWindowNotOpen, fmt.Sprintf("%s goes out from %s on (spec.window.start)", d.st.Target.Version, stamp(w.Start)))
		return false
	}
	return true
}

func (d *decider) sayClosed() string {
	longer := "set a later spec.window.end"
	if !d.plan.Window.closed(d.now) {
		longer = "set a higher spec.window.users"
	}
	return fmt.Sprintf("the window of %s closed %s, and only who is included by name has it: annotate miniprogram.dev/action=promote-full@%d "+
		"to make it stable for everybody, or abort@%d, or %s", d.st.Target.Version, d.closedAt(), d.st.Attempt, d.st.Attempt, longer)
}

// closedAt says when and why the window closed.
func (d *decider) closedAt() string {
	if w := d.plan.Window; w.closed(d.now) {
		return "at " + stamp(w.End)
	}
	w := d.st.Document.Window
	return fmt.Sprintf("at %s, for %d installations of spec.window.users %d were reported", stamp(w.Closed.Time), w.Installed, w.Users)
}

// windowClosed tells that the time is over, or that enough users have the target.
func (d *decider) windowClosed() bool {
	enough := d.st.Document != nil && d.st.Document.Window != nil && d.st.Document.Window.Closed != nil
	return d.plan.Window.closed(d.now) || enough
}

// countInstalled takes over how many have installed the target, and closes the window for
// good when they are enough: a count that was lost since then does not open it. More are
// meant only when the spec says so, and the gate is open. A tenth of them is a write.
func (d *decider) countInstalled(was, next *v1alpha1.WindowFacts, open bool) *v1alpha1.WindowFacts {
	if next == nil || next.Users == 0 {
		return next
	}
	w := next.DeepCopy()
	if was != nil {
		w.Installed, w.Closed = was.Installed, was.Closed
	}
	if n := d.seen.Installed; n >= w.Users || n-w.Installed >= (w.Users+9)/10 {
		w.Installed = max(w.Installed, n)
	}
	switch {
	case w.Installed >= w.Users && w.Closed == nil:
		now := metav1.NewTime(d.now)
		w.Closed = &now
	case w.Installed < w.Users && open:
		w.Closed = nil
	}
	return w
}
