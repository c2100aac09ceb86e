// Command chart writes what the Helm chart takes from elsewhere: the objects of
// config/default and of the components that the chart has a value for, as kustomize
// builds them, into files/, and the table of values into README.md. The templates put
// values into these objects, so that Helm and kustomize install the same.
//
//	go run ./hack/chart # in the repository's root
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(".", filepath.Join("charts", "miniprogram-operator")); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

// run writes the chart's files from the tree below root.
func run(root, chart string) error {
	files, err := objectFiles(filepath.Join(root, "config"))
	if err != nil {
		return err
	}
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	table, err := valuesTable(values)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(chart, "values.yaml"), err)
	}
	readme := filepath.Join(chart, "README.md")
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	if text, err = between(text, table); err != nil {
		return fmt.Errorf("%s: %w", readme, err)
	}
	return errors.Join(
		writeFolder(filepath.Join(chart, "files"), files),
		os.WriteFile(readme, text, 0o644),
	)
}

// writeFolder makes the folder hold these files and no other.
func writeFolder(dir string, files map[string][]byte) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
