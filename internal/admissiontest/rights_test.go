package admissiontest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	managerAccount = "system:serviceaccount:miniprogram-system:miniprogram-manager"
	argoAccount    = "system:serviceaccount:argocd:argocd-application-controller"
	serviceAccount = "system:serviceaccount:miniprogram-system:miniprogram-manifest-service"
)

// right is a question to RBAC.
type right struct {
	who, verb, group, resource, subresource, namespace, name string
}

// may asks RBAC.
func (w *world) may(ctx context.Context, r right) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: r.who,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: r.verb, Group: r.group, Resource: r.resource, Subresource: r.subresource, Namespace: r.namespace, Name: r.name,
		},
	}}
	err := w.as(installer).Create(ctx, review)
	return review.Status.Allowed, err
}

func TestEachAccountHasItsRightsAndNoMore(t *testing.T) {
	const group = "miniprogram.dev"
	w := theWorld(t)
	tests := map[string]struct {
		ask  right
		want bool
	}{
		"the service reads what is published":       {right{who: serviceAccount, verb: "watch", resource: "configmaps", namespace: published}, true},
		"the service reads nowhere else":            {right{who: serviceAccount, verb: "get", resource: "configmaps", namespace: system}, false},
		"the service reads no keys":                 {right{who: serviceAccount, verb: "get", resource: "secrets", namespace: system, name: "miniprogram-signing-key"}, false},
		"the service writes nothing":                {right{who: serviceAccount, verb: "update", resource: "configmaps", namespace: published}, false},
		"the service sees no rollouts":              {right{who: serviceAccount, verb: "get", group: group, resource: "rollouts", namespace: team}, false},
		"the manager reads its key":                 {right{who: managerAccount, verb: "get", resource: "secrets", namespace: system, name: "miniprogram-signing-key"}, true},
		"the manager reads no other secret":         {right{who: managerAccount, verb: "get", resource: "secrets", namespace: system, name: "other"}, false},
		"the manager lists no secrets":              {right{who: managerAccount, verb: "list", resource: "secrets", namespace: system}, false},
		"the service reads no access tokens":        {right{who: serviceAccount, verb: "get", resource: "secrets", namespace: system, name: "wallet-tokens"}, false},
		"the manager changes no key":                {right{who: managerAccount, verb: "update", resource: "secrets", namespace: system, name: "miniprogram-signing-key"}, false},
		"the manager deletes a retired key":         {right{who: managerAccount, verb: "delete", resource: "secrets", namespace: system, name: "miniprogram-signing-key-2"}, true},
		"the manager deletes no other secret":       {right{who: managerAccount, verb: "delete", resource: "secrets", namespace: system, name: "wallet-tokens"}, false},
		"the manager reads no group's secrets":      {right{who: managerAccount, verb: "get", resource: "secrets", namespace: team, name: "token"}, false},
		"the manager reads no group's ConfigMaps":   {right{who: managerAccount, verb: "get", resource: "configmaps", namespace: team, name: "bundle"}, false},
		"the manager elects a leader":               {right{who: managerAccount, verb: "update", group: "coordination.k8s.io", resource: "leases", namespace: system, name: "miniprogram-manager"}, true},
		"the manager writes the trusted keys":       {right{who: managerAccount, verb: "update", resource: "configmaps", namespace: system, name: "miniprogram-trusted-keys"}, true},
		"the manager changes nothing beside them":   {right{who: managerAccount, verb: "update", resource: "configmaps", namespace: system, name: "miniprogram-settings"}, false},
		"the manager finds the service's replicas":  {right{who: managerAccount, verb: "list", group: "discovery.k8s.io", resource: "endpointslices", namespace: system}, true},
		"the manager changes no endpoint":           {right{who: managerAccount, verb: "update", group: "discovery.k8s.io", resource: "endpointslices", namespace: system}, false},
		"the manager finds nobody else's":           {right{who: managerAccount, verb: "list", group: "discovery.k8s.io", resource: "endpointslices", namespace: team}, false},
		"the manager decides nothing":               {right{who: managerAccount, verb: "approve", group: group, resource: "miniprograms", subresource: "review-quality", namespace: team, name: "shop"}, false},
		"the manager changes no Review":             {right{who: managerAccount, verb: "patch", group: group, resource: "reviews", namespace: team}, false},
		"the manager sees the guards":               {right{who: managerAccount, verb: "watch", group: "admissionregistration.k8s.io", resource: "validatingadmissionpolicybindings"}, true},
		"the manager changes no guard":              {right{who: managerAccount, verb: "update", group: "admissionregistration.k8s.io", resource: "validatingadmissionpolicies"}, false},
		"the manager takes no action":               {right{who: managerAccount, verb: "promote", group: group, resource: "rollouts", namespace: team}, false},
		"a developer rolls nothing out":             {right{who: dora, verb: "patch", group: group, resource: "rollouts", namespace: team}, false},
		"a developer creates no Review":             {right{who: dora, verb: "create", group: group, resource: "reviews", namespace: team}, false},
		"an operator creates no program":            {right{who: olga, verb: "create", group: group, resource: "miniprograms", namespace: team}, false},
		"an operator writes no policy":              {right{who: olga, verb: "update", group: group, resource: "reviewpolicies"}, false},
		"an operator does not submit for others":    {right{who: olga, verb: "submit-as", group: group, resource: "miniprogramversions", namespace: team}, false},
		"an admin writes policies":                  {right{who: adam, verb: "update", group: group, resource: "reviewpolicies"}, true},
		"an admin overrules":                        {right{who: adam, verb: "overrule", group: group, resource: "miniprograms", namespace: team, name: "shop"}, true},
		"an admin decides nothing":                  {right{who: adam, verb: "approve", group: group, resource: "miniprograms", subresource: "review-privacy", namespace: team, name: "shop"}, false},
		"an admin is no controller":                 {right{who: adam, verb: "report", group: group, resource: "controllers"}, false},
		"the service asks nobody who he is":         {right{who: serviceAccount, verb: "create", group: "authentication.k8s.io", resource: "tokenreviews"}, false},
		"an operator of a group explains nothing":   {right{who: olga, verb: "explain", group: group, resource: "hostapps", name: "wallet"}, false},
		"an admin explains":                         {right{who: adam, verb: "explain", group: group, resource: "hostapps", name: "wallet"}, true},
		"a developer explains nothing":              {right{who: dora, verb: "explain", group: group, resource: "hostapps", name: "wallet"}, false},
		"an admin retires nothing":                  {right{who: adam, verb: "retire", resource: "configmaps", namespace: published}, false},
		"only a wildcard holds what no role grants": {right{who: adam, verb: "no-role-may-grant-this", group: group, resource: "miniprograms", namespace: team}, false},
		"a wildcard holds what no role grants":      {right{who: carl, verb: "no-role-may-grant-this", group: group, resource: "miniprograms", namespace: team}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := w.may(t.Context(), tt.ask)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("%s may %s %s/%s %s: got %t, want %t", tt.ask.who, tt.ask.verb, tt.ask.resource, tt.ask.subresource, tt.ask.name, got, tt.want)
			}
		})
	}
}

// ordinary are the verbs that Kubernetes itself asks for.
var ordinary = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}

// ours lists "resource verb" of each rule about the project's group.
func ours(role *rbacv1.ClusterRole) []string {
	var found []string
	for _, rule := range role.Rules {
		if !slices.ContainsFunc(rule.APIGroups, func(g string) bool { return g == "miniprogram.dev" || g == rbacv1.APIGroupAll }) {
			continue
		}
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				found = append(found, resource+" "+verb)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestAggregatedRolesGetReadingAndWritingAndNothingElse(t *testing.T) {
	w := theWorld(t)
	all := []string{"hostapps", "miniprograms", "miniprogramversions", "reviewpolicies", "reviews", "rollouts"}
	grid := func(resources []string, verbs ...string) []string {
		var want []string
		for _, resource := range resources {
			for _, verb := range verbs {
				want = append(want, resource+" "+verb)
			}
		}
		return want
	}
	reads := grid(all, "get", "list", "watch")
	writes := slices.Concat(reads, grid([]string{"miniprograms", "miniprogramversions"}, ordinary...), grid([]string{"reviews"}, "update", "patch", "delete"))
	for name, want := range map[string][]string{"view": reads, "edit": writes, "admin": writes} {
		t.Run(name, func(t *testing.T) {
			slices.Sort(want)
			want = slices.Compact(slices.Clone(want))
			var got []string
			err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
				role := &rbacv1.ClusterRole{}
				err := w.as(installer).Get(ctx, client.ObjectKey{Name: name}, role)
				got = ours(role)
				return slices.Equal(got, want), err
			})
			if err != nil {
				t.Errorf("ClusterRole %s: %v (-want +got):\n%s", name, err, cmp.Diff(want, got))
			}
		})
	}
}

func TestNoStockRoleGrantsTheRightToApproveOrAWildcard(t *testing.T) {
	w := theWorld(t)
	roles := &rbacv1.ClusterRoleList{}
	if err := w.as(installer).List(t.Context(), roles); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, role := range roles.Items {
		if !strings.HasPrefix(role.Name, "miniprogram-") {
			continue
		}
		for _, rule := range role.Rules {
			for _, word := range slices.Concat(rule.Verbs, rule.Resources, rule.APIGroups) {
				if word == "*" || word == "approve" || word == "report" || word == "publish" || word == "retire" || strings.Contains(word, "review-") {
					got = append(got, fmt.Sprintf("%s: %s", role.Name, word))
				}
			}
		}
	}
	want := []string{"miniprogram-controller: report", "miniprogram-controller: publish"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("powerful words in stock roles (-want +got):\n%s", diff)
	}
}

// The verbs that admission asks for, each with its resource.
func TestTheStockRolesHaveTheVerbsThatAdmissionAsksFor(t *testing.T) {
	w := theWorld(t)
	want := map[string][]string{
		"miniprogram-developer": nil,
		"miniprogram-explainer": {"hostapps explain"},
		"miniprogram-viewer":    nil,
		"miniprogram-operator": {
			"hostapps explain", "miniprograms resume", "miniprograms suspend", "miniprogramversions withdraw", "rollouts abort", "rollouts pause",
			"rollouts promote", "rollouts promote-full", "rollouts resume", "rollouts retry", "rollouts rollback",
		},
		"miniprogram-admin": {
			"hostapps explain", "miniprograms classify", "miniprograms overrule", "miniprograms purge", "miniprograms resume", "miniprograms suspend",
			"miniprograms transfer", "miniprogramversions submit-as", "miniprogramversions withdraw", "reviews purge",
		},
		"miniprogram-collector":  {"reviews purge"},
		"miniprogram-controller": {"controllers publish", "controllers report"},
		"miniprogram-manager":    nil,
	}
	got := map[string][]string{}
	for name := range want {
		role := &rbacv1.ClusterRole{}
		if err := w.as(installer).Get(t.Context(), client.ObjectKey{Name: name}, role); err != nil {
			t.Fatal(err)
		}
		got[name] = slices.DeleteFunc(ours(role), func(right string) bool {
			_, verb, _ := strings.Cut(right, " ")
			return slices.Contains(ordinary, verb)
		})
	}
	for name := range want {
		if len(want[name]) == 0 && len(got[name]) == 0 {
			got[name] = want[name]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verbs of stock roles that only admission asks for (-want +got):\n%s", diff)
	}
}
