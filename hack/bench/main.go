// Command bench runs the benchmarks of the repository's modules and prints what
// they measured, a figure a line: its name, its value, its unit. It writes the same
// as JSON, from which hack/readme renders README.md.
//
//	go run ./hack/bench                    # all; writes docs/bench/figures.json
//	go run ./hack/bench -bench publish     # some, in whatever case; writes nothing
//	go run ./hack/bench -skip Manifest     # all but some; writes docs/bench/figures.json
//	go run ./hack/bench -tags scale -bench Rollouts -modules . -packages ./cmd/manager -o docs/bench/scale.json
//
// A figure is named after its benchmark and what that reported: "ratio_oras" of
// BenchmarkPublish/push_1MiB is publish.push_1MiB.ratio_oras.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const allBenchmarks = "."

// results are what docs/bench/figures.json holds.
type results struct {
	Time    time.Time `json:"time"`
	CPUs    int       `json:"cpus"`
	Go      string    `json:"go"`
	OS      string    `json:"os"`
	Figures []figure  `json:"figures"`
}

func main() {
	pattern := flag.String("bench", allBenchmarks, "benchmarks to run, as for go test -bench; the file is written only for all of them")
	file := flag.String("o", "docs/bench/figures.json", "file that the figures are written to; given, also those of some")
	skip := flag.String("skip", "", "benchmarks to leave out, as for go test -skip")
	packages := flag.String("packages", "./...", "packages of each module")
	tags := flag.String("tags", "", "build tags of the benchmarks")
	modules := flag.String("modules", ".,sdk/go", "folders of the modules, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	asked := *pattern == allBenchmarks
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "o" })
	if !asked {
		*file = ""
	}
	err := run(ctx, benchmarksOf{anyCase(*pattern), *skip, *packages, *tags}, *file, strings.Split(*modules, ","), os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// benchmarksOf chooses some by their names, by packages, and those of files with
// build tags.
type benchmarksOf struct{ pattern, skip, packages, tags string }

// anyCase makes each part of a pattern match in whatever case: figures are named in
// another than benchmarks.
func anyCase(pattern string) string {
	parts := strings.Split(pattern, "/")
	for i := range parts {
		parts[i] = "(?i)" + parts[i]
	}
	return strings.Join(parts, "/")
}

// run measures, and writes the figures to the file, if there is one.
func run(ctx context.Context, which benchmarksOf, file string, modules []string, out io.Writer) error {
	r := results{Time: time.Now().UTC().Truncate(time.Second), CPUs: runtime.NumCPU(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	for _, module := range modules {
		got, err := measure(ctx, module, which, out)
		if err != nil {
			return err
		}
		r.Figures = append(r.Figures, got...)
	}
	if len(r.Figures) == 0 {
		return fmt.Errorf("no benchmark matches %q", which.pattern)
	}
	if file == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// measure runs the benchmarks of one module, one package after the other, and
// prints each figure when it is there.
func measure(ctx context.Context, module string, which benchmarksOf, out io.Writer) (figures []figure, err error) {
	args := []string{"test", "-p", "1", "-timeout", "30m", "-run", "^$", "-benchmem", "-tags", which.tags, "-bench", which.pattern}
	if which.skip != "" {
		args = append(args, "-skip", which.skip)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, which.packages)...)
	cmd.Dir = module
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	figures, said, err := read(output, out)
	if err = errors.Join(err, cmd.Wait()); err != nil {
		return nil, fmt.Errorf("the benchmarks of %s: %w\n%s", module, err, said)
	}
	return figures, nil
}

// read returns the figures of a benchmark run's output, which it prints, and what
// else that output says.
func read(output io.Reader, out io.Writer) (figures []figure, said string, err error) {
	var rest strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		got := figuresOf(lines.Text())
		if got == nil {
			fmt.Fprintln(&rest, lines.Text())
		}
		for _, f := range got {
			if _, err := fmt.Fprintln(out, f); err != nil {
				return nil, "", err
			}
		}
		figures = append(figures, got...)
	}
	return figures, rest.String(), lines.Err()
}
