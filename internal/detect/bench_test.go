package detect

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/js"
)

// benchmarkBytes is about the size of a large mini program's scripts.
const benchmarkBytes = 1 << 20

// BenchmarkDetect reads the snippets, repeated to 1 MiB, and beside it the library's
// lexer the same bytes, which finds nothing. Left out are those in which the lexer
// alone meets an error: each costs it a look at all that was before.
func BenchmarkDetect(b *testing.B) {
	var all []byte
	var sum score
	snippets := 0
	for _, half := range halves {
		for _, s := range readSnippets(b, half) {
			got, _, _ := judge(s)
			sum.add(got)
			snippets++
			if strings.HasSuffix(s.File, ".js") && lexes(s.src) {
				all = append(append(all, s.src...), "\n;\n"...)
			}
		}
	}
	src := bytes.Repeat(all, benchmarkBytes/len(all)+1)
	var ours, peers time.Duration
	for b.Loop() {
		began := time.Now()
		Scan("a.js", src)
		between := time.Now()
		lexes(src)
		ours += between.Sub(began)
		peers += time.Since(between)
	}
	mib := float64(len(src)) * float64(b.N) / (1 << 20)
	b.ReportMetric(sum.precision(), "precision")
	b.ReportMetric(sum.recall(), "recall")
	b.ReportMetric(float64(snippets), "snippets")
	b.ReportMetric(mib/ours.Seconds(), "mib-per-second")
	b.ReportMetric(mib/peers.Seconds(), "lexer-mib-per-second")
}

// lexes reads tokens to the end, and tells whether that is where the first error is.
func lexes(src []byte) bool {
	in := parse.NewInputBytes(append(make([]byte, 0, len(src)+1), src...))
	for lexer := js.NewLexer(in); ; {
		if kind, _ := lexer.Next(); kind == js.ErrorToken {
			return lexer.Err() == io.EOF
		}
	}
}
