package detect

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzScan reads any bytes as a script or a page. Whatever they are, the answer is
// in order, its places are places of the source, and the source stays as it was.
func FuzzScan(f *testing.F) {
	for _, half := range halves {
		for _, s := range readSnippets(f, half) {
			f.Add(strings.HasSuffix(s.File, ".html"), s.src)
		}
	}
	for _, src := range hostile {
		f.Add(false, []byte(strings.Repeat(src, 20)))
	}
	f.Fuzz(func(t *testing.T, page bool, src []byte) {
		name := "a.js"
		if page {
			name = "a.html"
		}
		before := bytes.Clone(src)
		uses := Scan(name, src)
		if !bytes.Equal(src, before) {
			t.Fatal("the source was changed")
		}
		lines := bytes.Split(src, []byte("\n"))
		for i, u := range uses {
			if u.File != name || u.Line < 1 || u.Line > len(lines) || u.Column < 1 || u.Column > utf8.RuneCount(lines[u.Line-1])+1 {
				t.Fatalf("there is no such place: %+v", u)
			}
			if _, ok := slices.BinarySearchFunc(Known().APIs, u.API, func(a API, name string) int { return strings.Compare(a.API, name) }); !ok {
				t.Fatalf("nobody knows this API: %+v", u)
			}
			if i > 0 && (u.Line < uses[i-1].Line || u.Line == uses[i-1].Line && u.Column < uses[i-1].Column) {
				t.Fatalf("out of order: %+v, then %+v", uses[i-1], u)
			}
		}
		if diff := cmp.Diff(uses, Scan(name, src)); diff != "" {
			t.Fatalf("the second time it says something else: %s", diff)
		}
	})
}
