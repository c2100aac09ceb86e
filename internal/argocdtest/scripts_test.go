package argocdtest

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/config/argocd"
)

const scripts = "../../config/argocd/resource_customizations/miniprogram.dev"

// These tests read the files of tests that Argo CD's own repository would have
// beside the scripts, and are stricter: a whole menu and a whole object are compared.

type healthTests struct {
	Tests []struct {
		InputPath    string `json:"inputPath"`
		HealthStatus Health `json:"healthStatus"`
	} `json:"tests"`
}

type actionTests struct {
	DiscoveryTests []struct {
		InputPath string   `json:"inputPath"`
		Result    []Action `json:"result"`
	} `json:"discoveryTests"`
	ActionTests []struct {
		Action               string            `json:"action"`
		InputPath            string            `json:"inputPath"`
		Parameters           map[string]string `json:"parameters"`
		ExpectedOutputPath   string            `json:"expectedOutputPath"`
		ExpectedErrorMessage string            `json:"expectedErrorMessage"`
	} `json:"actionTests"`
}

func customizations(t *testing.T, configMaps ...[]byte) *Customizations {
	t.Helper()
	c, err := Load(configMaps...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// object reads an object as it comes from the API server: whole numbers are int64.
func object(t *testing.T, path string) *unstructured.Unstructured {
	t.Helper()
	var content map[string]any
	readYAML(t, path, &content)
	data, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(data); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return o
}

// kinds are the folders of the kinds.
func kinds(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(scripts)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{"HostApp", "MiniProgram", "MiniProgramVersion", "Review", "ReviewPolicy", "Rollout"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Fatalf("kinds with scripts (-want +got):\n%s", diff)
	}
	return names
}

func TestHealth(t *testing.T) {
	c := customizations(t, argocd.ConfigMap)
	for _, kind := range kinds(t) {
		var tests healthTests
		readYAML(t, filepath.Join(scripts, kind, "health_test.yaml"), &tests)
		tried := map[string]bool{}
		for _, test := range tests.Tests {
			tried[test.InputPath] = true
			t.Run(kind+"/"+filepath.Base(test.InputPath), func(t *testing.T) {
				got, err := c.Health(object(t, filepath.Join(scripts, kind, test.InputPath)))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(&test.HealthStatus, got); diff != "" {
					t.Errorf("health (-want +got):\n%s", diff)
				}
				// The name of the file says the status, so that a look at the folder tells what is tried.
				if status, _, _ := strings.Cut(filepath.Base(test.InputPath), "_"); status != strings.ToLower(got.Status) {
					t.Errorf("the file is named after %s", status)
				}
				if got.Status == "Suspended" && kind != "Rollout" {
					t.Errorf("a %s would hold back later waves", kind)
				}
				if got.Message == "" {
					t.Error("nobody is told why")
				}
			})
		}
		files, err := filepath.Glob(filepath.Join(scripts, kind, "testdata", "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !tried["testdata/"+filepath.Base(file)] {
				t.Errorf("%s is tried by no test", file)
			}
		}
	}
}

func TestMenus(t *testing.T) {
	c := customizations(t, argocd.ConfigMap)
	for _, kind := range kinds(t) {
		dir := filepath.Join(scripts, kind, "actions")
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			continue
		}
		var tests actionTests
		readYAML(t, filepath.Join(dir, "action_test.yaml"), &tests)
		for _, test := range tests.DiscoveryTests {
			t.Run(kind+"/"+filepath.Base(test.InputPath), func(t *testing.T) {
				o := object(t, filepath.Join(dir, test.InputPath))
				got, err := c.Discover(o)
				if err != nil {
					t.Fatal(err)
				}
				want := map[string]Action{}
				for _, action := range test.Result {
					want[action.Name] = action
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("menu (-want +got):\n%s", diff)
				}
				defined := c.Defined(o)
				slices.Sort(defined)
				if diff := cmp.Diff(defined, slices.Sorted(maps.Keys(got))); diff != "" {
					t.Errorf("actions with a script, and those of the menu (-scripts +menu):\n%s", diff)
				}
			})
		}
	}
}

func TestActions(t *testing.T) {
	c := customizations(t, argocd.ConfigMap)
	for _, kind := range kinds(t) {
		dir := filepath.Join(scripts, kind, "actions")
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			continue
		}
		var tests actionTests
		readYAML(t, filepath.Join(dir, "action_test.yaml"), &tests)
		succeeded := map[string]bool{}
		for _, test := range tests.ActionTests {
			t.Run(kind+"/"+test.Action+"/"+filepath.Base(test.InputPath), func(t *testing.T) {
				input := object(t, filepath.Join(dir, test.InputPath))
				before := input.DeepCopy()
				got, err := c.Run(input, test.Action, test.Parameters)
				if diff := cmp.Diff(before.Object, input.Object); diff != "" {
					t.Errorf("the input was changed:\n%s", diff)
				}
				if test.ExpectedErrorMessage != "" {
					if err == nil || err.Error() != test.ExpectedErrorMessage {
						t.Errorf("got %v, want error %q", err, test.ExpectedErrorMessage)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				succeeded[test.Action] = true
				want := object(t, filepath.Join(dir, test.ExpectedOutputPath))
				if diff := cmp.Diff(want.Object, roundTrip(t, got).Object); diff != "" {
					t.Errorf("object (-want +got):\n%s", diff)
				}
			})
		}
		for _, name := range c.Defined(object(t, filepath.Join(scripts, kind, "testdata", "progressing_new.yaml"))) {
			if !succeeded[name] {
				t.Errorf("no test performs %s of %s", name, kind)
			}
		}
	}
}

// roundTrip writes an object and reads it again, after which its whole numbers are int64.
func roundTrip(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	data, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	out := &unstructured.Unstructured{}
	if err := out.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return out
}

// Where admission stamps nobody the scripts name the account, and change nothing else.
func TestWithoutStampsActionsNameTheAccount(t *testing.T) {
	const account = "system:serviceaccount:argocd:argocd-server"
	stamped := customizations(t, argocd.ConfigMap)
	unstamped := customizations(t, argocd.ConfigMap, argocd.Unstamped)
	for _, test := range []struct{ kind, file, action string }{
		{"Rollout", "suspended_waitsForPromote", "promote"},
		{"Rollout", "suspended_besideStable", "abort"},
		{"Rollout", "healthy_stableWithRollbacks", "rollback"},
		{"MiniProgram", "healthy_released", "suspend"},
		{"MiniProgram", "healthy_suspended", "resume"},
		{"MiniProgramVersion", "healthy_approved", "withdraw"},
		{"Review", "progressing_pending", "approve"},
	} {
		t.Run(test.action, func(t *testing.T) {
			input := object(t, filepath.Join(scripts, test.kind, "testdata", test.file+".yaml"))
			want, err := stamped.Run(input, test.action, nil)
			if err != nil {
				t.Fatal(err)
			}
			at := []string{"metadata", "annotations", "miniprogram.dev/action-by"}
			if test.kind == "Review" {
				at = []string{"spec", "reviewer"}
			}
			if name, is, _ := unstructured.NestedString(want.Object, at...); is {
				t.Errorf("with stamps, %s is named already", name)
			}
			if err := unstructured.SetNestedField(want.Object, account, at...); err != nil {
				t.Fatal(err)
			}
			got, err := unstamped.Run(input, test.action, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.Object, got.Object); diff != "" {
				t.Errorf("object (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScriptsHaveWhatArgoCDGivesThem(t *testing.T) {
	input := map[string]any{"list": []any{}, "number": int64(9007199254740991)}
	for name, test := range map[string]struct {
		script  string
		want    map[string]any
		wantErr string
	}{
		"tables, and numbers as large as ours": {"return {first = obj.number, all = {1, 2}}", map[string]any{"first": 9007199254740991.0, "all": []any{1.0, 2.0}}, ""},
		"no strings":                           {"return {a = string.sub('abc', 1)}", nil, "attempt to index a non-table object(nil) with key 'sub'"},
		"no system":                            {"return {a = os.getenv('HOME')}", nil, "attempt to index a non-table object(nil) with key 'getenv'"},
		"their own words of errors":            {"error('no', 0)", nil, "no"},
		"not more than a second":               {"while true do end", nil, "context deadline exceeded"},
		"nothing but tables":                   {"return 5", nil, "the script returned a number, not a table"},
	} {
		t.Run(name, func(t *testing.T) {
			var got map[string]any
			err := run(test.script, input, nil, &got)
			if (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Fatalf("got error %v, want %q", err, test.wantErr)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}
