package controlplane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// assetsVariable is the environment variable by which kubebuilder and envtest name
// the folder of a control plane's binaries.
const assetsVariable = "KUBEBUILDER_ASSETS"

// AssetsDir returns the folder of the control plane's binaries: that of
// KUBEBUILDER_ASSETS when it is set, else bin/controlplane of the repository that the
// working directory lies in. It does not look whether anything is in it.
func AssetsDir() (string, error) {
	if dir := os.Getenv(assetsVariable); dir != "" {
		return dir, nil
	}
	return builtAssets()
}

// RepositoryDir returns the root of this repository, in which the working
// directory must lie, as it does in tests and under make.
func RepositoryDir() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, "hack", "controlplane", "go.mod")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding the repository: no folder above %s has a hack/controlplane/go.mod", start)
		}
	}
}

// builtAssets is the folder that `make controlplane` builds into.
func builtAssets() (string, error) {
	root, err := RepositoryDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "bin", "controlplane"), nil
}

// asset returns the path of one binary. Published sets of assets have no
// kube-controller-manager: what the environment's folder lacks is taken from
// `make controlplane`.
func asset(dir, name string) (string, error) {
	dirs := []string{dir}
	if dir == "" {
		dirs = []string{os.Getenv(assetsVariable)}
		if built, err := builtAssets(); err == nil {
			dirs = append(dirs, built)
		}
	}
	for _, dir := range dirs {
		if path := filepath.Join(dir, name); dir != "" && exists(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not in %s (or set %s): run `make controlplane`", name, dirs[len(dirs)-1], assetsVariable)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
