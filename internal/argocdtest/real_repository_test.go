//go:build argocd

package argocdtest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// upstream is the repository that the example names.
const upstream = "https://github.com/miniprogram-dev/miniprogram-operator"

// repository is a Git repository with this project's config in it, whose example is
// about the repository itself.
type repository struct{ dir string }

// ourArgoCD is Argo CD's own installation with config/argocd beside it, as docs/argocd.md
// says. What would run in pods is left out.
const ourArgoCD = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: argocd
resources: [namespace.yaml, install.yaml]
components: [../config/argocd]
patches:
- {target: {kind: Deployment}, patch: '{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "any"}, "$patch": "delete"}'}
- {target: {kind: StatefulSet}, patch: '{"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "any"}, "$patch": "delete"}'}
- patch: |-
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: argocd-cm}
    data:
      application.sync.impersonation.enabled: "true"
      accounts.olu: apiKey
      accounts.vera: apiKey
- patch: |-
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: argocd-rbac-cm}
    data:
      policy.csv: |
        p, shop-operators, applications, get, shop-team/*, allow
        p, shop-operators, applications, sync, shop-team/*, allow
        p, shop-operators, applications, action/miniprogram.dev/Rollout/*, shop-team/*, allow
        p, shop-operators, applications, action/miniprogram.dev/MiniProgram/*, shop-team/*, allow
        p, shop-operators, applications, action/miniprogram.dev/MiniProgramVersion/*, shop-team/*, allow
        p, shop-operators, applications, action/miniprogram.dev/Review/*, shop-team/*, allow
        g, olu, shop-operators
        p, vera, applications, get, */*, allow
`

func newRepository(t *testing.T, root, dir string) *repository {
	t.Helper()
	r := &repository{dir: dir}
	for _, folder := range []string{"config", "charts"} {
		must(t, os.CopyFS(r.path(folder), os.DirFS(filepath.Join(root, folder))))
	}
	must(t, filepath.WalkDir(r.path("config", "argocd"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(strings.ReplaceAll(string(data), upstream, r.url())), 0o600)
	}))
	install, err := os.ReadFile(filepath.Join(root, "bin", "argocd", "install.yaml"))
	must(t, err)
	r.write(t, "argocd/install.yaml", string(install))
	r.write(t, "argocd/namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n")
	r.write(t, "argocd/kustomization.yaml", ourArgoCD)
	r.git(t, "init", "--quiet", "--initial-branch=main")
	r.commit(t, "what the project has")
	return r
}

func (r *repository) path(names ...string) string {
	return filepath.Join(append([]string{r.dir}, names...)...)
}
func (r *repository) url() string { return "file://" + r.dir }

func (r *repository) git(t testing.TB, args ...string) string {
	t.Helper()
	identity := []string{"-C", r.dir, "-c", "user.name=dana", "-c", "user.email=dana@example.com", "-c", "commit.gpgSign=false"}
	out, err := exec.CommandContext(t.Context(), "git", append(identity, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit records all changes of the files.
func (r *repository) commit(t testing.TB, message string) {
	t.Helper()
	r.git(t, "add", "--all")
	r.git(t, "commit", "--quiet", "--message="+message)
}

// head is the newest commit.
func (r *repository) head(t testing.TB) string { t.Helper(); return r.git(t, "rev-parse", "HEAD") }

func (r *repository) write(t testing.TB, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(r.path(name)), 0o755))
	must(t, os.WriteFile(r.path(name), []byte(text), 0o600))
}

// edit replaces a text, which has to be there, in a file.
func (r *repository) edit(t testing.TB, name, before, after string) {
	t.Helper()
	data, err := os.ReadFile(r.path(name))
	must(t, err)
	if !strings.Contains(string(data), before) {
		t.Fatalf("%s has no %q:\n%s", name, before, data)
	}
	r.write(t, name, strings.ReplaceAll(string(data), before, after))
}
