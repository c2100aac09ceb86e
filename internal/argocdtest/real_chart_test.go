//go:build argocd

package argocdtest

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

const (
	byKustomize = "by-kustomize"
	byChart     = "miniprogram-operator"

	publishedNamespace = "miniprogram-published"
)

// installFromGit is an Application that installs the operator by kustomize, and its project.
const installFromGit = `apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: by-kustomize, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{server: "*", namespace: "*"}]
  destinationServiceAccounts: [{server: "*", namespace: "*", defaultServiceAccount: "argocd:argocd-application-controller"}]
  clusterResourceWhitelist: [{group: "*", kind: "*"}]
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: by-kustomize, namespace: argocd}
spec:
  project: by-kustomize
  source: {repoURL: %s, targetRevision: HEAD, path: config/install}
  destination: {server: https://kubernetes.default.svc, namespace: miniprogram-system}
  syncPolicy:
    automated: {prune: true, selfHeal: true}
`

func (i *installation) installsTheOperator(t *testing.T) {
	i.git.write(t, "operator/application.yaml", fmt.Sprintf(installFromGit, i.git.url()))
	i.git.write(t, "operator/kustomization.yaml", "resources: [application.yaml]\n")
	must(t, controlplane.Apply(t.Context(), i.cp.Admin(), i.git.path("operator")))
	i.syncs(t, byKustomize)
	i.awaitHealthy(t, byKustomize)
}

// installsTheChart lets the chart take over what kustomize has installed. Nothing runs pods
// here, so nothing says of the Deployments how they are; all else is Healthy.
func (i *installation) installsTheChart(t *testing.T) {
	before := argoObject("Application", byKustomize)
	must(t, i.admin.Delete(t.Context(), before)) // which has no finalizer, and leaves its objects
	i.gone(t, before)
	must(t, controlplane.Apply(t.Context(), i.cp.Admin(), i.git.path("config/argocd/operator")))
	i.syncs(t, byChart)
	i.awaitApp(t, byChart, "Progressing", func(a application) bool { return a.Status.Health.Status == "Progressing" })
	want := []string{"Deployment miniprogram-manager Progressing", "Deployment miniprogram-manifest-service Progressing"}
	eventually(t, "all but the Deployments to be Healthy", func() string {
		got, err := i.unhealthy(t, byChart)
		if err != nil {
			return err.Error()
		}
		if !slices.Equal(got, want) {
			return fmt.Sprint(got)
		}
		return ""
	})
	i.stays(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}})
}

// keepsTheKinds lets the chart bring neither the kinds nor the namespace of published
// documents any more, in a sync that prunes. With the kinds, every mini program would go.
func (i *installation) keepsTheKinds(t *testing.T) {
	published := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: publishedNamespace}}
	kinds := &metav1.PartialObjectMetadataList{}
	kinds.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinitionList"})
	list := func() []string {
		must(t, i.admin.List(t.Context(), kinds))
		names := make([]string, len(kinds.Items))
		for at := range kinds.Items {
			i.stays(t, &kinds.Items[at])
			names[at] = kinds.Items[at].Name
		}
		return names
	}
	before := list()

	// The other number of managers makes a sync of it: what is only missing is no difference.
	i.setsValues(t, `{"crds": {"install": false}, "publicationNamespace": {"create": false}, "manager": {"replicas": 3}}`)
	a := i.awaitApp(t, byChart, "synced without them", func(a application) bool {
		return slices.Equal(a.left(), []string{"Namespace " + published.Name}) && a.Status.Sync.Status == "Synced" && a.Status.OperationState.Phase == "Succeeded"
	})
	for _, result := range a.Status.OperationState.SyncResult.Resources {
		if result.Status == "Pruned" {
			t.Errorf("%s %s was pruned", result.Kind, result.Name)
		}
	}
	i.staysSynced(t, byChart)
	i.stays(t, published)
	if after := list(); !slices.Equal(after, before) {
		t.Errorf("kinds %v, before %v", after, before)
	}

	i.setsValues(t, `{"crds": null, "publicationNamespace": null, "manager": null}`)
	i.awaitApp(t, byChart, "synced with them", func(a application) bool {
		return len(a.left()) == 0 && a.Status.Sync.Status == "Synced" && a.Status.OperationState.Phase == "Succeeded"
	})
	i.staysSynced(t, byChart)
}

// setsValues merges values of the chart into its Application.
func (i *installation) setsValues(t testing.TB, values string) {
	t.Helper()
	patch := fmt.Sprintf(`{"spec": {"source": {"helm": {"valuesObject": %s}}}}`, values)
	must(t, i.admin.Patch(t.Context(), argoObject("Application", byChart), client.RawPatch("application/merge-patch+json", []byte(patch))))
	i.refresh(t, byChart)
}

// left lists, in order, what an Application has in the cluster and no longer in its source.
func (a application) left() []string {
	var found []string
	for _, r := range a.Status.Resources {
		if r.RequiresPruning {
			found = append(found, r.Kind+" "+r.Name)
		}
	}
	slices.Sort(found)
	return found
}

// unhealthy lists what of an Application Argo CD has another opinion of than Healthy.
func (i *installation) unhealthy(t testing.TB, app string) ([]string, error) {
	t.Helper()
	var tree struct {
		Nodes []struct {
			Kind   string `json:"kind"`
			Name   string `json:"name"`
			Health Health `json:"health"`
		} `json:"nodes"`
	}
	if err := i.vera.call(t.Context(), http.MethodGet, "/api/v1/applications/"+app+"/resource-tree", nil, &tree); err != nil {
		return nil, err
	}
	found := []string{}
	for _, node := range tree.Nodes {
		if node.Health.Status != "" && node.Health.Status != "Healthy" {
			found = append(found, fmt.Sprintf("%s %s %s", node.Kind, node.Name, node.Health.Status))
		}
	}
	slices.Sort(found)
	return found, nil
}
