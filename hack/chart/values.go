package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// valuesTable renders values.yaml: a row for each value, with its path, its default
// and the comment above it. A value is what has no commented keys below it.
func valuesTable(text []byte) (string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return "", err
	}
	if len(document.Content) != 1 {
		return "", errors.New("no values")
	}
	var out strings.Builder
	out.WriteString("| value | default | is |\n|---|---|---|\n")
	if err := rows(&out, "", document.Content[0]); err != nil {
		return "", err
	}
	return out.String(), nil
}

func rows(out *strings.Builder, path string, mapping *yaml.Node) error {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name := path + key.Value
		// What stands above the first value, with an empty line below it, is about the file.
		comments := strings.Split(key.HeadComment, "\n\n")
		comment := strings.ReplaceAll(strings.ReplaceAll(comments[len(comments)-1], "# ", ""), "\n", " ")
		if comment == "" {
			return fmt.Errorf("line %d: %s has no comment above it", key.Line, name)
		}
		if isGroup(value) {
			fmt.Fprintf(out, "| **%s** | | %s |\n", name, comment)
			if err := rows(out, name+".", value); err != nil {
				return err
			}
			continue
		}
		var content any
		if err := value.Decode(&content); err != nil {
			return fmt.Errorf("line %d: %s: %w", key.Line, name, err)
		}
		shown, err := json.Marshal(content)
		if err != nil {
			return fmt.Errorf("line %d: %s: %w", key.Line, name, err)
		}
		fmt.Fprintf(out, "| `%s` | `%s` | %s |\n", name, shown, comment)
	}
	return nil
}

// isGroup tells whether values stand below it, and not one value that is an object.
func isGroup(value *yaml.Node) bool {
	return value.Kind == yaml.MappingNode && len(value.Content) > 0 && value.Content[0].HeadComment != ""
}

const (
	begin = "<!-- begin values -->\n"
	end   = "<!-- end values -->"
)

// between puts the table between the markers.
func between(text []byte, table string) ([]byte, error) {
	before, rest, found := bytes.Cut(text, []byte(begin))
	_, after, ended := bytes.Cut(rest, []byte(end))
	if !found || !ended {
		return nil, fmt.Errorf("no lines %q and %q", strings.TrimSpace(begin), end)
	}
	return bytes.Join([][]byte{before, []byte(begin + table + end), after}, nil), nil
}
