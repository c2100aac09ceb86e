package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// helmOf is the Helm that make builds.
func helmOf(t *testing.T) string {
	t.Helper()
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	helm := filepath.Join(root, "bin", "helm")
	if _, err := os.Stat(helm); err != nil {
		t.Fatalf("%v: run make helm", err)
	}
	return helm
}

// theManifests applies them as whoever installs does, to a real API server that finds
// fault with every unknown field; then once more, which must change nothing.
func theManifests(t *testing.T, r *release) {
	plane := controlplane.ForTest(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := plane.WriteKubeconfig(kubeconfig, plane.Admin()); err != nil {
		t.Fatal(err)
	}
	kubectl := func(args ...string) string {
		t.Helper()
		out, err := plane.Kubectl(t.Context(), kubeconfig, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	kubectl("apply", "--server-side", "--validate=strict", "-f", r.file("crds.yaml"))
	kubectl("wait", "--for=condition=Established", "--timeout=2m", "-f", r.file("crds.yaml"))
	kubectl("apply", "--server-side", "--validate=strict", "-f", r.file("install.yaml"))
	generations := func() string {
		return kubectl("get", "-f", r.file("install.yaml"), "-o", `jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.generation}{"\n"}{end}`)
	}
	before := generations()
	kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", r.file("install.yaml"))
	kubectl("apply", "--server-side", "--validate=strict", "-f", r.file("install.yaml"))
	if diff := cmp.Diff(before, generations()); diff != "" {
		t.Errorf("applied again it changes:\n%s", diff)
	}
}

// theChart looks at the package as Helm reads it, and renders it with the least values: it
// is of the release's version, and starts the release's image.
func theChart(t *testing.T, r *release) {
	helm, file := helmOf(t), r.file("miniprogram-operator-0.0.1.tgz")
	var is struct{ Name, Version, AppVersion string }
	if err := yaml.Unmarshal([]byte(run(t, helm, "show", "chart", file)), &is); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(is), "{miniprogram-operator 0.0.1 v0.0.1}"; got != want {
		t.Errorf("the chart is %s, want %s", got, want)
	}
	image := r.image + ":" + r.version
	values := filepath.Join(r.root, "charts", chartName, "ci", "least-values.yaml")
	rendered := run(t, helm, "template", chartName, file, "--namespace", "miniprogram-system", "--values", values)
	if got := strings.Count(rendered, "\n        image: "+image+"\n"); got != len(servers) || strings.Count(rendered, " image: ") != len(servers) {
		t.Errorf("the chart starts %s %d times, want %d:\n%s", image, got, len(servers), rendered)
	}
	if readme := run(t, helm, "show", "readme", file); !strings.Contains(readme, "`image.repository` | `\""+r.image+"\"`") {
		t.Errorf("the chart's README does not say that the image is %s", r.image)
	}
}

func TestAChartThatNamesNoImageIsNotPackaged(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"values.yaml": "image:\n  repo: miniprogram-operator\n", "README.md": "\n| `image.repository` | `\"miniprogram-operator\"` | Where. |\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := nameImage(folder, "registry.example/op"); err == nil || !strings.Contains(err.Error(), "values.yaml of the chart has ") {
		t.Errorf("nameImage = %v", err)
	}
}
