package charttest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

const (
	release = "miniprogram-operator"
	system  = "miniprogram-system"
)

func repository(t testing.TB) string {
	t.Helper()
	root, err := controlplane.RepositoryDir()
	must(t, err)
	return root
}

func chart(t testing.TB) string {
	return filepath.Join(repository(t), "charts", "miniprogram-operator")
}

// valuesFile is one of those beside the chart.
func valuesFile(t testing.TB, name string) string {
	return filepath.Join(chart(t), "ci", name+"-values.yaml")
}

// run runs a program that `make` built into bin/, with a home of its own: neither plugins nor
// settings of who runs the tests count.
func run(t testing.TB, kubeconfig, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	home := t.TempDir()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + kubeconfig, "KUBECACHEDIR=" + home}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s%s", filepath.Base(program), args[0], err, out.String(), problems.String())
	}
	return out.String(), nil
}

func helm(t testing.TB, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	program := filepath.Join(repository(t), "bin", "helm")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v: run make helm", err)
	}
	return run(t, kubeconfig, program, args...)
}

// render is what the chart makes of a values file of ci/ and flags.
func render(t testing.TB, values string, flags ...string) map[string]*unstructured.Unstructured {
	t.Helper()
	text, err := helm(t, "", append([]string{"template", release, chart(t), "--namespace", system, "--values", valuesFile(t, values)}, flags...)...)
	must(t, err)
	return objects(t, text)
}

// kustomize builds config/default with components.
func kustomize(t testing.TB, components ...string) map[string]*unstructured.Unstructured {
	t.Helper()
	assets, err := controlplane.AssetsDir()
	must(t, err)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	config, err := filepath.Rel(dir, filepath.Join(repository(t), "config"))
	must(t, err)
	tree := fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [%s/default]\n", config)
	for i, component := range components {
		if i == 0 {
			tree += "components:\n"
		}
		tree += fmt.Sprintf("- %s/components/%s\n", config, component)
	}
	must(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(tree), 0o600))
	text, err := run(t, "", filepath.Join(assets, "kubectl"), "kustomize", dir)
	must(t, err)
	return objects(t, text)
}

var separator = regexp.MustCompile(`(?m)^---\s*$`)

// objects are those of a stream, by kind, namespace and name.
func objects(t testing.TB, text string) map[string]*unstructured.Unstructured {
	t.Helper()
	found := map[string]*unstructured.Unstructured{}
	for _, document := range separator.Split(text, -1) {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if len(object.Object) == 0 {
			continue
		}
		key := strings.Join([]string{object.GetKind(), object.GetNamespace(), object.GetName()}, " ")
		if found[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		found[key] = object
	}
	return found
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
