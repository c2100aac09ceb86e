package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// benchmarks are what `make bench`, or a target like it, measured.
type benchmarks struct {
	file         string
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

func readBenchmarks(file string) (*benchmarks, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b := benchmarks{file: file}
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
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
var formats = map[string]string{"ms": "%.1f ms", "s": "%.1f s", "MiB": "%.0f MiB", "MiB/s": "%.1f MiB/s", "ns": "%.0f ns", "µs": "%.1f µs", "B": "%.0f B", "1/s": "%.0f", "1": "%.2f"}

// row writes the first cell and the figures of the others.
func (t *table) row(first string, names ...string) {
	fmt.Fprintf(&t.text, "| %s |", first)
	for _, name := range names {
		i := slices.IndexFunc(t.of.Figures, func(f benchmark) bool { return f.Name == name })
		if i < 0 {
			t.err = fmt.Errorf("%s has no figure %s: measure anew", t.of.file, name)
			return
		}
		f := t.of.Figures[i]
		format, ok := formats[f.Unit]
		if !ok {
			t.err = fmt.Errorf("%s: nobody knows how to show the unit %q of %s", t.of.file, f.Unit, name)
			return
		}
		if f.Unit == "1" && (f.Value >= 10 || f.Value == 0) && f.Value == math.Trunc(f.Value) {
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
		return "", fmt.Errorf("%s has no measurement of approvals: run `make bench`", b.file)
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
	return "", fmt.Errorf("%s has no measurement of detection: run `make bench`", b.file)
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

// scaleTable shows what one manager bears.
func scaleTable(b *benchmarks) (string, error) {
	t := &table{of: b}
	t.head("10,000 Rollouts, of which 500 go through shares with pauses of 100 seconds", "")
	for _, row := range [][2]string{
		{"from the start of the manager until it answers, all 9,500 others being there", "ready_seconds"},
		{"from then until it rests, for it looks whether the journal has all that is published", "rest_seconds"},
		{"processor while none of them steps, in percent of a core", "idle_cpu_percent"},
		{"greatest memory of the manager", "rss_mib"},
		{"writes to Rollouts and documents for each share", "writes_per_step"},
		{"the same in a second, on the average", "writes_per_second"},
		{"from the end of a pause until the next share is out, median", "late_p50_seconds"},
		{"the same, 99 of 100", "late_p99_seconds"},
		{"from the annotation of an abort until it is out, 99 of 100", "abort_p99_ms"},
	} {
		t.row(row[0], "rollout.10000."+row[1])
	}
	return t.end()
}

// manifestTable shows the manifest service beside nginx.
func manifestTable(b *benchmarks) (string, error) {
	t := &table{of: b}
	t.head("one core each, 64 connections", "answers a second", "of nginx's rate", "processor for each", "nginx's", "99 of 100 within, at 70 % of the rate", "nginx's")
	for _, row := range [][2]string{
		{"document", "document"}, {"document, not modified", "304"}, {"resolve of 1 program (nginx: the document)", "resolve1"},
		{"resolve of 20 programs (nginx: the document)", "resolve20"}, {"blob of 200 KiB", "blob200KiB"},
	} {
		name := "manifest." + row[1] + "."
		t.row(row[0], name+"rps", name+"ratio_nginx", name+"cpu_us", name+"nginx_cpu_us", name+"p99_ms", name+"nginx_p99_ms")
	}
	t.text.WriteByte('\n')
	t.head("one answer, without a connection", "time", "allocations")
	for _, row := range [][2]string{
		{"document", "document"}, {"document, not modified", "304"}, {"list", "list"}, {"Dimina's manifest", "dimina"},
		{"resolve of 1 program", "resolve1"}, {"resolve of 20 programs", "resolve20"},
	} {
		t.row(row[0], "handler."+row[1]+".time", "handler."+row[1]+".allocations")
	}
	t.row("a user's bucket", "bucket.ns", "bucket.allocations")
	t.text.WriteByte('\n')
	t.head("10,000 programs for 5 host apps: 50,000 answers", "")
	t.row("greatest memory of the service", "manifest.50000.rss_mib")
	t.row("from its start until it is ready", "manifest.50000.ready_seconds")
	t.row("from the write of a document until it is served, 99 of 100, at 1,000 writes a minute", "manifest.50000.change_p99_ms")
	t.row("the same, median", "manifest.50000.change_p50_ms")
	t.text.WriteByte('\n')
	t.head("two replicas, 200 requests a second: the API server away, replicas restarted, killed and started from their disks, the registry away", "")
	t.row("requests for a document", "availability.requests")
	t.row("that failed", "availability.failed")
	t.row("that the balancer sent to the other replica", "availability.retried")
	t.row("the slowest answer", "availability.slowest_ms")
	return t.end()
}
