// Command crdcompat compares the kinds of an earlier version with those of the tree:
// what was stored or written for the earlier ones must still be taken, and nothing of
// it may be lost. Exceptions, each with its reason, stand in exceptions.yaml.
//
//	go run ./hack/crdcompat cmd/manager/testdata/upgrade/*/crds.yaml
//
// It looks at schemas alone. Whether stored objects go on as they were, a test of
// cmd/manager finds out with a real installation.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// exception excuses one finding.
type exception struct {
	// Finding is the finding's text.
	Finding string `json:"finding"`
	// Reason says why nobody is harmed, or who is, and what he has to do.
	Reason string `json:"reason"`
}

func main() {
	bases := flag.String("crds", "config/crd/bases", "`folder` with the present kinds")
	excused := flag.String("exceptions", "hack/crdcompat/exceptions.yaml", "`file` with exceptions")
	flag.Parse()
	if err := run(*bases, *excused, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "crdcompat:", err)
		os.Exit(1)
	}
}

func run(bases, excused string, files []string) error {
	if len(files) == 0 {
		return errors.New("name a file with the kinds of an earlier version")
	}
	exceptions, err := readExceptions(excused)
	if err != nil {
		return err
	}
	findings, err := compareFiles(bases, files)
	if err != nil {
		return err
	}
	return judge(findings, exceptions)
}

func readExceptions(file string) ([]exception, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var exceptions []exception
	if err := yaml.UnmarshalStrict(text, &exceptions); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return exceptions, nil
}

// compareFiles returns what each earlier version lost, sorted, each finding once.
func compareFiles(bases string, files []string) ([]string, error) {
	present, err := filepath.Glob(filepath.Join(bases, "*.yaml"))
	if err != nil {
		return nil, err
	}
	now, err := readKinds(present)
	if err != nil {
		return nil, err
	}
	if len(now) == 0 {
		return nil, fmt.Errorf("no kinds in %s", bases)
	}
	var findings []string
	for _, file := range files {
		before, err := readKinds([]string{file})
		if err != nil {
			return nil, err
		}
		if len(before) == 0 {
			return nil, fmt.Errorf("no kinds in %s", file)
		}
		findings = append(findings, compare(before, now)...)
	}
	slices.Sort(findings)
	return slices.Compact(findings), nil
}

// readKinds reads CRDs by name.
func readKinds(files []string) (map[string]object, error) {
	kinds := map[string]object{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for document := range strings.SplitSeq("\n"+string(text), "\n---\n") {
			var crd object
			if err := yaml.Unmarshal([]byte(document), &crd); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if name := crd.child("metadata").text("name"); name != "" {
				kinds[name] = crd
			}
		}
	}
	return kinds, nil
}

// judge wants an exception for each finding, and a finding for each exception.
func judge(findings []string, exceptions []exception) error {
	var problems []string
	excused := map[string]bool{}
	for _, e := range exceptions {
		excused[e.Finding] = true
		switch {
		case e.Reason == "":
			problems = append(problems, "an exception without a reason: "+e.Finding)
		case !slices.Contains(findings, e.Finding):
			problems = append(problems, "an exception that excuses nothing, remove it: "+e.Finding)
		}
	}
	for _, f := range findings {
		if !excused[f] {
			problems = append(problems, f)
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("what was stored or written before would not be taken as it was; keep it, or say why not in hack/crdcompat/exceptions.yaml:\n  %s", strings.Join(problems, "\n  "))
	}
	return nil
}
