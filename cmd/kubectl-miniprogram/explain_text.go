package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
)

// explanation is what the manifest service says of one program.
type explanation struct {
	AppID   string         `json:"appID"`
	Action  decide.Action  `json:"action"`
	Version string         `json:"version"`
	Digest  string         `json:"digest"`
	Reason  string         `json:"reason"`
	Cohort  decide.Cohort  `json:"cohort"`
	Tried   []decide.Tried `json:"tried"`
}

func (e *explanation) write(w io.Writer, user string) error {
	table := printers.GetNewTabWriter(w)
	fmt.Fprintln(table, "RULE\tOUTCOME\tWHY")
	for _, t := range e.Tried {
		fmt.Fprintf(table, "%s\t%s\t%s\n", plain(string(t.Rule)), plain(strings.ToLower(string(t.Outcome))), plain(t.Why))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", plain(e.sentence(user)))
	return err
}

// sentence says who gets what, and why.
func (e *explanation) sentence(user string) string {
	who := "user " + user
	if user == "" {
		who = "a request without a user"
	}
	gets := "nothing"
	if e.Version != "" {
		gets = fmt.Sprintf("%s (%s)", e.Version, e.Cohort)
	}
	text := fmt.Sprintf("%s gets %s", who, gets)
	if why := e.why(); why != "" {
		text += ": " + why
	}
	if e.Action == decide.ActionRemove {
		text += "; what is installed is removed"
	}
	return text
}

// why is what decided the cohort, and what compatibility and recalls have changed
// of that.
func (e *explanation) why() string {
	first := slices.IndexFunc(e.Tried, func(t decide.Tried) bool { return t.Outcome == decide.OutcomeDecided })
	if first < 0 {
		return e.Reason
	}
	text := e.Tried[first].Why
	for _, t := range e.Tried[first+1:] {
		decided := t.Outcome == decide.OutcomeDecided
		switch {
		case !decided && (t.Rule == decide.RuleTargetFits || t.Rule == decide.RuleStableFits):
			text += ", but " + t.Why
		case decided && (t.Rule == decide.RuleFallback || t.Rule == decide.RuleStable), t.Rule == decide.RuleRecall && e.Reason == decide.ReasonRecalled:
			text += ", and " + t.Why
		}
	}
	return text
}
