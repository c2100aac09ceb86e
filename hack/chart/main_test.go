package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/yaml"
)

var (
	config = filepath.Join("..", "..", "config")
	chart  = filepath.Join("..", "..", "charts", "miniprogram-operator")
)

func TestTheChartHasWhatTheTreeSays(t *testing.T) {
	files, err := objectFiles(config)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(chart, "files"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(chart, "files", entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(text, files[entry.Name()]) {
			t.Errorf("files/%s is not what config/ says: run make generate", entry.Name())
		}
		delete(files, entry.Name())
	}
	for name := range files {
		t.Errorf("files/%s is missing: run make generate", name)
	}
}

func TestWhatMustOutliveAReleaseIsKept(t *testing.T) {
	files, err := objectFiles(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"crds.yaml": 6, "namespaces.yaml": 1, "rbac.yaml": 0, "manager.yaml": 0} {
		for _, annotation := range []string{
			"helm.sh/resource-policy: keep\n", "argocd.argoproj.io/sync-options: Prune=false\n", "argocd.argoproj.io/compare-options: IgnoreExtraneous\n",
		} {
			if got := strings.Count(string(files[name]), annotation); got != want {
				t.Errorf("%s has %d objects with %s, want %d", name, got, strings.TrimSpace(annotation), want)
			}
		}
	}
}

func TestAnObjectWithoutAPlaceIsAnError(t *testing.T) {
	object := &resource.Resource{}
	if err := yaml.Unmarshal([]byte(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"migrate"}}`), object); err != nil {
		t.Fatal(err)
	}
	if file, err := fileOf(object); err == nil || !strings.Contains(err.Error(), "Job migrate") {
		t.Errorf("fileOf a Job: %q, %v, want an error that names it", file, err)
	}
}

func TestValuesAreATable(t *testing.T) {
	for name, test := range map[string]struct{ values, want, problem string }{
		"a value": {
			values: "# How many.\n# At least one.\nreplicas: 1\n",
			want:   "| `replicas` | `1` | How many. At least one. |\n",
		},
		"what is said of the file is of no value": {
			values: "# A file.\n\n# Where it is.\nhost: \"\"\n",
			want:   "| `host` | `\"\"` | Where it is. |\n",
		},
		"values below a group": {
			values: "# The image.\nimage:\n  # Its tag.\n  tag: null\n",
			want:   "| **image** | | The image. |\n| `image.tag` | `null` | Its tag. |\n",
		},
		"an object is one value": {
			values: "# Memory.\nresources:\n  limits:\n    memory: 1Gi\n",
			want:   "| `resources` | `{\"limits\":{\"memory\":\"1Gi\"}}` | Memory. |\n",
		},
		"a value that nobody explains": {
			values:  "# The image.\nimage:\n  # Its tag.\n  tag: \"\"\n  digest: \"\"\n",
			problem: "line 5: image.digest has no comment above it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := valuesTable([]byte(test.values))
			if test.problem != "" {
				if err == nil || err.Error() != test.problem {
					t.Errorf("error %v, want %s", err, test.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := "| value | default | is |\n|---|---|---|\n" + test.want; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestTheTableStandsBetweenTheMarkers(t *testing.T) {
	got, err := between([]byte("a\n"+begin+"old\n"+end+"\nb\n"), "new\n")
	if want := "a\n" + begin + "new\n" + end + "\nb\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := between([]byte("no markers\n"), ""); err == nil {
		t.Error("a README without markers is written")
	}
}
