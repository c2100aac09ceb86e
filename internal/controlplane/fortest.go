package controlplane

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

var (
	sharedOnce sync.Once
	shared     *ControlPlane
	errShared  error
)

// ForTest returns a control plane with a controller manager that all tests of
// this test binary share. It lives in a temporary folder and ends, with the folder,
// when the test binary does. Tests keep apart by namespaces of their own (see
// Namespace) and by names of cluster-wide objects. A control plane that cannot start
// fails the test.
func ForTest(t testing.TB) *ControlPlane {
	t.Helper()
	sharedOnce.Do(func() { shared, errShared = startShared() })
	if errShared != nil {
		t.Fatal(errShared)
	}
	return shared
}

func startShared() (*ControlPlane, error) {
	dir, err := os.MkdirTemp("", "miniprogram-controlplane-")
	if err != nil {
		return nil, fmt.Errorf("creating the control plane's folder: %w", err)
	}
	// A failed start leaves the folder and its logs, but not for longer than this
	// process.
	if err := removeAtExit(dir); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*startTimeout)
	defer cancel()
	return Start(ctx, Options{Dir: dir, ControllerManager: true})
}

// removeAtExit starts a shell that waits until this process is gone, in
// whatever way, and then removes the folder: nothing in a test binary runs
// after its last test but TestMain, and after a timeout not even that. What still
// writes into the folder was killed a moment before; hence the second attempt.
func removeAtExit(dir string) error {
	cmd := exec.Command("/bin/sh", "-c", `cat >/dev/null; rm -rf "$0" 2>/dev/null || { sleep 2; rm -rf "$0"; }`, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	// The pipe closes with this process: nothing is ever written, and who waits
	// for the shell keeps the pipe from being collected.
	if _, err := cmd.StdinPipe(); err != nil {
		return fmt.Errorf("watching over %s: %w", dir, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("watching over %s: %w", dir, err)
	}
	go func() { _ = cmd.Wait() }()
	return nil
}

// Namespace creates a namespace for one test, named after it, and deletes it at
// the test's end without waiting for the deletion.
func (c *ControlPlane) Namespace(t testing.TB) string {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		t.Fatalf("creating a namespace: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ns, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: namespacePrefix(t.Name())},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating a namespace: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := client.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}); err != nil {
			t.Errorf("deleting namespace %s: %v", ns.Name, err)
		}
	})
	return ns.Name
}

// AwaitRight waits until the API server lets a user do something, for at most 30
// seconds: its authorizer learns of a new role or binding by watches of its
// own, a moment after the write was answered. A service account is the user
// system:serviceaccount:<namespace>:<name>.
func (c *ControlPlane) AwaitRight(t testing.TB, user string, to authorizationv1.ResourceAttributes) {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		t.Fatalf("waiting for a right of %s: %v", user, err)
	}
	question := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &to}}
	err = wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		answer, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, question, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed, err
	})
	if err != nil {
		t.Fatalf("waiting until %s may %s %s in namespace %q: %v", user, to.Verb, to.Resource, to.Namespace, err)
	}
}

// namespacePrefix turns a test's name into the beginning of a DNS label of at
// most 40 characters.
func namespacePrefix(test string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, "t-"+strings.TrimPrefix(test, "Test"))
	return name[:min(len(name), 39)] + "-"
}
