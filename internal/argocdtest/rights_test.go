package argocdtest

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/config/argocd"
)

// Everything that the account gets beyond what Argo CD's installation gives it. Whatever
// is added here, everybody may do who may click, or patch, in Argo CD.
func TestTheServerGetsTheVerbsOfActionsAndNothingElse(t *testing.T) {
	role, _, _ := bytes.Cut(argocd.ServerRole, []byte("\n---\n"))
	var got rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(role, &got); err != nil {
		t.Fatal(err)
	}
	group := []string{"miniprogram.dev"}
	want := []rbacv1.PolicyRule{
		{APIGroups: group, Resources: []string{"rollouts"}, Verbs: []string{"promote", "promote-full", "abort", "retry", "pause", "resume", "rollback"}},
		{APIGroups: group, Resources: []string{"miniprograms"}, Verbs: []string{"suspend", "resume"}},
		{APIGroups: group, Resources: []string{"miniprogramversions"}, Verbs: []string{"withdraw"}},
	}
	if diff := cmp.Diff(want, got.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

type groupKindName struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
}

func TestAGroupsRepositoryBringsItsOwnKindsAndNoDecisions(t *testing.T) {
	var got struct {
		Spec struct {
			Destinations []map[string]string `json:"destinations"`
			Cluster      []groupKindName     `json:"clusterResourceWhitelist"`
			Allowed      []groupKindName     `json:"namespaceResourceWhitelist"`
			Denied       []groupKindName     `json:"namespaceResourceBlacklist"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(argocd.Project, &got); err != nil {
		t.Fatal(err)
	}
	want := got
	want.Spec.Destinations = []map[string]string{{"server": "https://kubernetes.default.svc", "namespace": "GROUP"}}
	want.Spec.Cluster = []groupKindName{}
	want.Spec.Allowed = []groupKindName{
		{"", "ConfigMap"}, {"miniprogram.dev", "MiniProgram"}, {"miniprogram.dev", "MiniProgramVersion"}, {"miniprogram.dev", "Rollout"},
	}
	want.Spec.Denied = []groupKindName{{"miniprogram.dev", "Review"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("project (-want +got):\n%s", diff)
	}
}
