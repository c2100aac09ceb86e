package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMutantsAreNoticedOrNamed(t *testing.T) {
	double := mutant{File: "m.go", Find: "2 * x", Test: ".", Run: "TestDouble"}
	with := func(change func(*mutant)) mutant { m := double; change(&m); return m }
	const stillPass = "the tests TestDouble of . still pass"

	for name, test := range map[string]struct {
		mutant mutant
		want   string // a part of the error; empty: noticed
	}{
		"a wrong result":           {mutant: with(func(m *mutant) { m.Replace = "3 * x" })},
		"a panic":                  {mutant: with(func(m *mutant) { m.Replace = `func() int { panic("x") }()` })},
		"the same result":          {mutant: with(func(m *mutant) { m.Replace = "x + x" }), want: stillPass},
		"what does not compile":    {mutant: with(func(m *mutant) { m.Replace = "2 *" }), want: "it broke more than the code's meaning"},
		"what is there no more":    {mutant: with(func(m *mutant) { m.Find = "4 * x" }), want: "m.go holds 0 times what is to be replaced, want once"},
		"what is there twice":      {mutant: with(func(m *mutant) { m.Find = "x" }), want: "m.go holds 2 times what is to be replaced, want once"},
		"a file that is there not": {mutant: with(func(m *mutant) { m.File = "n.go" }), want: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			root := module(t)
			err := try(t.Context(), root, test.mutant)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			text, err := os.ReadFile(filepath.Join(root, "m.go"))
			if err != nil || string(text) != code {
				t.Errorf("the tree was changed: %s, %v", text, err)
			}
		})
	}
}

// A row that no longer fits the code guards nothing, and running all of them takes
// too long to find that out by the way.
func TestEveryMutantFitsTheCode(t *testing.T) {
	const root = "../.."
	mutants, err := readTable(filepath.Join(root, "hack/mutants/mutants.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range mutants {
		if _, err := writeOverlay(t.TempDir(), root, m); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		if names[m.Name] {
			t.Errorf("two mutants are named %q", m.Name)
		}
		names[m.Name] = true
	}
}

func TestARunFailsWithoutATestAndNamesSurvivors(t *testing.T) {
	for name, test := range map[string]struct {
		table string
		names []string
		want  string
	}{
		"all noticed":    {table: `[{name: a, file: m.go, find: "2 * x", replace: "1", test: ., run: TestDouble}]`},
		"a survivor":     {table: `[{name: a, file: m.go, find: "2 * x", replace: "x * 2", test: ., run: TestDouble}]`, want: "1 of 1 were not noticed: a"},
		"not selected":   {table: `[{name: a, file: m.go, find: "2 * x", replace: "x * 2", test: ., run: TestDouble}]`, names: []string{"b"}, want: `has no mutant "b"`},
		"no such test":   {table: `[{name: a, file: m.go, find: "2 * x", replace: "1", test: ., run: TestNothing}]`, want: ". has no test TestNothing"},
		"a failing test": {table: `[{name: a, file: m.go, find: "2 * x", replace: "1", test: ., run: TestBroken}]`, want: "the tests TestBroken of . fail without a mutant"},
		"a wrong table":  {table: `[{nam: a}]`, want: `unknown field "nam"`},
	} {
		t.Run(name, func(t *testing.T) {
			root := module(t)
			write(t, filepath.Join(root, "table.yaml"), test.table)
			err := run(t.Context(), root, "table.yaml", test.names)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

const code = "package m\n\nfunc double(x int) int { return 2 * x }\n"

// module is a small module with one function and its tests.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module m\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "m.go"), code)
	write(t, filepath.Join(dir, "m_test.go"), `package m

import "testing"

func TestDouble(t *testing.T) {
	if got := double(4); got != 8 {
		t.Errorf("got %d, want 8", got)
	}
}

func TestBroken(t *testing.T) { t.Error("always") }
`)
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
