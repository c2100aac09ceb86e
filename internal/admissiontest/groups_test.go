package admissiontest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// Two developer groups, made with config/components as the headers there say. The
// second has a quota.
const (
	north = "north-team"
	south = "south-team"
)

var groupsOnce = sync.OnceValue(func() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(onboard(ctx, north, "group"), onboard(ctx, south, "group", "quota"))
})

// onboard applies what a platform team writes for a new group.
func onboard(ctx context.Context, namespace string, components ...string) (err error) {
	root, err := controlplane.RepositoryDir()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "group-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	rel, err := filepath.Rel(dir, filepath.Join(root, "config", "components"))
	if err != nil {
		return err
	}
	for i, c := range components {
		components[i] = rel + "/" + c
	}
	name, _, _ := strings.Cut(namespace, "-")
	for file, text := range map[string]string{
		"kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [group.yaml]\n" +
			"components: [" + strings.Join(components, ", ") + "]\n",
		"group.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: group, namespace: " + namespace + ", annotations: {config.kubernetes.io/local-config: \"true\"}}\n" +
			"data: {appIDPrefixes: com.example." + name + ", developers: " + name + "-developers, operators: " + name + "-operators, viewers: " + name + "-viewers}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return controlplane.Apply(ctx, shared.plane.Admin(), dir)
}

// withGroups returns the world with both groups.
func withGroups(t *testing.T) *world {
	t.Helper()
	w := theWorld(t)
	if err := groupsOnce(); err != nil {
		t.Fatal(err)
	}
	return w
}

// member is a user who is in groups, such as "north-developers".
func (w *world) member(t *testing.T, name string, groups ...string) client.Client {
	t.Helper()
	return w.clientFor(t, w.plane.User(name, groups...))
}

func (w *world) clientFor(t *testing.T, cfg *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(cfg, client.Options{Scheme: w.scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// told are the resources that the tests of rights are about.
var told = map[string][]string{
	v1alpha1.GroupName: nil, // all of them
	"":                 {"configmaps", "secrets", "namespaces", "resourcequotas", "serviceaccounts"},
	rbacv1.GroupName:   nil,
}

// rightsIn asks the API server what a user may do in a namespace: lines of
// "resource[names]: verbs".
func rightsIn(t *testing.T, user client.Client, namespace string) []string {
	t.Helper()
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	if err := user.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	if review.Status.Incomplete {
		t.Fatalf("the API server cannot tell: %s", review.Status.EvaluationError)
	}
	verbs := map[string][]string{}
	for _, rule := range review.Status.ResourceRules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				which, known := told[group]
				if group != "*" && resource != "*" && (!known || which != nil && !slices.Contains(which, resource)) {
					continue
				}
				if len(rule.ResourceNames) > 0 {
					resource += fmt.Sprint(rule.ResourceNames)
				}
				verbs[resource] = append(verbs[resource], rule.Verbs...)
			}
		}
	}
	var lines []string
	for _, resource := range slices.Sorted(maps.Keys(verbs)) {
		slices.Sort(verbs[resource])
		lines = append(lines, resource+": "+strings.Join(slices.Compact(verbs[resource]), " "))
	}
	return lines
}

const (
	reads   = "get list watch"
	changes = "create delete deletecollection get list patch update watch"
)

// readsAll is what a viewer may do.
var readsAll = []string{
	"hostapps: " + reads, "miniprograms: " + reads, "miniprogramversions: " + reads, "reviewpolicies: " + reads, "reviews: " + reads, "rollouts: " + reads,
}

// developer is what the stock role edit gives, of what the tests are about.
var developer = []string{
	"configmaps: " + changes, "hostapps: " + reads, "miniprograms: " + changes, "miniprogramversions: " + changes, "namespaces: " + reads,
	"resourcequotas: " + reads, "reviewpolicies: " + reads, "reviews: delete get list patch update watch", "rollouts: " + reads,
	"secrets: " + changes, "serviceaccounts: create delete deletecollection get impersonate list patch update watch",
}

func TestWhatTheMembersOfAGroupMayDo(t *testing.T) {
	w := withGroups(t)
	places := []string{north, south, published, system, "default"}
	for who, test := range map[string]struct {
		groups []string
		want   map[string][]string // by namespace
	}{
		"a developer of one": {[]string{"north-developers"}, map[string][]string{north: developer}},
		"an operator of one": {[]string{"south-operators"}, map[string][]string{south: {
			"hostapps: explain " + reads,
			"miniprograms: get list patch resume suspend update watch",
			"miniprogramversions: get list patch update watch withdraw",
			"reviewpolicies: " + reads,
			"reviews: " + reads,
			"rollouts: abort create delete get list patch pause promote promote-full resume retry rollback update watch",
		}}},
		"a viewer of both":         {[]string{"north-viewers", "south-viewers"}, map[string][]string{north: readsAll, south: readsAll}},
		"somebody of neither":      {nil, nil},
		"somebody who names a lot": {[]string{"GROUP", "DEVELOPERS", "OPERATORS", "VIEWERS"}, nil},
	} {
		t.Run(who, func(t *testing.T) {
			user, diff := w.member(t, "erin", test.groups...), ""
			// Stock roles get their rules from others a moment after those are there.
			err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
				got := map[string][]string{}
				for _, namespace := range places {
					if lines := rightsIn(t, user, namespace); len(lines) > 0 {
						got[namespace] = lines
					}
				}
				diff = cmp.Diff(test.want, got, cmpopts.EquateEmpty())
				return diff == "", nil
			})
			if err != nil {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWhatTheAccountsOfTheInstallationMayDo(t *testing.T) {
	w := withGroups(t)
	everywhere := []string{
		"controllers: publish report",
		"hostapps/status: patch update", "hostapps: " + reads,
		"miniprograms/status: patch update", "miniprograms: " + reads,
		"miniprogramversions/finalizers: update", "miniprogramversions/status: patch update", "miniprogramversions: get list patch watch",
		"namespaces: " + reads,
		"reviewpolicies/status: patch update", "reviewpolicies: " + reads,
		"reviews/status: patch update", "reviews: create delete get list watch",
		"rollouts/status: patch update", "rollouts: get list patch watch",
	}
	and := func(more ...string) []string { return slices.Sorted(slices.Values(slices.Concat(everywhere, more))) }
	for who, test := range map[string]struct {
		namespace, name string
		want            map[string][]string
	}{
		"the manager": {system, "miniprogram-manager", map[string][]string{
			north:     and("configmaps: get", "secrets: get"),
			published: and("configmaps: create delete get list patch retire update watch"),
			system:    and("configmaps: create", "configmaps[miniprogram-trusted-keys]: get update", "secrets: create", "secrets[miniprogram-signing-key miniprogram-signing-key-2]: delete get"),
			"default": and(),
		}},
		"the manifest service":            {system, "miniprogram-manifest-service", map[string][]string{published: {"configmaps: " + reads}}},
		"a service account of the groups": {north, "default", nil},
	} {
		t.Run(who, func(t *testing.T) {
			cfg, err := w.plane.ServiceAccount(t.Context(), test.namespace, test.name)
			if err != nil {
				t.Fatal(err)
			}
			user, got := w.clientFor(t, cfg), map[string][]string{}
			for _, namespace := range []string{north, published, system, "default"} {
				lines := slices.DeleteFunc(rightsIn(t, user, namespace), func(l string) bool {
					return strings.Contains(l, "review-privacy") // given to it by these tests
				})
				if len(lines) > 0 {
					slices.Sort(lines)
					got[namespace] = lines
				}
			}
			for _, lines := range test.want {
				slices.Sort(lines)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// attempt is something that a member of a group tries.
type attempt struct {
	who  string // in the group's cluster group of that name
	do   func(ctx context.Context, c client.Client) error
	want string // how the answer begins; empty: it is done
}

func TestWhatAGroupCannotDo(t *testing.T) {
	w := withGroups(t)
	namespaced := func(namespace string, o client.Object, name string) client.Object {
		o.SetNamespace(namespace)
		o.SetName(name)
		return o
	}
	create := func(o client.Object) func(context.Context, client.Client) error {
		return func(ctx context.Context, c client.Client) error { return c.Create(ctx, o, client.DryRunAll) }
	}
	get := func(o client.Object, namespace, name string) func(context.Context, client.Client) error {
		return func(ctx context.Context, c client.Client) error {
			return client.IgnoreNotFound(c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o))
		}
	}
	program := func(namespace, appID string) func(context.Context, client.Client) error {
		p := &v1alpha1.MiniProgram{Spec: v1alpha1.MiniProgramSpec{AppID: appID, DisplayName: "x", HostApps: []string{"wallet"}}}
		return create(namespaced(namespace, p, "x"))
	}
	relabel := func(patch string) func(context.Context, client.Client) error {
		return func(ctx context.Context, c client.Client) error {
			ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: north}}
			return c.Patch(ctx, ns, client.RawPatch("application/merge-patch+json", []byte(patch)), client.DryRunAll)
		}
	}
	approving := &rbacv1.Role{Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"miniprograms/review-quality"}, Verbs: []string{"approve"},
	}}}
	for name, test := range map[string]attempt{
		"it claims an app ID of its prefix":             {who: "north-developers", do: program(north, "com.example.north.app")},
		"it claims no other":                            {"north-developers", program(north, "com.example.south.app"), `miniprograms.miniprogram.dev "x" is forbidden: ValidatingAdmissionPolicy 'miniprogram-mini-programs' with binding 'miniprogram-mini-programs' denied request: spec.appID: "com.example.south.app" is not for namespace north-team`},
		"it creates nothing in another's namespace":     {"north-developers", program(south, "com.example.south.app"), `miniprograms.miniprogram.dev is forbidden: User "erin" cannot create resource "miniprograms" in API group "miniprogram.dev" in the namespace "south-team"`},
		"it reads no program of another":                {"north-developers", get(&v1alpha1.MiniProgram{}, south, "x"), `miniprograms.miniprogram.dev "x" is forbidden`},
		"it reads no source of another":                 {"north-developers", get(&corev1.ConfigMap{}, south, "x"), `configmaps "x" is forbidden`},
		"it reads no secret of another":                 {"north-developers", get(&corev1.Secret{}, south, "x"), `secrets "x" is forbidden`},
		"it reads no signing key":                       {"north-developers", get(&corev1.Secret{}, system, "miniprogram-signing-key"), `secrets "miniprogram-signing-key" is forbidden`},
		"it reads nothing where documents are":          {"north-developers", get(&corev1.ConfigMap{}, published, "south-team.x.rollout"), `configmaps "south-team.x.rollout" is forbidden`},
		"it publishes nothing":                          {"north-developers", create(namespaced(published, &corev1.ConfigMap{}, "north-team.x.rollout")), `configmaps is forbidden`},
		"it creates no host app":                        {"north-developers", create(namespaced("", &v1alpha1.HostApp{Spec: v1alpha1.HostAppSpec{DisplayName: "x"}}, "x")), `hostapps.miniprogram.dev is forbidden`},
		"it creates no policy":                          {"north-operators", create(namespaced("", &v1alpha1.ReviewPolicy{}, "x")), `reviewpolicies.miniprogram.dev is forbidden`},
		"it does not change what it may claim":          {"north-developers", relabel(`{"metadata":{"annotations":{"miniprogram.dev/app-id-prefixes":null}}}`), `namespaces "north-team" is forbidden`},
		"it does not change which policies hold for it": {"north-operators", relabel(`{"metadata":{"labels":{"tier":"trusted"}}}`), `namespaces "north-team" is forbidden`},
		"its developers give nobody rights":             {"north-developers", create(namespaced(north, approving.DeepCopy(), "x")), `roles.rbac.authorization.k8s.io is forbidden`},
		"nor does an administrator of its namespace":    {"north-administrators", create(namespaced(north, approving.DeepCopy(), "x")), `roles.rbac.authorization.k8s.io "x" is forbidden: user "erin" (groups=["north-administrators" "system:authenticated"]) is attempting to grant RBAC permissions not currently held`},
	} {
		t.Run(name, func(t *testing.T) {
			if test.who == "north-administrators" {
				w.bindGroup(t, north, "admin", test.who)
			}
			err := test.do(t.Context(), w.member(t, "erin", test.who))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func (w *world) bindGroup(t *testing.T, namespace, role, group string) {
	t.Helper()
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: group},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group}},
	}
	if err := w.as(installer).Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
}

func TestAQuotaBoundsWhatAGroupCreates(t *testing.T) {
	t.Parallel() // it waits, and is the only one that does
	w := withGroups(t)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: south, Name: "miniprogram-quota"}}
	none := []byte(`{"spec":{"hard":{"count/miniprograms.miniprogram.dev":"0"}}}`)
	if err := w.as(installer).Patch(t.Context(), quota, client.RawPatch("application/merge-patch+json", none)); err != nil {
		t.Fatal(err)
	}
	p := &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: south, Name: "x"},
		Spec:       v1alpha1.MiniProgramSpec{AppID: "com.example.south.app", DisplayName: "x", HostApps: []string{"wallet"}},
	}
	user, last := w.member(t, "erin", "south-developers"), error(nil)
	const want = `miniprograms.miniprogram.dev "x" is forbidden: exceeded quota: miniprogram-quota, ` +
		`requested: count/miniprograms.miniprogram.dev=1, used: count/miniprograms.miniprogram.dev=0, limited: count/miniprograms.miniprogram.dev=0`
	// The cluster counts a kind from a while after its definition came.
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, 90*time.Second, true, func(ctx context.Context) (bool, error) {
		err := user.Create(ctx, p.DeepCopy())
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		last = err
		return last == nil || apierrors.IsForbidden(last) && last.Error() == want, nil
	})
	if err != nil || last == nil {
		t.Errorf("got %v, want %s", last, want)
	}
}
