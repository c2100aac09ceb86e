package controlplane_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

func TestASecondStartOnTheSameFolderGoesOn(t *testing.T) {
	dir := t.TempDir()
	options := controlplane.Options{Dir: dir}

	began := time.Now()
	first, err := controlplane.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("first start: %v", time.Since(began).Round(time.Millisecond))
	admin := first.Admin()
	create(t, admin, "default", configMap("kept", map[string]string{"a": "1"}))

	if _, err := controlplane.Start(t.Context(), options); err == nil || !strings.Contains(err.Error(), "a control plane already runs in "+dir) {
		t.Errorf("starting a second control plane beside the first: %v", err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		t.Errorf("stopping a stopped control plane: %v", err)
	}

	began = time.Now()
	second, err := controlplane.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("second start: %v", time.Since(began).Round(time.Millisecond))
	defer func() {
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	}()

	// The configuration of the first start is good for the second: same port,
	// same authority.
	got, err := clientset(t, admin).CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "1"}, got.Data); diff != "" {
		t.Errorf("the ConfigMap of the first start (-want +got):\n%s", diff)
	}
}

func TestAStartThatEndsEarlySaysWhatWasMissing(t *testing.T) {
	_, err := controlplane.Start(t.Context(), controlplane.Options{Dir: t.TempDir(), Assets: "/nowhere"})
	want := "starting the control plane: etcd is not in /nowhere (or set KUBEBUILDER_ASSETS): run `make controlplane`"
	if err == nil || err.Error() != want {
		t.Errorf("starting without binaries:\n got %v\nwant %s", err, want)
	}
}

func TestAUserHasTheRightsThatRBACGives(t *testing.T) {
	c := controlplane.ForTest(t)
	namespace := c.Namespace(t)
	grant(t, c, namespace, rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "readers"}, "view")

	for name, test := range map[string]struct {
		as        *rest.Config
		canRead   bool
		canCreate bool
	}{
		"nobody":            {as: c.User("dora")},
		"member of readers": {as: c.User("dora", "readers"), canRead: true},
		"system:masters":    {as: c.Admin(), canRead: true, canCreate: true},
	} {
		t.Run(name, func(t *testing.T) {
			configMaps := clientset(t, test.as).CoreV1().ConfigMaps(namespace)
			_, err := configMaps.List(t.Context(), metav1.ListOptions{})
			checkAllowed(t, "listing", err, test.canRead)
			_, err = configMaps.Create(t.Context(), configMap("x", nil), metav1.CreateOptions{})
			checkAllowed(t, "creating", err, test.canCreate)
		})
	}
}

func TestAServiceAccountActsByItsToken(t *testing.T) {
	c := controlplane.ForTest(t)
	namespace := c.Namespace(t)
	grant(t, c, namespace, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "robot"}, "view")

	for range 2 { // the second time it is there already
		cfg, err := c.ServiceAccount(t.Context(), namespace, "robot")
		if err != nil {
			t.Fatal(err)
		}
		configMaps := clientset(t, cfg).CoreV1().ConfigMaps(namespace)
		_, err = configMaps.List(t.Context(), metav1.ListOptions{})
		checkAllowed(t, "listing", err, true)
		_, err = configMaps.Create(t.Context(), configMap("x", nil), metav1.CreateOptions{})
		checkAllowed(t, "creating", err, false)
	}
}

func TestAMissingNamespaceOfAServiceAccountIsCreated(t *testing.T) {
	c := controlplane.ForTest(t)
	cfg, err := c.ServiceAccount(t.Context(), "made-for-an-account", "robot")
	if err != nil {
		t.Fatal(err)
	}
	_, err = clientset(t, cfg).CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	checkAllowed(t, "listing another namespace", err, false)
}

func TestAdmissionPoliciesDenyAndMutate(t *testing.T) {
	c := controlplane.ForTest(t)
	ns := c.Namespace(t)
	// Only this test's namespace, for the policies are cluster-wide.
	here := &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}}}
	rules := &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
		RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Create},
			Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
		},
	}}}
	api := clientset(t, c.Admin()).AdmissionregistrationV1()
	ctx := t.Context()

	_, err := api.ValidatingAdmissionPolicies().Create(ctx, &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: rules,
			Validations:      []admissionv1.Validation{{Expression: "object.metadata.name != 'forbidden'", Message: "not this name"}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = api.ValidatingAdmissionPolicyBindings().Create(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: ns, MatchResources: here,
			ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = api.MutatingAdmissionPolicies().Create(ctx, &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints:   rules,
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			Mutations: []admissionv1.Mutation{{
				PatchType:          admissionv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: `Object{data: {"by": request.userInfo.username}}`},
			}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = api.MutatingAdmissionPolicyBindings().Create(ctx, &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Spec:       admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: ns, MatchResources: here},
	}, metav1.CreateOptions{})
	must(t, err)

	configMaps := clientset(t, c.Admin()).CoreV1().ConfigMaps(ns)
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	eventually(t, "the name is denied", func(ctx context.Context) bool {
		_, err := configMaps.Create(ctx, configMap("forbidden", nil), dryRun)
		return err != nil && strings.Contains(err.Error(), "not this name")
	})
	eventually(t, "the user is noted", func(ctx context.Context) bool {
		got, err := configMaps.Create(ctx, configMap("allowed", nil), dryRun)
		return err == nil && got.Data["by"] == "admin"
	})
}

func TestTheControllerManagerAggregatesAndCleansUp(t *testing.T) {
	c := controlplane.ForTest(t)
	ns := c.Namespace(t)
	client := clientset(t, c.Admin())

	_, err := client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"example.test"}, Resources: []string{ns}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	eventually(t, "the stock role view has the rule", func(ctx context.Context) bool {
		view, err := client.RbacV1().ClusterRoles().Get(ctx, "view", metav1.GetOptions{})
		if err != nil {
			return false
		}
		for _, rule := range view.Rules {
			if cmp.Equal(rule.Resources, []string{ns}) {
				return true
			}
		}
		return false
	})

	owner := create(t, c.Admin(), ns, configMap("owner", nil))
	owned := configMap("owned", nil)
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}
	create(t, c.Admin(), ns, owned)
	must(t, client.CoreV1().ConfigMaps(ns).Delete(t.Context(), "owner", metav1.DeleteOptions{}))
	eventually(t, "what was owned is collected", func(ctx context.Context) bool {
		_, err := client.CoreV1().ConfigMaps(ns).Get(ctx, "owned", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})

	_, err = c.ServiceAccount(t.Context(), "made-to-go", "robot")
	must(t, err)
	must(t, client.CoreV1().Namespaces().Delete(t.Context(), "made-to-go", metav1.DeleteOptions{}))
	eventually(t, "the deleted namespace is gone", func(ctx context.Context) bool {
		_, err := client.CoreV1().Namespaces().Get(ctx, "made-to-go", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func TestKubectlAppliesATreeAsAnyUser(t *testing.T) {
	c := controlplane.ForTest(t)
	ns := c.Namespace(t)
	grant(t, c, ns, rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "installer"}, "edit")
	tree := t.TempDir()
	writeText(t, filepath.Join(tree, "kustomization.yaml"), "namespace: "+ns+"\nresources: [map.yaml]\n")
	writeText(t, filepath.Join(tree, "map.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: \"1\"}\n")

	must(t, controlplane.Apply(t.Context(), c.User("installer"), tree))

	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, c.WriteKubeconfig(kubeconfig, c.User("installer")))
	got, err := c.Kubectl(t.Context(), kubeconfig, "get", "configmap", "applied", "-n", ns, "-o", "jsonpath={.data.a}")
	must(t, err)
	if got != "1" {
		t.Errorf("the applied value is %q, want 1", got)
	}

	err = controlplane.Apply(t.Context(), c.User("stranger"), tree)
	if err == nil || !strings.Contains(err.Error(), `User "stranger" cannot patch resource "configmaps"`) {
		t.Errorf("applying as a user without rights: %v", err)
	}
}

func TestAKubeconfigIsForItsOwnerOnly(t *testing.T) {
	c := controlplane.ForTest(t)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, c.WriteKubeconfig(path, c.Admin()))
	info, err := os.Stat(path)
	must(t, err)
	if got, want := info.Mode().Perm(), os.FileMode(0o600); got != want {
		t.Errorf("mode %v, want %v", got, want)
	}
}
