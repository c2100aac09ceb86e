package charttest

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// noValue are the flags that the chart leaves alone, and why.
var noValue = map[string]map[string]string{
	"manager": {
		"kubeconfig":           "the pod's account is used",
		"manifest-replicas":    "the replicas are the Service's endpoints",
		"manifest-service":     "the Service has this name",
		"version":              "it ends the program",
		"zap-devel":            "for development",
		"zap-encoder":          "a matter of taste: manager.extraArgs",
		"zap-stacktrace-level": "a matter of taste: manager.extraArgs",
		"zap-time-encoding":    "a matter of taste: manager.extraArgs",
	},
	"manifest-service": {
		"kubeconfig": "the pod's account is used",
		"from":       "for serving without a cluster",
		"version":    "it ends the program",
	},
}

var flagLine = regexp.MustCompile(`(?m)^  -([a-z0-9-]+)`)

func TestEachFlagIsAValueOrFixedOnPurpose(t *testing.T) {
	programs := programs(t)
	// Not all values go together.
	rendered := []map[string]*unstructured.Unstructured{
		render(t, "everything"),
		render(t, "everything", "--set", "registry.plainHTTP=true,registry.caConfigMap=,manager.replicas=1,manager.leaderElection=false,manager.journal=false"),
	}
	for name, object := range map[string]string{
		"manager": "miniprogram-manager", "manifest-service": "miniprogram-manifest-service",
	} {
		t.Run(name, func(t *testing.T) {
			help, _ := exec.CommandContext(t.Context(), programs[name], "-h").CombinedOutput() // it exits with 0 or 2
			var flags []string
			for _, match := range flagLine.FindAllStringSubmatch(string(help), -1) {
				if noValue[name][match[1]] == "" {
					flags = append(flags, match[1])
				}
			}
			set := map[string]bool{}
			for _, objects := range rendered {
				once := map[string]bool{}
				for _, arg := range deployment(t, objects["Deployment "+system+" "+object]).Spec.Template.Spec.Containers[0].Args {
					flag, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
					if once[flag] {
						t.Errorf("flag %s is set twice", flag)
					}
					once[flag], set[flag] = true, true
				}
			}
			for flag := range noValue[name] {
				delete(set, flag) // by extraArgs
			}
			slices.Sort(flags)
			if diff := cmp.Diff(flags, slices.Sorted(maps.Keys(set))); diff != "" {
				t.Errorf("flags (-of the program +of the chart with all values set):\n%s", diff)
			}
		})
	}
}

// deployment is an object as its type; a field that there is not fails.
func deployment(t testing.TB, object *unstructured.Unstructured) *appsv1.Deployment {
	t.Helper()
	var d appsv1.Deployment
	must(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &d, true))
	return &d
}

// programs builds both and says where they are.
func programs(t testing.TB) map[string]string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/manager", "./cmd/manifest-service")
	build.Dir = repository(t)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return map[string]string{"manager": filepath.Join(dir, "manager"), "manifest-service": filepath.Join(dir, "manifest-service")}
}
