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
	After      string // Hold, Abort, or empty for Hold
}

func windowOf(w *v1alpha1.Window) Window {
	if w == nil {
		return Window{}
	}
	out := Window{After: w.AfterWindow}
	if w.Start != nil {
		out.Start = w.Start.UTC().Truncate(time.Second)
	}
	if w.End != nil {
		out.End = w.End.UTC().Truncate(time.Second)
	}
	return out
}

func (w Window) facts() *v1alpha1.WindowFacts {
	if w.Start.IsZero() && w.End.IsZero() {
		return nil
	}
	out := new(v1alpha1.WindowFacts)
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
	if w.closed(d.now) && w.After == v1alpha1.AfterWindowAbort {
		d.abort("its window closed at " + stamp(w.End))
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
	case d.now.Before(w.Start):
		d.until(w.Start)
		start := metav1.NewTime(w.Start)
		if s.Began == nil || s.Began.Before(&start) {
			began := start
			s.Began = &began
		}
		d.say(Advance, reasonWindowNotOpen, fmt.Sprintf("%s goes out from %s on (spec.window.start)", d.st.Target.Version, stamp(w.Start)))
		return false
	case w.closed(d.now):
		d.say(Wait, ReasonWindowClosed, d.windowClosed())
		d.move.Waits = true
		return false
	}
	return true
}

func (d *decider) windowClosed() string {
	return fmt.Sprintf("the window of %s closed at %s, and only who is included by name has it: annotate miniprogram.dev/action=promote-full@%d "+
		"to make it stable for everybody, or abort@%d, or set a later spec.window.end",
		d.st.Target.Version, stamp(d.plan.Window.End), d.st.Attempt, d.st.Attempt)
}
