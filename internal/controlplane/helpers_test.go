package controlplane_test

import (
	"context"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

func clientset(t *testing.T, cfg *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(cfg)
	must(t, err)
	return client
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

func create(t *testing.T, cfg *rest.Config, namespace string, c *corev1.ConfigMap) *corev1.ConfigMap {
	t.Helper()
	created, err := clientset(t, cfg).CoreV1().ConfigMaps(namespace).Create(t.Context(), c, metav1.CreateOptions{})
	must(t, err)
	return created
}

// grant binds a ClusterRole to a subject in one namespace and waits until the
// API server has seen it.
func grant(t *testing.T, c *controlplane.ControlPlane, namespace string, subject rbacv1.Subject, clusterRole string) {
	t.Helper()
	_, err := clientset(t, c.Admin()).RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "granted"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects:   []rbacv1.Subject{subject},
	}, metav1.CreateOptions{})
	must(t, err)

	as := c.Admin()
	as.Impersonate.UserName = subject.Name
	switch subject.Kind {
	case rbacv1.GroupKind:
		as.Impersonate = rest.ImpersonationConfig{UserName: "anybody", Groups: []string{subject.Name}}
	case rbacv1.ServiceAccountKind:
		as.Impersonate.UserName = "system:serviceaccount:" + subject.Namespace + ":" + subject.Name
	}
	eventually(t, "the role binding is in force", func(ctx context.Context) bool {
		_, err := clientset(t, as).CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{})
		return err == nil
	})
}

func checkAllowed(t *testing.T, what string, err error, want bool) {
	t.Helper()
	switch {
	case want && err != nil:
		t.Errorf("%s: %v", what, err)
	case !want && !apierrors.IsForbidden(err):
		t.Errorf("%s: %v, want it to be forbidden", what, err)
	}
}

// eventually waits for what the control plane does by itself.
func eventually(t *testing.T, what string, ok func(context.Context) bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true,
		func(ctx context.Context) (bool, error) { return ok(ctx), nil })
	if err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}
