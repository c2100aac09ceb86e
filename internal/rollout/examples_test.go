package rollout

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// row is one line of a table of the package comment, below the text that tells the plan.
type row struct{ under, recorded, seen, next string }

var columns = regexp.MustCompile(`\s{2,}`)

// rows reads the tables of the package comment.
func rows(t *testing.T) []row {
	t.Helper()
	data, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "// # Worked examples\n")
	text, _, _ = strings.Cut(text, "// # Approval steps\n")
	var out []row
	under := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(strings.TrimPrefix(line, "//"), "\n")
		cells, table := strings.CutPrefix(line, "\t")
		switch {
		case !table && strings.TrimSpace(line) != "":
			under = strings.TrimSpace(line)
		case table:
			parts := columns.Split(cells, 3)
			if len(parts) != 3 {
				t.Fatalf("%q has not three columns", cells)
			}
			if parts[0] != "recorded" {
				out = append(out, row{under, parts[0], parts[1], parts[2]})
			}
		}
	}
	return out
}

// What the words of the tables mean, as plans, records and observations.
var (
	withApproval = planTo("1.1.0", percent(5), seconds(60), approval("privacy"), percent(25), person())
	examplePlans = map[string]Plan{
		"Plan: 5 %, pause 60 s, 25 %, pause for a person. Stable is 1.0.0.": planTo("1.1.0"),
		"With an approval of role privacy between the pause and 25 %:":      withApproval,
		"With a calendar that is shut until 13:00:":                         planTo("1.1.0").with(shutNow),
		"With progressDeadlineSeconds 600:":                                 planTo("1.1.0").with(func(p *Plan) { p.ProgressDeadline = 10 * time.Minute }),
		"Plan: 5 %, pause 60 s, bake 600 s. Stable is 1.0.0.":               planTo("1.1.0", percent(5), seconds(60), bake(600)),
	}
	exampleRecords = map[string]status{
		"no target":                    released(),
		"step 1, 5 %":                  underWay(1, 500, ago(10*time.Second)),
		"step 1, 5 %, began 10 s ago":  underWay(1, 500, ago(10*time.Second)),
		"step 1, 5 %, began 60 s ago":  underWay(1, 500, ago(time.Minute)),
		"step 1, 5 %, held for 600 s":  changed(underWay(1, 500, ago(time.Hour)), heldSince(ago(10*time.Minute))),
		"step 2, 5 %":                  underWay(2, 500, ago(time.Hour)),
		"step 2, 5 %, Full":            changed(underWay(2, 500, ago(time.Hour)), func(st *status) { st.Promotion = v1alpha1.PromotionFull }),
		"step 2, 5 %, began 600 s ago": underWay(2, 500, ago(10*time.Minute)),
		"step 3, 25 %":                 underWay(3, 2500, ago(time.Hour)),
		"step 4, 25 %":                 underWay(4, 2500, ago(time.Hour)),
		"refused 1.1.0":                aborted(),
		"refused 1.1.0 at step 4":      changed(aborted(), func(st *status) { st.Refused.Step = 4 }),
		"stable 1.1.0": changed(released(), func(st *status) {
			st.Attempt, st.Rollbacks, st.Stable = 2, []v1alpha1.Variant{*st.Stable}, served("1.1.0", minutes(published))
		}),
	}
	examplesSeen = map[string]func(*Plan, *Seen){
		"–":                            func(*Plan, *Seen) {},
		"versionRef 1.1.0":             func(*Plan, *Seen) {},
		"versionRef 1.1.0, approved":   func(*Plan, *Seen) {},
		"versionRef 1.1.0, unapproved": func(_ *Plan, s *Seen) { unapproved(s) },
		"unapproved":                   func(_ *Plan, s *Seen) { unapproved(s) },
		"1.1.0 is withdrawn":           func(_ *Plan, s *Seen) { withdrawn("1.1.0")(s) },
		"versionRef 1.0.0":             func(p *Plan, s *Seen) { p.VersionRef, *s = "shop-1.0.0", seeing("1.0.0") },
		"steps 1 %, pause":             func(p *Plan, _ *Seen) { p.Steps = []Step{percent(1), person()} },
		"steps 10 %, pause":            func(p *Plan, _ *Seen) { p.Steps = []Step{percent(10), person()} },
		"the approval is gone":         func(*Plan, *Seen) {},
		"step 2 of attempt 2 approved": func(_ *Plan, s *Seen) {
			s.Answers = map[Question]Answer{{Attempt: 2, Step: 2, Role: "privacy", Digest: variant("1.1.0").Digest}: {Approved: true}}
		},
	}
)

// next tells a move in the words of the tables: what users get, the attempt, why, and
// what else is recorded.
func next(m Move) string {
	st := m.Status
	words := []string{"stable " + st.Stable.Version}
	if st.Target != nil {
		words = []string{fmt.Sprintf("%s at step %d, %s", st.Target.Version, st.Step.Index, strings.Replace(st.Percent, "%", " %", 1))}
	}
	why := m.Reason
	if m.Verb == Complete {
		why = st.Outcome
	}
	if st.Step != nil && st.Step.Until != nil {
		why += " until " + st.Step.Until.UTC().Format("15:04:05")
	}
	words = append(words, fmt.Sprintf("attempt %d", st.Attempt), why)
	if a := st.LastAction; a != nil {
		words = append(words, a.Result)
	}
	if st.Promotion != "" {
		words = append(words, "promotion "+st.Promotion)
	}
	if st.Step != nil && st.Step.HeldSince != nil {
		words = append(words, "held since "+st.Step.HeldSince.UTC().Format("15:04:05"))
	}
	if m.Overdue {
		words = append(words, "overdue")
	}
	if r := st.Refused; r != nil {
		words = append(words, "refused "+strings.TrimPrefix(r.VersionRef, "shop-"))
	}
	if n := len(st.Recalls); n > 0 && m.Reason == "Aborted" && m.Verb == TakeBack {
		words = append(words, "recall of "+strings.Replace(delivery.Percent(st.Recalls[n-1].BasisPoints), "%", " %", 1))
	}
	if n := len(st.Rollbacks); n > 0 {
		words = append(words, "can go back to "+st.Rollbacks[n-1].Version)
	}
	return strings.Join(words, "; ")
}

func TestTheWorkedExamples(t *testing.T) {
	all := rows(t)
	if len(all) < 30 {
		t.Errorf("only %d rows were read", len(all))
	}
	for _, row := range all {
		t.Run(row.under+" "+row.recorded+" "+row.seen, func(t *testing.T) {
			plan, planKnown := examplePlans[row.under]
			recorded, recordKnown := exampleRecords[row.recorded]
			change, seenKnown := examplesSeen[row.seen]
			seen := seeing("1.1.0")
			if strings.Contains(row.seen, "@") {
				change, seenKnown = func(_ *Plan, s *Seen) { asked(row.seen)(s) }, true
			}
			if !planKnown || !recordKnown || !seenKnown {
				t.Fatalf("known are the plan: %v, the record: %v, what is seen: %v", planKnown, recordKnown, seenKnown)
			}
			change(&plan, &seen)
			if got := next(Decide(plan, recorded, seen, now)); got != row.next {
				t.Errorf("\ngot  %s\nwant %s", got, row.next)
			}
		})
	}
}
