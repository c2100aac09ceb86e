package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// barWidth is how many characters the share has.
const barWidth = 40

// planWidth is how many characters a line of the plan has at most.
const planWidth = 84

var stepMarks = map[string]string{stepDone: "✓", stepPresent: "▶", stepNext: "·", stepStopped: "✗"}

// lines draws a Rollout. Times are in now's zone.
func (v *rolloutView) lines(now time.Time) []string {
	var text bytes.Buffer
	table := printers.GetNewTabWriter(&text)
	fmt.Fprintf(table, "Rollout %s/%s\n", v.Namespace, v.Name)
	row := func(name, format string, arguments ...any) {
		fmt.Fprintf(table, "  %s\t%s\n", name, plain(fmt.Sprintf(format, arguments...)))
	}
	row("Program", "%s, channel %s, host apps %s", v.Program, v.Channel, cmp.Or(strings.Join(v.HostApps, ", "), "not known yet"))
	row("Stable", "%s", v.Stable)
	if v.Target != nil {
		row("Target", "%s, attempt %d", v.Target, v.Attempt)
	} else {
		row("Target", "none%s", v.how())
	}
	for i, line := range v.planLines() {
		row([]string{"Plan", ""}[min(i, 1)], "%s", line)
	}
	row("Share", "%s %s", bar(v.share()), v.shareText())
	if w := v.Waits; w != nil {
		row("Waits", "%s", w.line(now))
		if w.Who != "" {
			row("", "from %s", w.Who)
		}
	}
	row("Status", "%s", cmp.Or(v.Summary, "the manager has not looked at it yet"))
	if v.Unseen && v.Summary != "" {
		row("", "the spec was changed since, and the manager has not looked at it yet")
	}
	_ = table.Flush() // a buffer takes all
	v.more(&text, now)
	return strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
}

// more has what is a table of its own.
func (v *rolloutView) more(text io.Writer, now time.Time) {
	section := func(name string, rows [][]string) {
		if len(rows) == 0 {
			return
		}
		fmt.Fprintf(text, "\n%s\n", name)
		table := printers.GetNewTabWriter(text)
		for _, row := range rows {
			for i := range row {
				row[i] = plain(row[i])
			}
			fmt.Fprintf(table, "  %s\n", strings.Join(row, "\t"))
		}
		_ = table.Flush()
	}
	var guardrails, actions, history, next [][]string
	for _, g := range v.Guardrails {
		guardrails = append(guardrails, []string{g.Name, g.Outcome, "since " + stampOf(g.Since.Time, now), g.Message})
	}
	if a := v.Asked; a != nil {
		actions = append(actions, []string{a.Value, "by " + cmp.Or(a.User, "an unnamed user"), "not answered yet"})
	}
	if a := v.LastAction; a != nil {
		actions = append(actions, []string{a.Value, "by " + cmp.Or(a.User, "an unnamed user"), a.Result + ", " + stampOf(a.Time.Time, now), a.Message})
	}
	for _, h := range slices.Backward(v.History) {
		history = append(history, []string{fmt.Sprint(h.Attempt), h.Version, shortDigest(h.Digest), h.Outcome, stampOf(h.Ended.Time, now), h.Message})
	}
	for _, n := range v.Next {
		next = append(next, []string{n.Command, n.Does})
	}
	section("Guardrails", guardrails)
	section("Action", actions)
	section("History", history)
	section("Next", next)
}

// String is for people; nil is no version.
func (v *variantView) String() string {
	if v == nil {
		return "none"
	}
	return v.Version + " " + shortDigest(v.Digest)
}

// how says how the last attempt ended.
func (v *rolloutView) how() string {
	if v.Outcome == "" {
		return ""
	}
	return fmt.Sprintf(", attempt %d: %s", v.Attempt, v.Outcome)
}

// share is what the target has, or stable where there is no target.
func (v *rolloutView) share() int32 {
	if v.Target == nil && v.Stable == nil {
		return 0
	}
	return v.BasisPoints
}

func (v *rolloutView) shareText() string {
	switch {
	case v.Target != nil:
		return delivery.Percent(v.share()) + " get " + v.Target.Version
	case v.Stable != nil:
		return "everybody gets " + v.Stable.Version
	}
	return "nobody gets anything"
}

// planLines are the steps, in lines that a terminal has room for.
func (v *rolloutView) planLines() []string {
	lines := []string{""}
	for _, s := range v.Plan {
		step, last := stepMarks[s.State]+" "+s.Text, len(lines)-1
		switch {
		case lines[last] == "":
			lines[last] = step
		case utf8.RuneCountInString(lines[last]+step) > planWidth:
			lines = append(lines, step)
		default:
			lines[last] += "  " + step
		}
	}
	return lines
}

// line says what is waited for, since when and until when.
func (w *waitView) line(now time.Time) string {
	text := "for " + w.For
	if w.Since != nil {
		text += fmt.Sprintf(", since %s (%s)", stampOf(w.Since.Time, now), spanOf(now.Sub(w.Since.Time)))
	}
	if w.Until == nil {
		return text
	}
	text += fmt.Sprintf(", until %s (in %s)", stampOf(w.Until.Time, now), spanOf(w.Until.Sub(now)))
	switch w.Then {
	case "":
		return text
	case "on":
		return text + ", then it goes on"
	}
	return text + ", then " + w.Then
}

// bar draws a share: it is empty, and full, only at nothing and at all.
func bar(basisPoints int32) string {
	full := int(basisPoints) * barWidth / 10000
	if full == 0 && basisPoints > 0 {
		full = 1
	}
	return strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
}

// stampOf writes a time of today without its date.
func stampOf(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

func shortDigest(digest string) string {
	const length = len("sha256:") + 12
	if len(digest) > length {
		return digest[:length]
	}
	return digest
}

// changeLines say what is other than before, which may be nil.
func (v *rolloutView) changeLines(before *rolloutView, now time.Time) []string {
	if before == nil {
		before = &rolloutView{}
	}
	var lines []string
	add := func(format string, arguments ...any) {
		lines = append(lines, now.Format(time.TimeOnly)+"  "+plain(fmt.Sprintf(format, arguments...)))
	}
	if a := v.Asked; a != nil && (before.Asked == nil || *before.Asked != *a) {
		add("%s by %s", a.Value, cmp.Or(a.User, "an unnamed user"))
	}
	if a, b := v.LastAction, before.LastAction; a != nil && (b == nil || b.Value != a.Value || !b.Time.Equal(&a.Time)) {
		add("%s: %s", a.Value, answerLine(a))
	}
	for _, g := range v.Guardrails {
		if !slices.ContainsFunc(before.Guardrails, func(b v1alpha1.GuardrailStatus) bool { return b.Name == g.Name && b.Outcome == g.Outcome }) {
			add("guardrail %s: %s, %s", g.Name, g.Outcome, g.Message)
		}
	}
	if v.Summary != before.Summary || v.Percent != before.Percent || v.present() != before.present() {
		add("%s  %s", v.at(), cmp.Or(v.Summary, "the manager has not looked at it yet"))
	}
	return lines
}

// present is the step at which the target is.
func (v *rolloutView) present() string {
	for i, s := range v.Plan {
		if s.State == stepPresent {
			return fmt.Sprintf("step %d: %s", i, s.Text)
		}
	}
	return ""
}

func (v *rolloutView) at() string {
	if v.Target == nil {
		return fmt.Sprintf("stable %s", v.Stable)
	}
	return fmt.Sprintf("%s at %s, %s", v.Target.Version, v.Percent, v.present())
}

// plain keeps what others have written from moving the cursor, or from looking
// like lines of ours.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// answerLine is the manager's answer to an action.
func answerLine(a *v1alpha1.ActionAnswer) string {
	text := a.Result
	if a.Message != "" {
		text += ", " + a.Message
	}
	return text
}
