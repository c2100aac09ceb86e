package admissiontest

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

var update = flag.Bool("update", false, "write docs/rights.md anew, from what the API server says")

// rightsHead begins docs/rights.md.
const rightsHead = `# Every right of every role

Written by ` + "`go test ./internal/admissiontest -run TestTheTableOfRights -update`" + `, which gives each role to somebody and asks the API server
what they may do then (SelfSubjectRulesReview), beyond what everybody may. The same test without ` + "`-update`" + ` fails when any role has a right
that is not here, or lacks one. No role has a wildcard, escalates, binds or impersonates, and none reads Secrets of all namespaces:
[tenancy.md](tenancy.md) tells who gets which role, [approvals.md](approvals.md) what each account can do with it.

Verbs such as ` + "`promote`" + ` or ` + "`approve`" + `, resources such as ` + "`controllers`" + ` and subresources such as ` + "`miniprograms/review-quality`" + ` do not exist in
Kubernetes: only the admission policies ask for them.
`

// rightsNamespace is where the roles are given to somebody.
const rightsNamespace = "rights-table"

// TestTheTableOfRights compares docs/rights.md with the rights that the API server grants
// to whoever has a role of config, and to the two accounts of the install.
func TestTheTableOfRights(t *testing.T) {
	w := theWorld(t)
	plane := controlplane.ForTest(t)
	if err := w.as(installer).Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: rightsNamespace}}); err != nil {
		t.Fatal(err)
	}
	nobody := plane.User("rights-nobody")
	everybody := w.rulesOf(t, nobody, rightsNamespace)
	out := strings.Builder{}
	out.WriteString(rightsHead)
	files := yamlBelow(t, "config")
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(file, "config/samples/") {
			continue // somebody's, as an example
		}
		roles, _ := rbacObjects(t, files[file])
		for _, role := range roles {
			got := w.grantedBy(t, plane, &role, everybody)
			fmt.Fprintf(&out, "\n## %s %s\n\n`%s`\n\n%s", role.Kind, role.Name, file, table(got))
			refuseDangerous(t, role.Kind+" "+role.Name, got)
		}
	}
	anyAccount, err := plane.ServiceAccount(t.Context(), rightsNamespace, "nobody")
	if err != nil {
		t.Fatal(err)
	}
	everyAccount := w.rulesOf(t, anyAccount, rightsNamespace)
	for _, account := range []string{"miniprogram-manager", "miniprogram-manifest-service"} {
		config, err := plane.ServiceAccount(t.Context(), system, account)
		if err != nil {
			t.Fatal(err)
		}
		anywhere := without(w.rulesOf(t, config, rightsNamespace), everyAccount)
		fmt.Fprintf(&out, "\n## ServiceAccount %s, as it is installed\n\nIn every namespace, and of what has none:\n\n%s", account, table(anywhere))
		for _, namespace := range []string{system, published} {
			got := without(w.rulesOf(t, config, namespace), slices.Concat(everyAccount, anywhere))
			fmt.Fprintf(&out, "\nIn %s besides:\n\n%s", namespace, table(got))
		}
		for _, rule := range anywhere {
			if strings.HasPrefix(rule, "`secrets`") || strings.HasPrefix(rule, "`configmaps`") {
				t.Errorf("%s has %s in every namespace", account, rule)
			}
		}
	}
	compareRights(t, out.String())
}

func compareRights(t *testing.T, got string) {
	t.Helper()
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "docs", "rights.md")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("rights differ from docs/rights.md: where they are meant, write it anew with -update (-want +got):\n%s", diff)
	}
}

// grantedBy gives the role to somebody and returns what they may do with it.
func (w *world) grantedBy(t *testing.T, plane *controlplane.ControlPlane, role *rbacv1.ClusterRole, everybody []string) []string {
	t.Helper()
	name := "rights-" + strings.ToLower(role.Kind) + "-" + role.Name
	copied := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: rightsNamespace, Name: name}, Rules: role.Rules}
	if role.Namespace != "" {
		copied.Name += "-" + strings.ToLower(role.Namespace)
	}
	// A Role grants what a ClusterRole does where that is bound in a namespace, word by word.
	if err := w.as(installer).Create(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if err := w.as(installer).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: rightsNamespace, Name: copied.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: copied.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: copied.Name}},
	}); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, rule := range role.Rules {
		want = append(want, lines(rule.APIGroups, rule.Resources, rule.ResourceNames, rule.Verbs)...)
	}
	slices.Sort(want)
	want = slices.Compact(want)
	var got []string
	config := plane.User(copied.Name)
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		got = without(w.rulesOf(t, config, rightsNamespace), everybody)
		return slices.Equal(got, want), nil // the binding is a moment old
	})
	if err != nil {
		t.Errorf("%s %s: %v (-want +got):\n%s", role.Kind, role.Name, err, cmp.Diff(want, got))
	}
	return got
}

// rulesOf asks the API server for all that somebody may do in a namespace.
func (w *world) rulesOf(t *testing.T, config *rest.Config, namespace string) []string {
	t.Helper()
	c, err := client.New(config, client.Options{Scheme: w.scheme, Mapper: w.as(installer).RESTMapper()})
	if err != nil {
		t.Fatal(err)
	}
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	if err := c.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	if review.Status.Incomplete {
		t.Fatalf("the API server does not tell all rules: %s", review.Status.EvaluationError)
	}
	var out []string
	for _, rule := range review.Status.ResourceRules {
		out = append(out, lines(rule.APIGroups, rule.Resources, rule.ResourceNames, rule.Verbs)...)
	}
	for _, rule := range review.Status.NonResourceRules {
		out = append(out, fmt.Sprintf("URLs `%s` | %s", strings.Join(rule.NonResourceURLs, " "), strings.Join(rule.Verbs, ", ")))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lines are the rights of a rule, one for each resource: "`resource` of group, names | verb".
func lines(groups, resources, names, verbs []string) []string {
	var out []string
	for _, group := range groups {
		for _, resource := range resources {
			of := "`" + resource + "`"
			if group != "" {
				of += " of " + group
			}
			if len(names) > 0 {
				of += ", named " + strings.Join(slices.Sorted(slices.Values(names)), ", ")
			}
			for _, verb := range verbs {
				out = append(out, of+" | "+verb)
			}
		}
	}
	return out
}

func without(rules, less []string) []string {
	return slices.DeleteFunc(slices.Clone(rules), func(r string) bool { return slices.Contains(less, r) })
}

// table has a row for each resource, with all its verbs.
func table(rules []string) string {
	if len(rules) == 0 {
		return "Nothing.\n"
	}
	var order []string
	verbs := map[string][]string{}
	for _, rule := range rules {
		of, verb, _ := strings.Cut(rule, " | ")
		if verbs[of] == nil {
			order = append(order, of)
		}
		verbs[of] = append(verbs[of], verb)
	}
	out := "| of | may |\n|---|---|\n"
	for _, of := range order {
		out += "| " + of + " | " + strings.Join(verbs[of], ", ") + " |\n"
	}
	return out
}

// dangerous are verbs that no role may have, whatever they are of.
var dangerous = []string{"*", "escalate", "bind", "impersonate", "no-role-may-grant-this"}

func refuseDangerous(t *testing.T, who string, rules []string) {
	t.Helper()
	for _, rule := range rules {
		of, verb, _ := strings.Cut(rule, " | ")
		if slices.Contains(dangerous, verb) || strings.Contains(of, "*") {
			t.Errorf("%s has %s", who, rule)
		}
	}
}

func TestRightsAreTold(t *testing.T) {
	got := lines([]string{"", "apps"}, []string{"a", "b/status"}, []string{"y", "x"}, []string{"get", "list"})
	slices.Sort(got)
	want := []string{
		"`a` of apps, named x, y | get", "`a` of apps, named x, y | list", "`a`, named x, y | get", "`a`, named x, y | list",
		"`b/status` of apps, named x, y | get", "`b/status` of apps, named x, y | list", "`b/status`, named x, y | get", "`b/status`, named x, y | list",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("| of | may |\n|---|---|\n| `a` of apps, named x, y | get, list |\n", table(got[:2])); diff != "" {
		t.Error(diff)
	}
}
