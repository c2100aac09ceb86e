package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
)

// auditReport is what audit found.
type auditReport struct {
	AppID string    `json:"appID"`
	At    time.Time `json:"at"`
	// Problem is why there is no version; empty: there is an answer.
	Problem string `json:"problem,omitempty"`
	// Answer is as the manifest service explains it.
	Answer *explanation `json:"answer,omitempty"`
	// Document that was out, and PutThere, the decision that handed it out.
	Document *auditLine `json:"document,omitempty"`
	PutThere *auditLine `json:"putThere,omitempty"`
	// Version that was handed out, with its approvals and policies.
	Version *journal.Version `json:"version,omitempty"`
	Block   *journal.Block   `json:"block,omitempty"`
	Entries []auditLine      `json:"entries,omitempty"`
	// Gaps of the journals that were read; empty: none can be seen.
	Gaps []string `json:"gaps"`
}

// auditLine is one entry.
type auditLine struct {
	Rollout  string          `json:"rollout"`
	Sequence int64           `json:"sequence"`
	Written  time.Time       `json:"written"`
	Channel  string          `json:"channel"`
	HostApps []string        `json:"hostApps,omitempty"`
	Stable   string          `json:"stable,omitempty"`
	Target   string          `json:"target,omitempty"`
	Percent  string          `json:"percent,omitempty"`
	State    string          `json:"availability"`
	Reason   string          `json:"reason,omitempty"`
	Message  string          `json:"message,omitempty"`
	Action   *journal.Action `json:"action,omitempty"`
	Digest   string          `json:"digest"`
}

func lineOf(rollout string, k *journal.Known) auditLine {
	doc := k.Document
	line := auditLine{
		Rollout: rollout, Sequence: k.Entry.Number, Written: k.Entry.Written, Channel: channelOf(doc), HostApps: doc.HostApps,
		State: string(doc.Availability), Digest: k.Digest,
	}
	if doc.Stable != nil {
		line.Stable = doc.Stable.Version
	}
	if doc.Target != nil {
		line.Target, line.Percent = doc.Target.Version, delivery.Percent(doc.Split.BasisPoints)
	}
	if b := k.Entry.Basis; b != nil {
		line.Reason, line.Message, line.Action = b.Reason, b.Message, b.Action
	}
	return line
}

func (r *auditReport) list(logs []auditLog) {
	for _, l := range logs {
		for i := range l.entries {
			if k := &l.entries[i]; k.Err == nil {
				r.Entries = append(r.Entries, lineOf(l.of, k))
			}
		}
	}
	slices.SortStableFunc(r.Entries, func(a, b auditLine) int {
		return cmp.Or(a.Written.Compare(b.Written), cmp.Compare(a.Sequence, b.Sequence))
	})
}

// served notes the document that was out, and the decision that put it there.
func (r *auditReport) served(k *journal.Known, logs []auditLog) {
	of := k.Entry.Rollout.Namespace + "/" + k.Entry.Rollout.Name
	line := lineOf(of, k)
	r.Document = &line
	for _, l := range logs {
		if l.of == of {
			first := lineOf(of, journal.Since(l.entries, k))
			r.PutThere = &first
		}
	}
}

func (r *auditReport) decided(d *decide.Decision, tried []decide.Tried, k *journal.Known) {
	r.Answer = &explanation{AppID: r.AppID, Action: d.Action, Reason: d.Reason, Cohort: d.Cohort, Tried: tried}
	if v := d.Variant; v != nil {
		r.Answer.Version, r.Answer.Digest = v.Version, v.Digest
		if r.Version = k.Entry.Basis.Version(v.Digest); r.Version == nil {
			r.Gaps = append(r.Gaps, "the journal does not say who approved "+v.Version+" ("+v.Digest+")")
		}
	}
}

func pluralEntries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (r *auditReport) write(w io.Writer, user string) error {
	if r.Answer == nil && r.Problem == "" {
		return r.writeEntries(w)
	}
	if r.Answer != nil {
		if err := r.Answer.write(w, user); err != nil {
			return err
		}
	}
	if r.Problem != "" {
		fmt.Fprintf(w, "%s: %s\n", stamp(r.At), plain(r.Problem))
	}
	table := printers.GetNewTabWriter(w)
	fmt.Fprintln(table)
	if d := r.Document; d != nil {
		fmt.Fprintf(table, "document\tof Rollout %s, sequence %d, out since %s\n", plain(d.Rollout), d.Sequence, stamp(d.Written))
		fmt.Fprintf(table, "entry\t%s\n", plain(d.Digest))
	}
	if p := r.PutThere; p != nil {
		fmt.Fprintf(table, "put there\t%s %s\n", stamp(p.Written), plain(strings.Trim(p.Reason+": "+p.Message, ": ")))
		if a := p.Action; a != nil {
			fmt.Fprintf(table, "last action\t%s by %s at %s: %s\n", plain(a.Value), plain(cmp.Or(a.User, "nobody who was named")), stamp(a.Time), plain(a.Result))
		}
	}
	if b := r.Block; b != nil {
		fmt.Fprintf(table, "blocked\t%s\n", plain(b.Reason))
	}
	r.writeVersion(table)
	r.writeGaps(table)
	return table.Flush()
}

func (r *auditReport) writeVersion(w io.Writer) {
	v := r.Version
	if v == nil {
		return
	}
	fmt.Fprintf(w, "version\t%s (%s), by %s (%s)\n", plain(v.Name), plain(v.Digest), plain(cmp.Or(v.Author, "nobody who was named")), plain(cmp.Or(v.Standing, "not checked")))
	for _, d := range v.Decisions {
		about := "role " + d.Role
		if d.HostApp != "" {
			about += " for host app " + d.HostApp
		}
		if d.Rollout != "" {
			about += fmt.Sprintf(", step %d of attempt %d of Rollout %s", d.Step, d.Attempt, d.Rollout)
		}
		counted := "; it did not count for the version"
		if d.Counted {
			counted = ""
		}
		if d.Entry != "" {
			counted += ", which was lost with its cluster: restored from " + plain(d.Entry)
		}
		fmt.Fprintf(w, "%s\tby %s, %s, at %s, in Review %s%s\n", plain(strings.ToLower(d.Decision)), plain(d.Reviewer), plain(about), stamp(d.Decided), plain(d.Review), counted)
	}
	for _, p := range v.Policies {
		fmt.Fprintf(w, "policy\t%s, generation %d, %s, %s\n", plain(p.Name), p.Generation, plain(p.Enforcement), plain(p.SHA256))
	}
}

func (r *auditReport) writeGaps(w io.Writer) {
	if len(r.Gaps) == 0 {
		fmt.Fprintln(w, "journal\tevery entry is signed by a key that was given and follows on the one before it")
	}
	for _, gap := range r.Gaps {
		fmt.Fprintf(w, "gap\t%s\n", plain(gap))
	}
}

func (r *auditReport) writeEntries(w io.Writer) error {
	table := printers.GetNewTabWriter(w)
	fmt.Fprintln(table, "WRITTEN\tROLLOUT\tSEQUENCE\tSTABLE\tTARGET\tSHARE\tHOST APPS\tWHY")
	for _, e := range r.Entries {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", stamp(e.Written), plain(e.Rollout), e.Sequence, plain(e.Stable), plain(e.Target), e.Percent,
			plain(strings.Join(e.HostApps, ",")), plain(e.Reason))
	}
	fmt.Fprintln(table)
	r.writeGaps(table)
	return table.Flush()
}
