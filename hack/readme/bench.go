package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// benchmarks are what `make bench` measured.
type benchmarks struct {
	Time, Go, OS string
	CPUs         int
	Figures      []benchmark
}

// benchmark is one figure: its name is that of the benchmark and of what it
// reported, joined by a dot.
type benchmark struct {
	Name  string
	Value float64
	Unit  string
}

func readBenchmarks(data []byte) (*benchmarks, error) {
	var b benchmarks
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("%s: %w", benchFile, err)
	}
	return &b, nil
}

// table renders rows, of which each names the figures of its cells. A figure that
// was not measured is an error: a table has no holes.
type table struct {
	of   *benchmarks
	text strings.Builder
	err  error
}

func (t *table) head(columns ...string) {
	fmt.Fprintf(&t.text, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
}

// formats are how figures are shown, by their unit.
var formats = map[string]string{"ms": "%.1f ms", "s": "%.1f s", "MiB": "%.0f MiB", "MiB/s": "%.1f MiB/s", "1": "%.2f"}

// row writes the first cell and the figures of the others.
func (t *table) row(first string, names ...string) {
	fmt.Fprintf(&t.text, "| %s |", first)
	for _, name := range names {
		i := slices.IndexFunc(t.of.Figures, func(f benchmark) bool { return f.Name == name })
		if i < 0 {
			t.err = fmt.Errorf("%s has no figure %s: run `make bench`", benchFile, name)
			return
		}
		f := t.of.Figures[i]
		format, ok := formats[f.Unit]
		if !ok {
			t.err = fmt.Errorf("%s: nobody knows how to show the unit %q of %s", benchFile, f.Unit, name)
			return
		}
		if f.Unit == "1" && f.Value >= 10 && f.Value == math.Trunc(f.Value) {
			format = "%.0f" // a count
		}
		fmt.Fprintf(&t.text, " "+format+" |", f.Value)
	}
	t.text.WriteByte('\n')
}

func (t *table) end() (string, error) { return strings.TrimSuffix(t.text.String(), "\n"), t.err }

// under are the distinct first parts of the names below a prefix, in the order of the file.
func (b *benchmarks) under(prefix string) []string {
	var out []string
	for _, f := range b.Figures {
		if rest, ok := strings.CutPrefix(f.Name, prefix); ok {
			if part, _, _ := strings.Cut(rest, "."); !slices.Contains(out, part) {
				out = append(out, part)
			}
		}
	}
	return out
}

// approvalsTable shows what approvals cost: by the length of the queue, and by
// the kind of write.
func approvalsTable(b *benchmarks) (string, error) {
	queues, writes := b.under("waiting.versions="), b.under("admission.")
	if len(queues) == 0 || len(writes) == 0 {
		return "", fmt.Errorf("%s has no measurement of approvals: run `make bench`", benchFile)
	}
	t := &table{of: b}
	t.head("versions that wait", "a page of 10 of the queue", "all of it", "approve one", "until the version says so")
	for _, n := range queues {
		of := "waiting.versions=" + n
		t.row(n, of+".list.page_ms", of+".list.all_ms", of+".approve.decide_ms", of+".approve.reconcile_ms")
	}
	t.text.WriteByte('\n')
	t.head("write (a dry run, on two API servers by turns)", "without policies", "with", "they cost")
	for _, write := range writes {
		of := "admission." + write
		t.row(strings.ReplaceAll(write, "-", " "), of+".without_ms", of+".with_ms", of+".cost_ms")
	}
	return t.end()
}

// detectTable shows how well sensitive APIs are found, and how fast.
func detectTable(b *benchmarks) (string, error) {
	t := &table{of: b}
	t.head("labelled scripts", "precision", "recall", "speed", "the lexer alone, which finds nothing")
	for _, f := range b.Figures {
		if f.Name == "detect.snippets" {
			t.row(fmt.Sprintf("%.0f", f.Value), "detect.precision", "detect.recall", "detect.mib_per_second", "detect.lexer_mib_per_second")
			return t.end()
		}
	}
	return "", fmt.Errorf("%s has no measurement of detection: run `make bench`", benchFile)
}

// publishTable shows what it takes to publish.
func publishTable(b *benchmarks) (string, error) {
	t := &table{of: b}
	t.head("push of an artifact of", "`oras.Copy` of the same layers", "ours, with the tag looked up first, findings beside it and all read back", "ratio", "ratio without findings")
	for _, size := range []string{"1", "10", "100"} {
		of := "publish.push_" + size + "MiB"
		t.row(size+" MiB", of+".oras_ms", of+".push_ms", of+".ratio_oras", of+".ratio_oras_without_findings")
	}
	t.text.WriteByte('\n')
	t.head("1,000 versions of 200 KiB, applied at once", "")
	t.row("until all are Ready", "publish.1000.seconds")
	t.row("writes to the API server for each version", "publish.1000.writes_per_version")
	t.row("greatest memory of the manager", "publish.1000.peak_rss_mib")
	t.text.WriteByte('\n')
	t.head("a changed policy that covers 1,000 versions at rest, some that wait for an approval and some targets of Rollouts", "")
	t.row("versions written to: what waits and the targets", "recheck.1000.rechecked")
	t.row("until the last of them is judged by it", "recheck.1000.seconds")
	return t.end()
}
