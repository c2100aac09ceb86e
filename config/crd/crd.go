// Package crd is the kinds as an installation has them, compiled in, so that the kubectl
// plugin can say of a cluster that its kinds are older than its own version's.
package crd

import (
	"embed"
	"fmt"
	"io/fs"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

//go:embed bases/*.yaml
var files embed.FS

// Read decodes the CustomResourceDefinitions, in the order of their files.
func Read() ([]*unstructured.Unstructured, error) {
	names, err := fs.Glob(files, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	all := make([]*unstructured.Unstructured, 0, len(names))
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		one := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(text, &one.Object); err != nil {
			return nil, fmt.Errorf("config/crd/%s: %w", name, err)
		}
		all = append(all, one)
	}
	return all, nil
}
