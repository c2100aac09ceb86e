package controller_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// A pipeline waits for people with kubectl alone.
func TestKubectlWaitsForReadyAndForApproved(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	g.must(t, g.cp.WriteKubeconfig(kubeconfig, g.cp.User(g.danaName)))
	wait := func(condition, timeout string) (string, error) {
		out, err := g.cp.Kubectl(ctx(t), kubeconfig, "wait", "mpv/app-1.0.0", "--namespace="+g.ns, "--for=condition="+condition, "--timeout="+timeout)
		return strings.TrimSpace(out), err
	}
	const met = "miniprogramversion.miniprogram.dev/app-1.0.0 condition met"
	if got, err := wait("Ready", "20s"); err != nil || got != met {
		t.Fatalf("waiting for Ready: %q, %v", got, err)
	}
	if got, err := wait("Approved", "0s"); err == nil || !strings.Contains(err.Error(), "condition not met") {
		t.Fatalf("nobody approved, and kubectl says %q, %v", got, err)
	}
	type answer struct {
		text string
		err  error
	}
	waited := make(chan answer, 1)
	go func() {
		text, err := wait("Approved", "25s")
		waited <- answer{text, err}
	}()
	g.approve(t, "app-1.0.0")
	if got := <-waited; got.err != nil || got.text != met {
		t.Errorf("waiting for Approved: %q, %v", got.text, got.err)
	}
}
