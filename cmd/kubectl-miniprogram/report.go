package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
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

// finding is a bundle.Finding whose file is always there.
type finding struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	File     string `json:"file"`
	Message  string `json:"message"`
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
	r.add(f.policyFindings(b))
	return r, b, nil
}

// refused reports on a bundle that was not accepted.
func refused(bad *bundle.CheckError) report {
	r := report{Format: string(bad.Seen.Format), AppID: bad.Seen.AppID, Version: bad.Seen.Version, ContentDigest: bad.Seen.ContentDigest}
	r.add(bad.Findings)
	return r
}

// policyFindings holds a bundle against the ReviewPolicies that were named.
func (f facts) policyFindings(b *bundle.Bundle) []bundle.Finding {
	if len(f.policies) == 0 {
		return nil
	}
	results := policy.Check(policy.Facts{
		ArchiveBytes: b.ArchiveBytes, Files: len(b.Files), Pages: len(b.Pages), Format: string(b.Format),
		Declaration: f.declaration(), BundlePermissions: b.Permissions,
	}, f.policies)
	var found []bundle.Finding
	for _, one := range policy.Shown(results) {
		found = append(found, bundle.Finding{Rule: one.Rule, Severity: bundle.Severity(one.Severity), Message: one.Message})
	}
	return found
}

// add keeps errors before warnings, then by file, as the checks do.
func (r *report) add(more []bundle.Finding) {
	if r.Findings == nil {
		r.Findings = []finding{} // [] in JSON, not null
	}
	for _, f := range more {
		r.Findings = append(r.Findings, finding{f.Rule, string(f.Severity), f.File, f.Message})
	}
	slices.SortStableFunc(r.Findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.File, b.File), cmp.Compare(a.Rule, b.Rule))
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
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Severity, f.Rule, f.File, f.Message)
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
