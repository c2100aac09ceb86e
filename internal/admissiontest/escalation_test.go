package admissiontest

import (
	"context"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Who has the stock role admin in a namespace writes Roles and RoleBindings there.
// RBAC lets nobody grant what he does not hold, and the virtual verbs are no exception.
func TestANamespaceAdminGrantsNobodyAVirtualVerb(t *testing.T) {
	w := withGroups(t)
	user := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "nora"}
	roleRef := func(kind, name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
	}
	bound := func(name string, to rbacv1.RoleRef) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: north, Name: name}, RoleRef: to, Subjects: []rbacv1.Subject{user}}
	}
	role := func(name string, verb, resource string) *rbacv1.Role {
		return &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: north, Name: name},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{resource}, Verbs: []string{verb}}},
		}
	}
	// The platform's Role of a reviewer, and its binding to somebody else.
	given := bound("given", roleRef("Role", "given"))
	given.Subjects[0].Name = "paula"
	for _, o := range []client.Object{bound("admin", roleRef("ClusterRole", "admin")), role("given", "approve", "miniprograms/review-privacy"), given} {
		if err := w.as(installer).Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	nora := w.member(t, "nora")
	harmless := bound("harmless", roleRef("ClusterRole", "view"))
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		err := nora.Create(ctx, harmless.DeepCopy(), client.DryRunAll)
		return err == nil, ignoreForbidden(err)
	}); err != nil {
		t.Fatalf("what it may bind: %v", err)
	}

	given.Subjects = append(given.Subjects, user)
	tries := map[string]func() error{
		"binds itself the reviewer's Role": func() error {
			return nora.Create(t.Context(), bound("own", roleRef("Role", "given")), client.DryRunAll)
		},
		"adds itself to the reviewers": func() error { return nora.Update(t.Context(), given, client.DryRunAll) },
		"binds itself the platform's role": func() error {
			return nora.Create(t.Context(), bound("own", roleRef("ClusterRole", "miniprogram-admin")), client.DryRunAll)
		},
		"makes itself an operator": func() error {
			return nora.Create(t.Context(), bound("own", roleRef("ClusterRole", "miniprogram-operator")), client.DryRunAll)
		},
		"makes itself the controller": func() error {
			return nora.Create(t.Context(), bound("own", roleRef("ClusterRole", "miniprogram-controller")), client.DryRunAll)
		},
	}
	for resource, verbs := range map[string][]string{
		"miniprograms/review-privacy": {"approve", "*"},
		"miniprograms":                {"suspend", "resume", "transfer", "classify", "overrule", "purge", "no-role-may-grant-this", "*"},
		"miniprogramversions":         {"withdraw", "submit-as"},
		"rollouts":                    {"create", "update", "patch", "promote", "promote-full", "abort", "retry", "pause", "resume", "rollback"},
		"reviews":                     {"create", "purge"},
		"reviews/status":              {"update"},
		"controllers":                 {"report", "publish"},
	} {
		for _, verb := range verbs {
			tries["writes a Role with "+verb+" on "+resource] = func() error {
				return nora.Create(t.Context(), role("own", verb, resource), client.DryRunAll)
			}
		}
	}
	for name, try := range tries {
		t.Run(name, func(t *testing.T) {
			if err := try(); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "is attempting to grant RBAC permissions not currently held") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// ignoreForbidden is for rights, which take effect a moment after they were written.
func ignoreForbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return nil
	}
	return err
}
