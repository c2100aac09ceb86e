package charttest

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const checksum = "checksum/settings"

// kept is what leaves the kinds and the publication namespace in the cluster: Helm's word, and
// Argo CD's for pruning, at which it does not look at Helm's.
var kept = map[string]string{
	"helm.sh/resource-policy": "keep", "argocd.argoproj.io/sync-options": "Prune=false", "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
}

func TestTheChartInstallsWhatKustomizeInstalls(t *testing.T) {
	for name, test := range map[string]struct {
		flags      []string
		components []string
	}{
		"by default":               {},
		"people may ask why":       {[]string{"--set", "manifestService.explain=true"}, []string{"explain"}},
		"an autoscaler":            {[]string{"--set", "manifestService.autoscaler.enabled=true"}, []string{"autoscaler"}},
		"budgets for disruptions":  {[]string{"--set", "podDisruptionBudgets.enabled=true"}, []string{"disruption-budgets"}},
		"policies for the network": {[]string{"--set", "networkPolicies.enabled=true"}, []string{"network-policies"}},
		"monitors":                 {[]string{"--set", "monitoring.enabled=true"}, []string{"monitoring"}},
		"credentials": {
			[]string{"--set", "registry.pushSecret=miniprogram-registry-push,registry.pullSecret=miniprogram-registry-pull"},
			[]string{"registry-credentials"},
		},
		"all of these": {
			[]string{"--set", "manifestService.explain=true,manifestService.autoscaler.enabled=true,podDisruptionBudgets.enabled=true," +
				"networkPolicies.enabled=true,monitoring.enabled=true,registry.pushSecret=miniprogram-registry-push,registry.pullSecret=miniprogram-registry-pull"},
			[]string{"explain", "autoscaler", "disruption-budgets", "network-policies", "registry-credentials", "monitoring"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, want := render(t, "least", test.flags...), kustomize(t, test.components...)
			takeWhatHelmAdds(t, got)
			// Helm keeps its record of the release in this namespace, so it is there before the chart.
			delete(want, "Namespace  "+system)
			if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("objects (-kustomize +helm):\n%s", diff)
			}
			for key, object := range want {
				if got[key] == nil {
					continue
				}
				if diff := cmp.Diff(object.Object, got[key].Object); diff != "" {
					t.Errorf("%s (-kustomize +helm):\n%s", key, diff)
				}
			}
		})
	}
}

// takeWhatHelmAdds checks and takes away the only things that kustomize does not have.
func takeWhatHelmAdds(t *testing.T, rendered map[string]*unstructured.Unstructured) {
	t.Helper()
	for key, object := range rendered {
		switch object.GetKind() {
		case "CustomResourceDefinition", "Namespace":
			annotations := object.GetAnnotations()
			for name, want := range kept {
				if annotations[name] != want {
					t.Errorf("%s goes with the release, and everything in it: annotation %s is %q, want %s", key, name, annotations[name], want)
				}
				delete(annotations, name)
			}
			object.SetAnnotations(annotations)
			if len(annotations) == 0 {
				unstructured.RemoveNestedField(object.Object, "metadata", "annotations")
			}
		case "Deployment":
			annotations, _, err := unstructured.NestedStringMap(object.Object, "spec", "template", "metadata", "annotations")
			must(t, err)
			if len(annotations[checksum]) != 64 || len(annotations) != 1 {
				t.Errorf("%s: annotations of the pods are %v, want %s alone, so that pods go with their settings", key, annotations, checksum)
			}
			unstructured.RemoveNestedField(object.Object, "spec", "template", "metadata", "annotations")
		}
	}
}

func TestStampsAreForClustersThatServeThem(t *testing.T) {
	// What a cluster says that serves them, and one that does not.
	with, without := "--api-versions=v1/Pod,admissionregistration.k8s.io/v1/MutatingAdmissionPolicy", "--api-versions=v1/Pod"
	for name, test := range map[string]struct {
		flags []string
		want  bool
	}{
		"a cluster that serves them":        {[]string{with}, true},
		"a cluster that does not":           {[]string{without}, false},
		"no cluster, for one of today":      {[]string{"--kube-version=1.36.2"}, true},
		"no cluster, for an older one":      {[]string{"--kube-version=1.35.9"}, false},
		"always":                            {[]string{without, "--set", "admission.stamps=Always"}, true},
		"never":                             {[]string{with, "--set", "admission.stamps=Never"}, false},
		"policies that others have brought": {[]string{with, "--set", "admission.install=false"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := render(t, "least", test.flags...)["MutatingAdmissionPolicy  miniprogram-stamp-author"]
			if got != test.want {
				t.Errorf("stamps are there: %v, want %v", got, test.want)
			}
		})
	}
}
