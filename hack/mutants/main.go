// Command mutants breaks the code in known ways and requires that the tests
// notice: a test that passes whatever the code does guards nothing. The breaks and
// the tests that have to notice stand in mutants.yaml.
//
// The tree is not touched: the changed file is laid over it for one go test. Names
// of mutants as arguments run only these.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// mutant is one way to break the code.
type mutant struct {
	// Name says what is broken, as a person would.
	Name string `json:"name"`
	// File is the changed file, from the repository's root. Find stands in it
	// exactly once and becomes Replace.
	File    string `json:"file"`
	Find    string `json:"find"`
	Replace string `json:"replace"`
	// Test is the package whose tests have to notice, as a folder from the root.
	Test string `json:"test"`
	// Run is the pattern of the tests that do, as for go test -run.
	Run string `json:"run"`
}

func main() {
	table := flag.String("table", "hack/mutants/mutants.yaml", "file with the mutants")
	root := flag.String("root", ".", "root of the repository")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *root, *table, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root, table string, names []string) error {
	mutants, err := readTable(filepath.Join(root, table), names)
	if err != nil {
		return err
	}
	passing := map[string]error{} // by test: what the unbroken code does
	var survivors []string
	for _, m := range mutants {
		key := m.Test + " " + m.Run
		if _, known := passing[key]; !known {
			passing[key] = baseline(ctx, root, m)
		}
		if err := passing[key]; err != nil {
			return err
		}
		began := time.Now()
		err := try(ctx, root, m)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			survivors = append(survivors, m.Name)
			fmt.Printf("ALIVE   %s: %v\n", m.Name, err)
			continue
		}
		fmt.Printf("noticed %s (%.1f s)\n", m.Name, time.Since(began).Seconds())
	}
	if len(survivors) > 0 {
		return fmt.Errorf("%d of %d were not noticed: %s", len(survivors), len(mutants), strings.Join(survivors, "; "))
	}
	fmt.Printf("all %d were noticed\n", len(mutants))
	return nil
}

// readTable reads the mutants, of which names selects some unless it is empty.
func readTable(path string, names []string) ([]mutant, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var mutants []mutant
	if err := yaml.UnmarshalStrict(data, &mutants); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(names) == 0 {
		return mutants, nil
	}
	var selected []mutant
	for _, name := range names {
		i := slices.IndexFunc(mutants, func(m mutant) bool { return m.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%s has no mutant %q", path, name)
		}
		selected = append(selected, mutants[i])
	}
	return selected, nil
}

// baseline requires that the tests pass while nothing is broken.
func baseline(ctx context.Context, root string, m mutant) error {
	out, err := test(ctx, root, m)
	if err != nil {
		return fmt.Errorf("the tests %s of %s fail without a mutant: %w\n%s", m.Run, m.Test, err, out)
	}
	if bytes.Contains(out, []byte("no tests to run")) || bytes.Contains(out, []byte("no test files")) {
		return fmt.Errorf("%s has no test %s", m.Test, m.Run)
	}
	return nil
}

// try returns nil when the mutant was noticed by a failing test.
func try(ctx context.Context, root string, m mutant) (err error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay, err := writeOverlay(dir, root, m)
	if err != nil {
		return err
	}
	out, err := test(ctx, root, m, "-overlay="+overlay)
	switch {
	case err == nil:
		return fmt.Errorf("the tests %s of %s still pass", m.Run, m.Test)
	case bytes.Contains(out, []byte("--- FAIL")), bytes.Contains(out, []byte("panic: ")):
		return nil
	}
	return fmt.Errorf("it broke more than the code's meaning: %w\n%s", err, out)
}

// writeOverlay writes the broken file and the list by which go lays it over the
// tree.
func writeOverlay(dir, root string, m mutant) (string, error) {
	original, err := filepath.Abs(filepath.Join(root, m.File))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	if found := bytes.Count(text, []byte(m.Find)); found != 1 {
		return "", fmt.Errorf("%s holds %d times what is to be replaced, want once:\n%s", m.File, found, m.Find)
	}
	broken := filepath.Join(dir, filepath.Base(m.File))
	if err := os.WriteFile(broken, bytes.Replace(text, []byte(m.Find), []byte(m.Replace), 1), 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: broken}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}

// test runs the mutant's tests in the package's own folder, for it may belong to
// another module. Most of a row's time is building, so there is no vet, no symbol
// table, and nothing after the first failure.
func test(ctx context.Context, root string, m mutant, flags ...string) ([]byte, error) {
	args := append([]string{"test", "-count=1", "-failfast", "-vet=off", "-ldflags=-s -w", "-timeout=5m", "-run", m.Run}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = filepath.Join(root, m.Test)
	return cmd.CombinedOutput()
}
