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

// The figures of the last change of the scanner are a little above these: 256
// right, 3 wrong and 24 missed.
const (
	leastPrecision = 0.985
	leastRecall    = 0.910
)

func TestWhatIsFoundInSnippets(t *testing.T) {
	var sum score
	for _, half := range halves {
		var part score
		for _, s := range readSnippets(t, half) {
			got, wrong, missed := judge(s)
			if len(wrong)+len(missed) > 0 {
				t.Logf("%s: wrong %q, missed %q", s.File, wrong, missed)
			}
			part.add(got)
		}
		t.Logf("%s half: precision %.4f, recall %.4f, %+v", half, part.precision(), part.recall(), part)
		sum.add(part)
	}
	if sum.precision() < leastPrecision || sum.recall() < leastRecall {
		t.Errorf("precision %.4f and recall %.4f, less than %.3f and %.3f: %+v", sum.precision(), sum.recall(), leastPrecision, leastRecall, sum)
	}
}

func TestSnippetsAreManyAndLabelled(t *testing.T) {
	known := map[string]bool{}
	for _, a := range Known().APIs {
		known[a.API] = true
	}
	files := map[string]bool{}
	minified, none := 0, 0
	for _, half := range halves {
		for _, s := range readSnippets(t, half) {
			if files[s.File] {
				t.Errorf("%s is labelled twice", s.File)
			}
			files[s.File] = true
			if s.Minified {
				minified++
			}
			if len(s.APIs) == 0 {
				none++
			}
			for _, api := range s.APIs {
				if !known[api] {
					t.Errorf("%s: the table has no %q", s.File, api)
				}
			}
		}
		found, err := filepath.Glob(filepath.Join(snippetsFolder, half, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			if !files[half+"/"+filepath.Base(name)] {
				t.Errorf("%s has no label in %s.yaml", name, half)
			}
		}
	}
	if len(files) < 200 || minified < 60 || none < 70 {
		t.Errorf("%d snippets, %d of them minified, %d that use nothing; want 200, 60 and 70", len(files), minified, none)
	}
}
