package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const systemNamespace = "miniprogram-system"

// kept are annotations that leave an object in the cluster when the release goes or no
// longer has it. With the kinds all mini programs would go, and with the publication namespace
// what host apps are told, and the numbers that must never fall.
var kept = map[string]string{
	"helm.sh/resource-policy": "keep",
	// Argo CD looks at Helm's word when it deletes an Application, but not when it prunes the
	// namespace. (Kinds it neither tracks nor prunes.) What is left there is no difference.
	"argocd.argoproj.io/sync-options":    "Prune=false",
	"argocd.argoproj.io/compare-options": "IgnoreExtraneous",
}

// components are those of config/components that a value of the chart turns on. What
// they add is taken from there; what they change is changed by the templates, which a
// test compares.
var components = []string{"autoscaler", "disruption-budgets", "explain", "monitoring", "network-policies", "registry-credentials"}

// objectFiles are the chart's files by name.
func objectFiles(config string) (files map[string][]byte, err error) {
	base, err := build(filepath.Join(config, "default"))
	if err != nil {
		return nil, err
	}
	texts := map[string][]string{}
	for _, object := range base.Resources() {
		file, err := fileOf(object)
		if err != nil {
			return nil, err
		}
		if file == "" {
			continue
		}
		if err := add(texts, file, object); err != nil {
			return nil, err
		}
	}
	for _, name := range components {
		with, err := buildWith(config, name)
		if err != nil {
			return nil, err
		}
		for _, object := range with.Resources() {
			if _, err := base.GetById(object.CurId()); err == nil {
				continue // a changed one: the templates do that
			}
			if err := add(texts, name+".yaml", object); err != nil {
				return nil, err
			}
		}
	}
	files = map[string][]byte{}
	for name, documents := range texts {
		files[name] = []byte(strings.Join(documents, "---\n"))
	}
	return files, nil
}

// fileOf says where an object of the default tree goes; none for what is not the chart's.
func fileOf(object *resource.Resource) (string, error) {
	kind, name := object.GetKind(), object.GetName()
	short := strings.TrimPrefix(name, "miniprogram-")
	switch kind {
	case "Namespace":
		if name == systemNamespace {
			// Helm keeps the release's record in it, so it is there before the chart.
			return "", nil
		}
		return "namespaces.yaml", nil
	case "CustomResourceDefinition":
		return "crds.yaml", nil
	case "ServiceAccount":
		return "accounts.yaml", nil
	case "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding":
		return "rbac.yaml", nil
	case "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding":
		return "admission.yaml", nil
	case "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding":
		return "stamps.yaml", nil
	case "ConfigMap":
		return short + ".yaml", nil
	case "Deployment":
		return short + ".yaml", nil
	case "Service":
		return strings.TrimPrefix(short, "manifest-") + ".yaml", nil
	}
	return "", fmt.Errorf("%s %s of config/default has no place in the chart: give it one in hack/chart and a template", kind, name)
}

func add(texts map[string][]string, file string, object *resource.Resource) error {
	if kind := object.GetKind(); kind == "CustomResourceDefinition" || kind == "Namespace" {
		object = object.DeepCopy()
		annotations := object.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		maps.Copy(annotations, kept)
		if err := object.SetAnnotations(annotations); err != nil {
			return err
		}
	}
	text, err := object.AsYAML()
	if err != nil {
		return fmt.Errorf("writing %s: %w", object.CurId(), err)
	}
	texts[file] = append(texts[file], string(text))
	return nil
}

func build(dir string) (resmap.ResMap, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", dir, err)
	}
	return built, nil
}

// buildWith builds the default tree with one component.
func buildWith(config, component string) (built resmap.ResMap, err error) {
	dir, err := os.MkdirTemp("", "miniprogram-chart-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if config, err = filepath.Abs(config); err != nil {
		return nil, err
	}
	// kustomize takes folders by relative paths only, and follows links before it does.
	followed, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	tree, err := filepath.Rel(followed, config)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [%s/default]\ncomponents: [%[1]s/components/%s]\n", tree, component)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	return build(dir)
}
