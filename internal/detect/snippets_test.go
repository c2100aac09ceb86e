package detect

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

// snippet is a script with what it uses, as a person read it.
type snippet struct {
	File     string   `json:"file"`
	Form     string   `json:"form"`
	Minified bool     `json:"minified"`
	APIs     []string `json:"apis"`
	src      []byte
}

const snippetsFolder = "testdata/snippets"

// halves are the two halves of the snippets: the first was labelled before the
// scanner was tuned, the second before the scanner had seen it.
var halves = []string{"first", "second"}

// readSnippets reads one half of the labelled snippets.
func readSnippets(t testing.TB, half string) []snippet {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(snippetsFolder, half+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var out []snippet
	if err := yaml.UnmarshalStrict(data, &out); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if out[i].src, err = os.ReadFile(filepath.Join(snippetsFolder, out[i].File)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// score counts pairs of a snippet and an API.
type score struct {
	right, wrong, missed int
}

func (s score) precision() float64 { return float64(s.right) / float64(s.right+s.wrong) }
func (s score) recall() float64    { return float64(s.right) / float64(s.right+s.missed) }

func (s *score) add(other score) {
	s.right += other.right
	s.wrong += other.wrong
	s.missed += other.missed
}

// judge compares what is found in a snippet with its label.
func judge(s snippet) (got score, wrong, missed []string) {
	found := map[string]bool{}
	for _, u := range Scan(s.File, s.src) {
		found[u.API] = true
	}
	for _, api := range s.APIs {
		if found[api] {
			got.right++
		} else {
			missed = append(missed, api)
		}
		delete(found, api)
	}
	wrong = slices.Sorted(maps.Keys(found))
	got.wrong, got.missed = len(wrong), len(missed)
	return got, wrong, missed
}

func TestSnippets(t *testing.T) {
	for _, half := range []string{"first", "second"} {
		var sum score
		for _, s := range readSnippets(t, half) {
			got, wrong, missed := judge(s)
			if len(wrong)+len(missed) > 0 {
				t.Logf("%s: wrong %v, missed %v", s.File, wrong, missed)
			}
			sum.add(got)
		}
		t.Logf("%s: precision %.4f recall %.4f %+v", half, sum.precision(), sum.recall(), sum)
	}
}
