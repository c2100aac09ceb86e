//go:build argocd

package argocdtest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func (i *installation) prunes(t *testing.T) {
	i.takesBackARemoval(t)

	rollouts, err := yaml.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "Rollout", "metadata": map[string]any{"name": "shop", "namespace": shopTeam},
		"spec": map[string]any{"miniProgramRef": map[string]any{"name": "shop"}, "versionRef": map[string]any{"name": "shop-1-0-0"}},
	})
	must(t, err)
	i.git.write(t, shops+"rollouts.yaml", string(rollouts))
	i.removesNotes(t)
	rollout := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: shopTeam, Name: "notes"}}
	i.stays(t, rollout)
	i.confirm(t, shopTeam)
	i.gone(t, rollout)

	// Who approved a version is told by its Reviews, which would go with it, so Git cannot take it away.
	a := i.awaitApp(t, shopTeam, "the version to be kept", func(a application) bool {
		return strings.Contains(a.Status.OperationState.Message, "ask for verb purge on reviews in namespace "+shopTeam)
	})
	t.Log(a)
	program := &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: shopTeam, Name: "notes"}}
	i.stays(t, program)
	version := &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: shopTeam, Name: "notes-0-9-0"}}
	must(t, i.admin.Delete(t.Context(), version))
	i.gone(t, version)
	i.gone(t, program)
	i.syncs(t, shopTeam)
	i.awaitHealthy(t, shopTeam)
}

// takesBackARemoval ends the sync that waits for a confirmation, and Git has again what it lacked.
func (i *installation) takesBackARemoval(t *testing.T) {
	t.Helper()
	i.removesNotes(t)
	i.git.git(t, "revert", "--no-edit", "HEAD")
	must(t, i.olu.call(t.Context(), http.MethodDelete, "/api/v1/applications/"+shopTeam+"/operation", nil, nil))
	i.refresh(t, shopTeam)
	head := i.git.head(t)
	i.awaitApp(t, shopTeam, "synced with what Git has again", func(a application) bool {
		return a.Status.Sync.Status == "Synced" && a.Status.Sync.Revision == head && a.Status.OperationState.Phase != "Running"
	})
	i.stays(t, &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: shopTeam, Name: "notes"}})
}

// removesNotes takes a mini program out of Git and waits until somebody is asked.
func (i *installation) removesNotes(t *testing.T) {
	t.Helper()
	i.git.edit(t, "config/samples/shop-team/kustomization.yaml", "- notes.yaml\n- notes-0.9.0.yaml\n", "")
	rollouts, err := os.ReadFile(i.git.path(shops + "rollouts.yaml"))
	must(t, err)
	if shop, _, both := strings.Cut(string(rollouts), "---\n"); both {
		i.git.write(t, shops+"rollouts.yaml", shop)
	}
	i.git.commit(t, "no more notes")
	i.refresh(t, shopTeam)
	i.awaitConfirmation(t, shopTeam)
}

func (i *installation) letsAGroupGo(t *testing.T) {
	i.git.edit(t, "config/argocd/example/platform/kustomization.yaml", "- groups/transit-team\n", "")
	i.git.git(t, "rm", "-r", "--quiet", groups+transitTeam)
	i.git.commit(t, "transit leaves")
	i.looksForGroups(t)
	i.gone(t, argoObject("Application", transitTeam))
	i.refresh(t, platform)
	i.awaitConfirmation(t, platform)

	// Its people and its Git may nothing any more, and its users keep what they have.
	for _, role := range []string{"argocd-sync", "miniprogram-developers"} {
		i.gone(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: transitTeam, Name: role}})
	}
	i.gone(t, argoObject("AppProject", transitTeam))
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: transitTeam, Name: "transit"}}
	i.stays(t, ro)
	if !meta.IsStatusConditionTrue(ro.Status.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("the rollout of the group is not Ready any more: %v", ro.Status.Conditions)
	}
	i.confirm(t, platform)
	i.gone(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: transitTeam}})
	i.syncs(t, platform)
	i.awaitHealthy(t, platform)
}

func (i *installation) deletesAnApplication(t *testing.T) {
	// The ApplicationSet would make it anew.
	set := argoObject("ApplicationSet", groupSet)
	must(t, i.admin.Delete(t.Context(), set, client.PropagationPolicy(metav1.DeletePropagationOrphan)))
	i.gone(t, set)
	app := argoObject("Application", shopTeam)
	finalizer := []byte(`{"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}}`)
	must(t, i.admin.Patch(t.Context(), app, client.RawPatch("application/merge-patch+json", finalizer)))
	must(t, i.admin.Delete(t.Context(), app))
	eventually(t, "the deletion to wait for confirmation", func() string {
		if log := i.controllerLog(t); !strings.Contains(log, "requires manual confirmation to delete") {
			return "nobody is asked"
		}
		return ""
	})
	shop := metav1.ObjectMeta{Namespace: shopTeam, Name: "shop"}
	i.stays(t, &v1alpha1.Rollout{ObjectMeta: shop})
	i.confirm(t, shopTeam)
	version := metav1.ObjectMeta{Namespace: shopTeam, Name: "shop-1-0-0"}
	for _, o := range []client.Object{&v1alpha1.Rollout{ObjectMeta: shop}, &v1alpha1.MiniProgramVersion{ObjectMeta: version}, &v1alpha1.MiniProgram{ObjectMeta: shop}, app} {
		i.gone(t, o)
	}
	i.stays(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: shopTeam}})
}

// controllerLog is what Argo CD's controller has written.
func (i *installation) controllerLog(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(i.dir, "logs", "argocd-application-controller.log"))
	must(t, err)
	return string(data)
}

// awaitConfirmation waits until a sync waits for somebody to confirm that something may go.
func (i *installation) awaitConfirmation(t testing.TB, app string) {
	t.Helper()
	i.awaitApp(t, app, "to wait for confirmation", func(a application) bool {
		return a.Status.OperationState.Phase == "Running" && strings.Contains(a.Status.OperationState.Message, "Waiting for pruning confirmation")
	})
}

// confirm says that what Prune=confirm and Delete=confirm hold back may go, as argocd app
// confirm-deletion does.
func (i *installation) confirm(t testing.TB, app string) {
	t.Helper()
	i.annotate(t, "Application", app, "argocd.argoproj.io/deletion-approved", time.Now().UTC().Format(time.RFC3339))
}

// stays fails the test unless an object is there and is not being deleted.
func (i *installation) stays(t testing.TB, o client.Object) {
	t.Helper()
	must(t, i.admin.Get(t.Context(), client.ObjectKeyFromObject(o), o))
	if o.GetDeletionTimestamp() != nil {
		t.Errorf("%T %s is being deleted", o, o.GetName())
	}
}
