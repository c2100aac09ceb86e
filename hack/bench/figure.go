package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// figure is one thing that was measured.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// String is "name value unit".
func (f figure) String() string {
	return fmt.Sprintf("%s %s %s", f.Name, strconv.FormatFloat(f.Value, 'g', 6, 64), f.Unit)
}

// known are the names and units of what Go itself reports of a benchmark, and of
// what has a unit of two words.
var known = map[string]figure{
	"ns/op":     {Name: "time", Unit: "ns"},
	"B/op":      {Name: "memory", Unit: "B"},
	"allocs/op": {Name: "allocations", Unit: "1"},
	"MB/s":      {Name: "throughput", Unit: "MB/s"},

	"mib-per-second":       {Name: "mib_per_second", Unit: "MiB/s"},
	"lexer-mib-per-second": {Name: "lexer_mib_per_second", Unit: "MiB/s"},
}

// units tells the unit of what a benchmark reports by the last word of its name.
var units = map[string]string{"ns": "ns", "us": "µs", "ms": "ms", "seconds": "s", "mib": "MiB", "bytes": "B", "rps": "1/s"}

// processors is what Go appends to a benchmark's name where it may use several.
var processors = regexp.MustCompile(`-[0-9]+$`)

// figuresOf reads a line of the Go benchmark format
// (golang.org/design/14313-benchmark-format). Other lines have none.
func figuresOf(line string) []figure {
	fields := strings.Fields(line)
	if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
		return nil
	}
	name := nameOf(fields[0])
	var out []figure
	for pair := range slices.Chunk(fields[2:], 2) {
		value, err := strconv.ParseFloat(pair[0], 64)
		if err != nil {
			return nil
		}
		out = append(out, figureOf(name, pair[1], value))
	}
	slices.SortStableFunc(out, func(a, b figure) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// nameOf turns BenchmarkPublish/push_1MiB-2 into publish.push_1MiB.
func nameOf(benchmark string) string {
	name := strings.TrimPrefix(processors.ReplaceAllString(benchmark, ""), "Benchmark")
	first, size := utf8.DecodeRuneInString(name)
	return strings.ReplaceAll(string(unicode.ToLower(first))+name[size:], "/", ".")
}

func figureOf(benchmark, reported string, value float64) figure {
	if f, ok := known[reported]; ok {
		return figure{Name: benchmark + "." + f.Name, Value: value, Unit: f.Unit}
	}
	metric := strings.ReplaceAll(reported, "-", "_")
	unit, ok := units[metric[strings.LastIndex(metric, "_")+1:]]
	if !ok {
		unit = "1" // a ratio or a count
	}
	return figure{Name: benchmark + "." + metric, Value: value, Unit: unit}
}
