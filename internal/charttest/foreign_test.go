package charttest

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// foreign are the kinds of other projects that the chart writes objects of: the module that
// brings each, and its file there.
var foreign = map[string][2]string{
	"HTTPRoute":      {"sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"},
	"ServiceMonitor": {"github.com/prometheus-operator/prometheus-operator", "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"},
}

// TestObjectsOfForeignKindsFit lets a real API server with the kinds of these projects judge
// what the chart renders: a field that there is not is an error, and so is a broken rule.
func TestObjectsOfForeignKindsFit(t *testing.T) {
	plane := controlplane.ForTest(t)
	admin := strict(t, plane)
	namespace := plane.Namespace(t)
	gateway := "gateway.enabled=true,gateway.parentRefs[0].name=public"
	for name, test := range map[string]struct {
		values string
		flags  []string
		want   []string
	}{
		"everything": {
			values: "everything",
			want: []string{
				"HTTPRoute miniprogram-manifest-service", "ServiceMonitor miniprogram-manager", "ServiceMonitor miniprogram-manifest-service",
			},
		},
		"a route alone":    {"least", []string{"--set", gateway}, []string{"HTTPRoute miniprogram-manifest-service"}},
		"to one listener":  {"least", []string{"--set", gateway + ",gateway.parentRefs[0].sectionName=https,gateway.annotations.team=platform"}, []string{"HTTPRoute miniprogram-manifest-service"}},
		"monitors alone":   {"least", []string{"--set", "monitoring.enabled=true"}, []string{"ServiceMonitor miniprogram-manager", "ServiceMonitor miniprogram-manifest-service"}},
		"neither of these": {"least", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			rendered := render(t, test.values, test.flags...)
			for _, key := range slices.Sorted(maps.Keys(rendered)) {
				object := rendered[key]
				if _, is := foreign[object.GetKind()]; !is {
					continue
				}
				got = append(got, object.GetKind()+" "+object.GetName())
				object.SetNamespace(namespace)
				if err := admin.Create(t.Context(), object.DeepCopy(), client.DryRunAll); err != nil {
					t.Errorf("%s: %v", key, err)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("objects of foreign kinds (-want +got):\n%s", diff)
			}
		})
	}
	for kind, test := range map[string]struct {
		object, want string
		path         []string
	}{
		"HTTPRoute":      {"HTTPRoute " + system + " miniprogram-manifest-service", `unknown field "spec.rule"`, []string{"spec", "rule"}},
		"ServiceMonitor": {"ServiceMonitor " + system + " miniprogram-manager", `unknown field "spec.endpoint"`, []string{"spec", "endpoint"}},
	} {
		t.Run("a misspelt field of "+kind, func(t *testing.T) {
			object := render(t, "everything")[test.object]
			object.SetNamespace(namespace)
			must(t, unstructured.SetNestedField(object.Object, "x", test.path...))
			if err := admin.Create(t.Context(), object, client.DryRunAll); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the API server says %v, want %s: it judges nothing", err, test.want)
			}
		})
	}
}

// strict is an administrator's client of a cluster that has the foreign kinds and finds fault
// with fields that it does not know.
func strict(t *testing.T, plane *controlplane.ControlPlane) client.Client {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, plane.WriteKubeconfig(kubeconfig, plane.Admin()))
	for _, of := range foreign {
		file := filepath.Join(module(t, of[0]), of[1])
		for _, args := range [][]string{
			{"apply", "--server-side", "-f", file}, {"wait", "--for=condition=Established", "--timeout=2m", "-f", file},
		} {
			_, err := plane.Kubectl(t.Context(), kubeconfig, args...)
			must(t, err)
		}
	}
	admin, err := client.New(plane.Admin(), client.Options{FieldValidation: metav1.FieldValidationStrict})
	must(t, err)
	return admin
}

// module is the folder of a module that hack/foreigncrds requires.
func module(t *testing.T, path string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", path)
	cmd.Dir = filepath.Join(repository(t), "hack", "foreigncrds")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	var found struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &found); jsonErr != nil || err != nil || found.Dir == "" {
		t.Fatalf("downloading %s: %v: %s%s", path, err, found.Error, problems.String())
	}
	return found.Dir
}
