package charttest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

var (
	writtenOverlay = regexp.MustCompile(`(?s)cat >overlay/kustomization.yaml <<'END'\n(.*?)END\n`)
	writtenPatch   = regexp.MustCompile("(?s)```yaml\n(- target: {kind: CustomResourceDefinition}.*?)```\n")
)

// TestTheOverlayOfTheDocumentsWorks builds what docs/install.md and docs/versions.md have a
// platform write: an overlay of config/default, the same of a release's install.yaml, and
// with the patch of the way back.
func TestTheOverlayOfTheDocumentsWorks(t *testing.T) {
	written := block(t, "install.md", writtenOverlay)
	fromTree := overlay(t, written, nil)
	settings, _, err := unstructured.NestedStringMap(fromTree["ConfigMap "+system+" miniprogram-settings"].Object, "data")
	must(t, err)
	want := map[string]string{"registry": "registry.example.com", "registryPrefix": "miniprograms", "manifestURL": "https://miniprograms.example.com", "runURL": ""}
	if diff := cmp.Diff(want, settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}

	release := overlay(t, "resources: [../config/default]\nimages: [{name: miniprogram-operator, newName: registry.example.com/miniprogram-operator, newTag: v0.1.0}]\n", nil)
	lines := strings.SplitAfter(strings.Replace(written, "../config/default", "install.yaml", 1), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "images:") })
	if diff := cmp.Diff(fromTree, overlay(t, strings.Join(lines, ""), release)); diff != "" {
		t.Errorf("of a release's install.yaml comes something else (-config +install.yaml):\n%s", diff)
	}

	back := overlay(t, written+block(t, "versions.md", writtenPatch), nil)
	maps.DeleteFunc(fromTree, func(_ string, o *unstructured.Unstructured) bool { return o.GetKind() == "CustomResourceDefinition" })
	if diff := cmp.Diff(slices.Sorted(maps.Keys(fromTree)), slices.Sorted(maps.Keys(back))); diff != "" {
		t.Errorf("objects on the way back (-all but the kinds +got):\n%s", diff)
	}
}

// TestTheManifestServiceIsAppliedByItsLabel is about what docs/versions.md applies before the
// manager: the Deployment, and what it is reached by.
func TestTheManifestServiceIsAppliedByItsLabel(t *testing.T) {
	objects := overlay(t, block(t, "install.md", writtenOverlay), nil)
	maps.DeleteFunc(objects, func(_ string, o *unstructured.Unstructured) bool {
		return o.GetLabels()["app.kubernetes.io/name"] != "miniprogram-manifest-service"
	})
	want := []string{
		"Deployment " + system + " miniprogram-manifest-service", "PodDisruptionBudget " + system + " miniprogram-manifest-service",
		"Service " + system + " miniprogram-manifest-service", "Service " + system + " miniprogram-manifest-service-private",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(objects))); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

// block is the one of a document that a pattern finds.
func block(t *testing.T, document string, pattern *regexp.Regexp) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository(t), "docs", document))
	must(t, err)
	match := pattern.FindSubmatch(text)
	if match == nil {
		t.Fatalf("docs/%s has nothing like %s", document, pattern)
	}
	return string(match[1])
}

// overlay builds one beside config/, with objects as its install.yaml.
func overlay(t *testing.T, kustomization string, install map[string]*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(filepath.Join(dir, "config"), os.DirFS(filepath.Join(repository(t), "config"))))
	must(t, os.Mkdir(filepath.Join(dir, "overlay"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "overlay", "kustomization.yaml"), []byte(kustomization), 0o600))
	var text strings.Builder
	for _, object := range install {
		json, err := object.MarshalJSON()
		must(t, err)
		fmt.Fprintf(&text, "---\n%s", json)
	}
	must(t, os.WriteFile(filepath.Join(dir, "overlay", "install.yaml"), []byte(text.String()), 0o600))
	assets, err := controlplane.AssetsDir()
	must(t, err)
	built, err := run(t, "", filepath.Join(assets, "kubectl"), "kustomize", filepath.Join(dir, "overlay"))
	must(t, err)
	return objects(t, built)
}
