// Command crds bounds what the generated CRDs take from apimachinery. Our own
// fields carry their bounds as markers; a label selector and a condition are
// types of metav1, which no marker reaches, and controller-gen leaves them open.
//
//	go run ./hack/crds # in the repository's root: completes config/crd/bases
//
// A second run changes nothing.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(filepath.Join("config", "crd", "bases")); err != nil {
		fmt.Fprintln(os.Stderr, "crds:", err)
		os.Exit(1)
	}
}

// run completes all CRDs of a folder.
func run(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no CRDs in %s: run make generate in the repository's root", dir)
	}
	for _, file := range files {
		before, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		after, err := complete(before)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if bytes.Equal(before, after) {
			continue
		}
		if err := os.WriteFile(file, after, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// complete returns the CRD with bounds wherever a schema is one of metav1's.
func complete(crd []byte) ([]byte, error) {
	var content map[string]any
	if err := yaml.Unmarshal(crd, &content); err != nil {
		return nil, err
	}
	if content == nil {
		return nil, errors.New("the file is empty")
	}
	walk(content)
	out, err := yaml.Marshal(content)
	return append([]byte("---\n"), out...), err
}

func walk(value any) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			walk(item)
		}
	case map[string]any:
		if properties, is := v["properties"].(map[string]any); is {
			bound(properties)
		}
		for _, item := range v {
			walk(item)
		}
	}
}

// known are the types of metav1 in our schemas: their fields, and for each what
// the API machinery keeps to without saying so in a schema. A key of a label has
// a prefix of 253 characters, a slash and a name of 63, like its values. No
// generation is greater than what every reader of JSON reads as it is.
var known = []struct {
	fields []string
	bounds map[string]map[string]any
}{
	{[]string{"matchExpressions", "matchLabels"}, map[string]map[string]any{
		"matchLabels":      {"maxProperties": 20, "additionalProperties": map[string]any{"type": "string", "maxLength": 63}},
		"matchExpressions": {"maxItems": 20},
	}},
	{[]string{"key", "operator", "values"}, map[string]map[string]any{
		"key":      {"minLength": 1, "maxLength": 317},
		"operator": {"enum": []any{"In", "NotIn", "Exists", "DoesNotExist"}},
		"values":   {"maxItems": 50, "items": map[string]any{"type": "string", "maxLength": 63}},
	}},
	{[]string{"lastTransitionTime", "message", "observedGeneration", "reason", "status", "type"}, map[string]map[string]any{
		"observedGeneration": {"maximum": 1<<53 - 1},
	}},
}

// bound adds the bounds of the type that has just these properties, if it is known.
func bound(properties map[string]any) {
	fields := slices.Sorted(maps.Keys(properties))
	for _, k := range known {
		if !slices.Equal(fields, k.fields) {
			continue
		}
		for field, bounds := range k.bounds {
			if schema, is := properties[field].(map[string]any); is {
				maps.Copy(schema, bounds)
			}
		}
	}
}
