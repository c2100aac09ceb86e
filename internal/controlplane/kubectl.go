package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
)

// Kubectl runs kubectl with the given kubeconfig and returns what it wrote to
// its output. What it wrote to its error output is part of the error.
func (c *ControlPlane) Kubectl(ctx context.Context, kubeconfig string, args ...string) (string, error) {
	return kubectl(ctx, c.options.Assets, kubeconfig, filepath.Join(c.options.Dir, "kubectl-cache"), args...)
}

// Apply applies a kustomize tree with server-side apply, as an installer in a
// cluster does. Fields that somebody else set are taken over.
func Apply(ctx context.Context, cfg *rest.Config, kustomizeDir string) (err error) {
	dir, err := os.MkdirTemp("", "miniprogram-apply-")
	if err != nil {
		return fmt.Errorf("applying %s: %w", kustomizeDir, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := writeKubeconfig(kubeconfig, cfg); err != nil {
		return fmt.Errorf("applying %s: %w", kustomizeDir, err)
	}
	_, err = kubectl(ctx, "", kubeconfig, filepath.Join(dir, "cache"),
		"apply", "--server-side", "--force-conflicts", "-k", kustomizeDir)
	if err != nil {
		return fmt.Errorf("applying %s: %w", kustomizeDir, err)
	}
	return nil
}

// kubectl keeps its cache of the server's kinds in a folder of its own: the
// user's cache goes by host and port, which another control plane may have had before.
func kubectl(ctx context.Context, assets, kubeconfig, cache string, args ...string) (string, error) {
	path, err := asset(assets, "kubectl")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+cache)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("running kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(problems.String()))
	}
	return out.String(), nil
}
