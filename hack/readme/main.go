// Command readme renders what commands wrote into README.md: the transcript of
// the checked demo and its figures, and what `make bench` measured. Nothing between the markers is typed by hand.
//
//	go run ./hack/readme          # writes README.md
//	go run ./hack/readme -check   # fails if README.md says something else
//
// A marker is a line `<!-- begin NAME -->` with `<!-- end NAME -->` below it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

const (
	readmeFile     = "README.md"
	transcriptFile = "docs/demo/transcript.txt"
	figuresFile    = "docs/demo/figures.json"
	benchFile      = "docs/bench/figures.json"
	scaleFile      = "docs/bench/scale.json"
	manifestFile   = "docs/bench/manifest.json"
)

func main() {
	check := flag.Bool("check", false, "write nothing; fail if README.md is not what would be written")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "readme:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	old, err := os.ReadFile(readmeFile)
	if err != nil {
		return err
	}
	transcript, err := os.ReadFile(transcriptFile)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(figuresFile)
	if err != nil {
		return err
	}
	table, err := figuresTable(data)
	if err != nil {
		return err
	}
	text := string(old)
	blocks, err := benchTables()
	if err != nil {
		return err
	}
	blocks["transcript"], blocks["figures"] = "```console\n$ make demo CHECK=1\n"+excerpt(string(transcript))+"\n```", table
	for name, block := range blocks {
		if text, err = replace(text, name, block); err != nil {
			return err
		}
	}
	if text == string(old) {
		return nil
	}
	if check {
		return errors.New("README.md is not rendered from docs/demo and docs/bench: run `go run ./hack/readme`")
	}
	return os.WriteFile(readmeFile, []byte(text), 0o644)
}

// benchTables are the tables of what the benchmarks measured.
func benchTables() (map[string]string, error) {
	tables := map[string]string{}
	for file, renders := range map[string]map[string]func(*benchmarks) (string, error){
		benchFile:    {"approvals": approvalsTable, "publish": publishTable, "detect": detectTable},
		scaleFile:    {"scale": scaleTable},
		manifestFile: {"manifest": manifestTable},
	} {
		b, err := readBenchmarks(file)
		if err != nil {
			return nil, err
		}
		for name, render := range renders {
			if tables[name], err = render(b); err != nil {
				return nil, err
			}
		}
	}
	return tables, nil
}

// shown are the parts of the transcript that README.md has; the file has all.
var shown = []string{
	"Start", "Nobody gets what nobody approved", "Two people approve, and the first release begins",
	"A bad version is aborted", "What was set, and what 1,000 users got", "Verdict",
}

// excerpt keeps the parts that are shown, and marks what was left out. A part is
// a heading at the beginning of a line with indented lines below it.
func excerpt(transcript string) string {
	var out []string
	for part := range strings.SplitSeq(strings.TrimSpace(transcript), "\n\n") {
		heading, _, _ := strings.Cut(part, "\n")
		switch {
		case slices.Contains(shown, heading):
			out = append(out, part)
		case len(out) == 0 || out[len(out)-1] != "…":
			out = append(out, "…")
		}
	}
	return strings.Join(out, "\n\n")
}

// replace puts block between the markers of that name.
func replace(text, name, block string) (string, error) {
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
	before, rest, ok := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("%s has no markers of the name %s", readmeFile, name)
	}
	return before + begin + block + "\n" + end + after, nil
}

// spread is several samples of one time, in milliseconds.
type spread struct {
	Samples          []float64
	Min, Median, Max float64
}

// figures are those that the demo writes.
type figures struct {
	Time                         string
	CPUs                         int
	Go, OS                       string
	StartSeconds                 map[string]float64
	LifeSeconds                  float64
	ApplyToArtifactMs            spread
	ApprovalToFirstShareServedMs spread
	ConfigMapWriteToServedMs     spread
	ThousandUsersAskedMs         spread
}

func figuresTable(data []byte) (string, error) {
	var f figures
	if err := json.Unmarshal(data, &f); err != nil {
		return "", fmt.Errorf("%s: %w", figuresFile, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Measured by the checked demo at %s on %d cores, %s, %s.\n\n", f.Time, f.CPUs, f.OS, f.Go)
	b.WriteString("| what | least | median | most | samples |\n|---|---|---|---|---|\n")
	row := func(what string, s spread) {
		fmt.Fprintf(&b, "| %s | %.1f ms | %.1f ms | %.1f ms | %d |\n", what, s.Min, s.Median, s.Max, len(s.Samples))
	}
	row("`kubectl apply` of a version → artifact in the registry and in status", f.ApplyToArtifactMs)
	row("last approval → first share served over HTTP", f.ApprovalToFirstShareServedMs)
	row("write of the document's ConfigMap → served over HTTP", f.ConfigMapWriteToServedMs)
	row("1,000 users ask what they get", f.ThousandUsersAskedMs)
	fmt.Fprintf(&b, "\nEverything starts in %.1f s, of which %.1f s are the control plane and %.1f s the installation; the life takes %.1f s.",
		f.StartSeconds["total"], f.StartSeconds["controlPlane"], f.StartSeconds["install"], f.LifeSeconds)
	return b.String(), nil
}
