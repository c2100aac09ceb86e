// Package admission is what an installation refuses beyond RBAC: the policies in
// the YAML files beside it, compiled in, so that the manager can compare what a
// cluster has with what its own version means.
package admission

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

//go:embed *.yaml
var files embed.FS

// Guards are the policies and their bindings, as they are written: defaults of
// the API server are not filled in. The stamps in mutating are not among them,
// for an installation is as safe without.
type Guards struct {
	Policies []admissionregistrationv1.ValidatingAdmissionPolicy
	Bindings []admissionregistrationv1.ValidatingAdmissionPolicyBinding
}

// Read decodes all guards, in the order of their files. A field that the API does
// not have is an error.
func Read() (*Guards, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	g := &Guards{}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			if err := g.add(document); err != nil {
				return nil, fmt.Errorf("config/admission/%s: %w", name, err)
			}
		}
	}
	return g, nil
}

func (g *Guards) add(document []byte) error {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	switch kind.Kind {
	case "ValidatingAdmissionPolicy":
		g.Policies = append(g.Policies, admissionregistrationv1.ValidatingAdmissionPolicy{})
		return yaml.UnmarshalStrict(document, &g.Policies[len(g.Policies)-1])
	case "ValidatingAdmissionPolicyBinding":
		g.Bindings = append(g.Bindings, admissionregistrationv1.ValidatingAdmissionPolicyBinding{})
		return yaml.UnmarshalStrict(document, &g.Bindings[len(g.Bindings)-1])
	case "Kustomization":
		return nil
	}
	return fmt.Errorf("it holds a %q, which is no guard", kind.Kind)
}
