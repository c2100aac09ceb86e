package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Guardrail is one that watches the target: the rollout's own, or one of a policy
// under the name <policy>/<name>.
type Guardrail struct {
	Name string
	// OnFailure is Pause or Abort, OnNoData Hold or Abort.
	OnFailure, OnNoData string
	// Interval that each measurement covers.
	Interval time.Duration
	// Measured is the last measurement of the target; nil: there is none yet.
	Measured *Measurement
}

// Measurement is the word about one interval.
type Measurement struct {
	// Outcome is one of v1alpha1.GuardrailPassed and its like; Message has the figures.
	Outcome, Message string
	// NoData: in a whole interval there was nothing of the target.
	NoData bool
	// AtMostPause: its failure takes nothing back.
	AtMostPause bool
	// From and At are the ends of the interval.
	From, At time.Time
	// Since is when the first interval began of those that had this outcome without a break.
	Since time.Time
}

// Analysis waits until each of the guardrails has passed for the time without a break.
type Analysis struct {
	Guardrails []string
	For        time.Duration
}

const (
	// pausedByGuardrail is a value of status.pausedReason.
	pausedByGuardrail = "Guardrail"

	// ReasonGuardrails is why a move waits for guardrails that do not pass.
	ReasonGuardrails = "GuardrailsNotPassed"
	// ReasonAnalysis is why a move waits at an analysis step.
	ReasonAnalysis = "Analysis"

	// maxGuardrails is how many status can hold. What is above never passes.
	maxGuardrails = 200

	unmeasured = "no whole interval was measured yet"
	anew       = "somebody resumed the rollout: it is measured anew"
)

// guard follows the measurements of the target. Those of before the target was
// out, before the last change of the word, or before somebody resumed say nothing new.
func (d *decider) guard() {
	if d.watch(); d.seen.Unpublished {
		return
	}
	for i := range d.st.Guardrails {
		entry := &d.st.Guardrails[i]
		if g := d.guardrail(entry.Name); g != nil && fresh(entry, g.Measured) {
			if d.measured(*g, entry); d.st.Target == nil {
				return
			}
		}
	}
}

// watch records which guardrails there are, from the first share on.
func (d *decider) watch() {
	if d.st.Target == nil || d.st.BasisPoints == 0 {
		d.st.Guardrails = nil
		return
	}
	d.st.Guardrails = slices.DeleteFunc(d.st.Guardrails, func(e v1alpha1.GuardrailStatus) bool {
		unread := d.seen.PoliciesUnread && strings.Contains(e.Name, "/")
		return d.guardrail(e.Name) == nil && !unread
	})
	for _, g := range d.seen.Guardrails {
		if d.entry(g.Name) == nil && len(d.st.Guardrails) < maxGuardrails {
			d.st.Guardrails = append(d.st.Guardrails, v1alpha1.GuardrailStatus{
				Name: g.Name, Outcome: v1alpha1.GuardrailInconclusive, Message: unmeasured, Since: metav1.NewTime(d.now),
			})
		}
	}
}

func (d *decider) guardrail(name string) *Guardrail {
	if i := slices.IndexFunc(d.seen.Guardrails, func(g Guardrail) bool { return g.Name == name }); i >= 0 {
		return &d.seen.Guardrails[i]
	}
	return nil
}

func (d *decider) entry(name string) *v1alpha1.GuardrailStatus {
	if i := slices.IndexFunc(d.st.Guardrails, func(e v1alpha1.GuardrailStatus) bool { return e.Name == name }); i >= 0 {
		return &d.st.Guardrails[i]
	}
	return nil
}

// fresh tells that a measurement is of an interval after what the entry says.
func fresh(e *v1alpha1.GuardrailStatus, m *Measurement) bool {
	return m != nil && !m.From.Before(e.Since.Time) && m.At.After(e.Since.Time)
}

// measured records a changed word, and does what it asks for.
func (d *decider) measured(g Guardrail, entry *v1alpha1.GuardrailStatus) {
	m := g.Measured
	if entry.Outcome != m.Outcome || entry.Message == unmeasured || entry.Message == anew {
		entry.Outcome, entry.Message = m.Outcome, clip(m.Message)
		entry.Since = metav1.NewTime(m.At.UTC().Truncate(time.Second))
	}
	failed := m.Outcome == v1alpha1.GuardrailFailed
	switch {
	case failed && g.OnFailure == v1alpha1.OnFailureAbort && !m.AtMostPause:
		d.abort(fmt.Sprintf("guardrail %s failed: %s", g.Name, m.Message))
	case failed:
		d.pause(pausedByGuardrail)
	case m.NoData && g.OnNoData == v1alpha1.OnNoDataAbort:
		d.abort(fmt.Sprintf("guardrail %s has no data for a whole interval: %s", g.Name, m.Message))
	}
}

// measureAnew forgets failures that somebody has looked at and resumed: each has to
// fail again, in an interval that begins now, to pause again.
func (d *decider) measureAnew() {
	for i := range d.st.Guardrails {
		if e := &d.st.Guardrails[i]; e.Outcome == v1alpha1.GuardrailFailed {
			e.Outcome, e.Message, e.Since = v1alpha1.GuardrailInconclusive, anew, metav1.NewTime(d.now)
		}
	}
}

// passed tells that a guardrail is recorded as passed, and was measured as that last.
func (d *decider) passed(g *Guardrail) bool {
	e := d.entry(g.Name)
	return e != nil && e.Outcome == v1alpha1.GuardrailPassed && g.Measured != nil && g.Measured.Outcome == v1alpha1.GuardrailPassed
}

// guarded tells whether every guardrail lets the share grow. If not, it says what
// is waited for.
func (d *decider) guarded() bool {
	why := d.unguarded()
	if why != nil {
		d.hold(*why)
	}
	return why == nil
}

// unguarded says which guardrail keeps the share from growing; nil: none does. Before
// anybody has the target there is nothing to measure, and who promotes in full has
// seen what there is: a failure does not get here.
func (d *decider) unguarded() *Hold {
	if d.st.BasisPoints == 0 || d.st.Promotion == v1alpha1.PromotionFull {
		return nil
	}
	for i := range d.seen.Guardrails {
		if g := &d.seen.Guardrails[i]; !d.passed(g) {
			return &Hold{ReasonGuardrails, fmt.Sprintf("guardrail %s has not passed: %s. It goes on when it has; to decide otherwise annotate miniprogram.dev/action=promote-full@%d, or abort@%d",
				g.Name, d.figures(g), d.st.Attempt, d.st.Attempt)}
		}
	}
	return nil
}

// promotable says why the step cannot be promoted: what waits for guardrails is a
// share, and a share that is skipped is none.
func (d *decider) promotable(at int32) *Hold {
	if int(at) < len(d.plan.Steps) && !d.plan.Steps[at].isShare() {
		return nil
	}
	return d.unguarded()
}

// figures are the recorded ones: those of each measurement would be a write each.
func (d *decider) figures(g *Guardrail) string {
	e := d.entry(g.Name)
	if e == nil && len(d.st.Guardrails) >= maxGuardrails {
		return fmt.Sprintf("only %d can watch a rollout: ask the platform's administrators to remove some from spec.rollout.guardrails of ReviewPolicies", maxGuardrails)
	}
	if e == nil || g.Measured == nil && e.Outcome == v1alpha1.GuardrailPassed {
		return unmeasured
	}
	return e.Message
}

// passAnalysis tells whether the guardrails of the step have passed for its time,
// counted from when the share was out. If not, it says what is waited for.
func (d *decider) passAnalysis(a Analysis) bool {
	version, share := d.st.Target.Version, delivery.Percent(d.st.BasisPoints)
	if d.seen.Unpublished {
		d.say(Advance, "Publishing", fmt.Sprintf("%s goes out at %s", version, share))
		d.recheckAfter(time.Second)
		return false
	}
	skip := fmt.Sprintf("To skip the step annotate miniprogram.dev/action=promote@%d/%d", d.st.Attempt, d.st.Step.Index)
	for _, name := range a.Guardrails {
		g := d.guardrail(name)
		if g == nil {
			d.hold(Hold{ReasonAnalysis, fmt.Sprintf("step %d names guardrail %s, which is not in spec.guardrails: add it. %s", d.st.Step.Index, name, skip)})
			return false
		}
		if !d.passed(g) {
			d.hold(Hold{ReasonAnalysis, fmt.Sprintf("guardrail %s has not passed: %s. %s", name, d.figures(g), skip)})
			return false
		}
		from := d.stepBegan()
		if g.Measured.Since.After(from) {
			from = g.Measured.Since
		}
		if end := from.Add(a.For); g.Measured.At.Before(end) {
			d.until(end)
			d.recheckAfter(g.Interval) // at the latest: each measurement wakes the rollout
			d.say(Advance, "Progressing", fmt.Sprintf("%s is at %s, and guardrail %s has to pass until %s", version, share, name, stamp(end)))
			return false
		}
	}
	return true
}

// stepBegan is when the present step did.
func (d *decider) stepBegan() time.Time {
	if s := d.st.Step; s != nil && s.Began != nil {
		return s.Began.Time
	}
	return d.now
}

// pausedByGuardrails says which guardrail pauses it, and what to do.
func (d *decider) pausedByGuardrails() string {
	ask := fmt.Sprintf("annotate miniprogram.dev/action=%s to go on, or abort@%d", Resume(&d.st), d.st.Attempt)
	for _, e := range d.st.Guardrails {
		if e.Outcome == v1alpha1.GuardrailFailed {
			return fmt.Sprintf("guardrail %s failed: %s; %s", e.Name, e.Message, ask)
		}
	}
	return "it was paused by a guardrail that does not fail now; " + ask
}
