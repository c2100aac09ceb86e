//go:build argocd

package argocdtest

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

const (
	byKustomize = "by-kustomize"
	byChart     = "miniprogram-operator"
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
