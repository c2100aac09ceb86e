package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// measurement is one line of a benchmark's output: its name without the number of
// processors, and the figures by unit.
type measurement struct {
	name    string
	figures map[string]float64
}

var processors = regexp.MustCompile(`-[0-9]+$`)

// measurements reads the Go benchmark format
// (golang.org/design/14313-benchmark-format).
func measurements(output string) []measurement {
	var out []measurement
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		m := measurement{processors.ReplaceAllString(fields[0], ""), map[string]float64{}}
		for pair := range slices.Chunk(fields[2:], 2) {
			if value, err := strconv.ParseFloat(pair[0], 64); err == nil && len(pair) == 2 {
				m.figures[pair[1]] = value
			}
		}
		out = append(out, m)
	}
	return out
}

// approvalsTable shows what approvals cost: by the length of the queue, and by
// the kind of write.
func approvalsTable(output string) (string, error) {
	if strings.Contains(output, "--- FAIL") {
		return "", fmt.Errorf("%s is of a run that failed: run `make bench`", benchFile)
	}
	all := measurements(output)
	var b strings.Builder
	b.WriteString("| versions that wait | a page of 10 of the queue | all of it | approve one | until the version says so |\n|---|---|---|---|---|\n")
	rows := 0
	for _, list := range all {
		queue, ok := strings.CutSuffix(list.name, "/list")
		n, waits := strings.CutPrefix(queue, "BenchmarkWaiting/versions=")
		i := slices.IndexFunc(all, func(m measurement) bool { return m.name == queue+"/approve" })
		if !ok || !waits || i < 0 {
			continue
		}
		rows++
		fmt.Fprintf(&b, "| %s | %.1f ms | %.1f ms | %.1f ms | %.1f ms |\n", n,
			list.figures["page-ms"], list.figures["all-ms"], all[i].figures["decide-ms"], all[i].figures["reconcile-ms"])
	}
	b.WriteString("\n| write (a dry run, on two API servers by turns) | without policies | with | they cost |\n|---|---|---|---|\n")
	for _, m := range all {
		if name, ok := strings.CutPrefix(m.name, "BenchmarkAdmission/"); ok {
			rows++
			fmt.Fprintf(&b, "| %s | %.1f ms | %.1f ms | %.1f ms |\n", strings.ReplaceAll(name, "-", " "),
				m.figures["without-ms"], m.figures["with-ms"], m.figures["cost-ms"])
		}
	}
	if rows == 0 {
		return "", fmt.Errorf("%s has no measurement of approvals: run `make bench`", benchFile)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
