package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/inspection"
	"github.com/miniprogram-dev/miniprogram-operator/internal/policy"
)

// report is what check says of a bundle. Its JSON is read by machines: members
// are always there, and what is not known is an empty string.
type report struct {
	Format        string    `json:"format"`
	AppID         string    `json:"appID"`
	Version       string    `json:"version"`
	ContentDigest string    `json:"contentDigest"`
	Findings      []finding `json:"findings"`
}

// finding is one whose file is always there; its line is where that is known.
type finding struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Message  string `json:"message"`
}

// place is the file, with the line where that is known.
func (f finding) place() string {
	if f.Line == 0 {
		return f.File
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}

// examine checks an archive. The bundle is nil when it has errors of its own;
// what policies find leaves it whole. The error is about what could not be read.
func examine(a *archive, f facts) (report, *bundle.Bundle, error) {
	if a.bounds != nil {
		f.limits = a.bounds(f.limits)
	}
	b, err := bundle.Read(a, a.size, f.want, f.limits)
	if bad, ok := errors.AsType[*bundle.CheckError](err); ok {
		r := refused(bad)
		r.add(a.leftOut)
		return r, nil, nil
	}
	if err != nil {
		return report{}, nil, fmt.Errorf("reading %s: %w", a.name, err)
	}
	r := report{Format: string(b.Format), AppID: b.AppID, Version: b.Version, ContentDigest: b.ContentDigest}
	r.add(b.Findings)
	r.add(a.leftOut)
	of, err := f.policyFindings(b)
	if err != nil {
		return report{}, nil, err
	}
	r.addPolicies(of)
	return r, b, nil
}

// refused reports on a bundle that was not accepted.
func refused(bad *bundle.CheckError) report {
	r := report{Format: string(bad.Seen.Format), AppID: bad.Seen.AppID, Version: bad.Seen.Version, ContentDigest: bad.Seen.ContentDigest}
	r.add(bad.Findings)
	return r
}

// policyFindings holds a bundle against the ReviewPolicies that were named.
func (f facts) policyFindings(b *bundle.Bundle) ([]v1alpha1.Finding, error) {
	if len(f.policies) == 0 {
		return nil, nil
	}
	patterns, err := policy.PatternsOf(f.policies)
	if err != nil {
		return nil, err
	}
	known, err := inspection.Of(b, f.declaration(), patterns, userAgent())
	if err != nil {
		return nil, err
	}
	about := *known.Facts
	about.Program = policy.ProgramFactsOf(f.program)
	if f.version != nil {
		about.Version = policy.VersionFactsOf(f.version)
	}
	about.Version.Version, about.Version.VersionCode = cmp.Or(f.want.Version, b.Version), cmp.Or(f.want.VersionCode, b.VersionCode)
	return policy.Shown(policy.Check(about, f.policies)), nil
}

// add keeps errors before warnings, then by file, as the checks do.
func (r *report) add(more []bundle.Finding) {
	for _, f := range more {
		r.Findings = append(r.Findings, finding{f.Rule, string(f.Severity), f.File, 0, f.Message})
	}
	r.sort()
}

// addPolicies is add for what policies say.
func (r *report) addPolicies(more []v1alpha1.Finding) {
	for _, f := range more {
		r.Findings = append(r.Findings, finding{f.Rule, f.Severity, f.File, int(f.Line), f.Message})
	}
	r.sort()
}

func (r *report) sort() {
	if r.Findings == nil {
		r.Findings = []finding{} // [] in JSON, not null
	}
	slices.SortStableFunc(r.Findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
}

// errors is how many findings keep the bundle from being accepted.
func (r *report) errors() int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == string(bundle.SeverityError) {
			n++
		}
	}
	return n
}

// write writes it for machines (json) or people. It fails with errReported where something
// is an error.
func (r *report) write(w io.Writer, output string) error {
	write := r.writeTable
	if output == "json" {
		write = r.writeJSON
	}
	if err := write(w); err != nil {
		return err
	}
	if r.errors() > 0 {
		return errReported
	}
	return nil
}

func (r *report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r *report) writeTable(w io.Writer) error {
	table := printers.GetNewTabWriter(w)
	for _, line := range [][2]string{{"Format", r.Format}, {"App ID", r.AppID}, {"Version", r.Version}, {"Content", r.ContentDigest}} {
		fmt.Fprintf(table, "%s:\t%s\n", line[0], cmp.Or(line[1], "unknown"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return r.writeFindings(w)
}

// writeFindings writes the findings as a table, and their count.
func (r *report) writeFindings(w io.Writer) error {
	if len(r.Findings) > 0 {
		table := printers.GetNewTabWriter(w)
		fmt.Fprintln(table, "SEVERITY\tRULE\tFILE\tMESSAGE")
		for _, f := range r.Findings {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Severity, f.Rule, f.place(), f.Message)
		}
		if err := table.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintln(w, r.count())
	return err
}

func (r *report) count() string {
	n := r.errors()
	return plural(n, "error") + ", " + plural(len(r.Findings)-n, "warning")
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
