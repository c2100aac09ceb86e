package bundle

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Severity says whether a finding keeps a bundle from being accepted.
type Severity string

const (
	// SeverityError makes Read fail: only another archive helps.
	SeverityError Severity = "error"
	// SeverityWarning is told to the developer and hinders nothing.
	SeverityWarning Severity = "warning"
)

// maxFindings is how many findings are kept of one archive. The rest would
// only repeat them.
const maxFindings = 100

// Finding is one thing that is wrong with an archive.
type Finding struct {
	// Rule is a code of Rules.
	Rule string `json:"rule"`
	// Severity is SeverityError or SeverityWarning.
	Severity Severity `json:"severity"`
	// File is the path in the archive, escaped where it is not printable and
	// cut where it is long; empty when the finding is about the archive as a whole.
	File string `json:"file,omitempty"`
	// Message says what is wrong and what to do about it.
	Message string `json:"message"`
}

// String returns "Rule: message (file)".
func (f Finding) String() string {
	if f.File == "" {
		return f.Rule + ": " + f.Message
	}
	return f.Rule + ": " + f.Message + " (" + f.File + ")"
}

// CheckError says that a bundle is not acceptable. It is permanent: reading the
// same bytes again gives the same findings.
type CheckError struct {
	// Findings holds at least one error; errors before warnings, then sorted by
	// file, rule and message; at most 100.
	Findings []Finding
	// Seen is what was known of the bundle when the checks ended.
	Seen Seen
}

// Seen is what is known of a bundle that was not accepted. What the checks did
// not come to is empty.
type Seen struct {
	// Format is never FormatAuto.
	Format Format
	// AppID and Version are the manifest's, or those of Expect where the format
	// carries none.
	AppID, Version string
	// ContentDigest is as in Bundle.
	ContentDigest string
}

// Error lists the first three findings.
func (e *CheckError) Error() string {
	const shown = 3
	var b strings.Builder
	for i, f := range e.Findings {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(e.Findings)-shown)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.String())
	}
	return b.String()
}

// findings collects what the checks of one archive found. Its memory is bounded
// however much is wrong.
type findings struct {
	list   []Finding
	errors int
}

// add keeps the first in the order of sorted, and drops what would be cut anyhow.
func (fs *findings) add(f Finding) {
	if len(fs.list) >= 10*maxFindings {
		fs.list = fs.sorted()
	}
	fs.list = append(fs.list, f)
}

// fail adds an error. file is the raw path, or "" for the archive.
func (fs *findings) fail(rule, file, format string, args ...any) {
	fs.errors++
	fs.add(Finding{rule, SeverityError, showPath(file), fmt.Sprintf(format, args...)})
}

// junk adds the only warning that there is: of a file that is of no use.
func (fs *findings) junk(file, format string, args ...any) {
	fs.add(Finding{ruleJunkFile, SeverityWarning, showPath(file), fmt.Sprintf(format, args...)})
}

// full says that there are many times more errors than are kept: to look for
// more of the same in a long list would cost time and memory for nothing.
func (fs *findings) full() bool { return fs.errors >= 10*maxFindings }

// err returns a *CheckError if any error was found so far.
func (fs *findings) err() error {
	if fs.errors == 0 {
		return nil
	}
	return &CheckError{Findings: fs.sorted()}
}

// sorted returns the findings in the order that CheckError promises.
func (fs *findings) sorted() []Finding {
	slices.SortStableFunc(fs.list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.File, b.File),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	return fs.list[:min(len(fs.list), maxFindings)]
}

// showPath makes an untrusted path fit for a person: readable characters stay,
// all others are escaped, and what is longer than 200 bytes is cut.
func showPath(path string) string {
	const limit = 200
	if utf8.ValidString(path) && !strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return cut(path, limit)
	}
	quoted := strconv.QuoteToGraphic(cut(path, limit))
	return quoted[1 : len(quoted)-1]
}

// quote shows an untrusted value inside a message.
func quote(value string) string {
	return strconv.Quote(cut(value, 80))
}

// cut shortens s to about limit bytes, at a rune's boundary.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
