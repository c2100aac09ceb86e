package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachFigureOfARunIsALine(t *testing.T) {
	output := "goos: linux\npkg: example.com/x\n" +
		"BenchmarkPublish/push_1MiB-2 \t 46\t 44916537 ns/op\t 15.92 oras-ms\t 1.095 ratio_oras\n" +
		"BenchmarkPublish/1000 \t 1\t 45922537406 ns/op\t 193.7 peak_rss_mib\t 45.92 seconds\t 1.000 writes_per_version\n" +
		"BenchmarkDetect-2 \t 4\t 4.5 mib-per-second\t 0.9884 precision\n" +
		"BenchmarkOf-2 \t 17576077\t 59.80 ns/op\t 0 B/op\t 0 allocs/op\nPASS\nok  \texample.com/x\t1s\n"
	var printed strings.Builder
	got, said, err := read(strings.NewReader(output), &printed)
	if err != nil {
		t.Fatal(err)
	}
	want := []figure{
		{"publish.push_1MiB.oras_ms", 15.92, "ms"}, {"publish.push_1MiB.ratio_oras", 1.095, "1"}, {"publish.push_1MiB.time", 44916537, "ns"},
		{"publish.1000.peak_rss_mib", 193.7, "MiB"}, {"publish.1000.seconds", 45.92, "s"}, {"publish.1000.time", 45922537406, "ns"}, {"publish.1000.writes_per_version", 1, "1"},
		{"detect.mib_per_second", 4.5, "MiB/s"}, {"detect.precision", 0.9884, "1"},
		{"of.allocations", 0, "1"}, {"of.memory", 0, "B"}, {"of.time", 59.8, "ns"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want := "goos: linux\npkg: example.com/x\nPASS\nok  \texample.com/x\t1s\n"; said != want {
		t.Errorf("what else it said: %q", said)
	}
	wantPrinted := "publish.push_1MiB.oras_ms 15.92 ms\npublish.push_1MiB.ratio_oras 1.095 1\npublish.push_1MiB.time 4.49165e+07 ns\n"
	if !strings.HasPrefix(printed.String(), wantPrinted) {
		t.Errorf("printed %s", printed.String())
	}
}

func TestOtherLinesHaveNoFigures(t *testing.T) {
	for _, line := range []string{"", "PASS", "BenchmarkX", "BenchmarkX-2 10 fast ns/op", "--- FAIL: BenchmarkX/a"} {
		if got := figuresOf(line); got != nil {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestBenchmarksAreChosenInWhateverCase(t *testing.T) {
	for pattern, want := range map[string]string{".": "(?i).", "manifest": "(?i)manifest", "manifest/document$": "(?i)manifest/(?i)document$"} {
		if got := anyCase(pattern); got != want {
			t.Errorf("%s becomes %s, want %s", pattern, got, want)
		}
	}
}
