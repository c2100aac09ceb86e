//go:build argocd

package argocdtest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// badVersion is a version in a file of its own, with what its bundle comes from.
const badVersion = `apiVersion: v1
kind: ConfigMap
metadata: {name: broken, namespace: shop-team, labels: {miniprogram.dev/group: shop-team}}
data: {bundle.zip: this is no archive}
---
apiVersion: miniprogram.dev/v1alpha1
kind: MiniProgramVersion
metadata: {name: shop-9-9-9, namespace: shop-team}
spec:
  miniProgramRef: {name: shop}
  version: 9.9.9
  format: MiniApp
  source: {configMap: {name: %s, key: bundle.zip}}
`

// commitsBadVersion commits one, together with another share for the Rollout.
func (i *installation) commitsBadVersion(t *testing.T, source, before, after string) {
	t.Helper()
	i.git.write(t, shops+"broken.yaml", fmt.Sprintf(badVersion, source))
	i.git.edit(t, shops+"kustomization.yaml", "- rollouts.yaml", "- rollouts.yaml\n- broken.yaml")
	i.git.edit(t, shops+"rollouts.yaml", before, after)
	i.git.commit(t, "a version from "+source)
	i.refresh(t, shopTeam)
}

// removesBadVersion commits that it is gone, which leaves the share.
func (i *installation) removesBadVersion(t *testing.T) {
	t.Helper()
	i.git.edit(t, shops+"kustomization.yaml", "- rollouts.yaml\n- broken.yaml", "- rollouts.yaml")
	i.git.commit(t, "without that version")
}

// atSecondStep waits until the Rollout's plan has that share.
func (i *installation) atSecondStep(t *testing.T, percent string) {
	t.Helper()
	i.awaitRollout(t, "a plan with "+percent+" percent", func(ro *v1alpha1.Rollout) bool {
		return len(ro.Spec.Steps) > 2 && ro.Spec.Steps[2].SetPercent.String() == percent
	})
}

func (i *installation) mendsABrokenCommit(t *testing.T) {
	i.git.edit(t, shops+"rollouts.yaml", "setPercent: 25", "setPercent: 2500")
	i.git.commit(t, "a share that is none")
	i.refresh(t, shopTeam)
	a := i.awaitApp(t, shopTeam, "the sync to be refused", func(a application) bool {
		return a.Status.Sync.Revision == i.git.head(t) && strings.Contains(a.Status.OperationState.Message, "failed to apply")
	})
	t.Log(a)
	i.git.edit(t, shops+"rollouts.yaml", "setPercent: 2500", "setPercent: 30")
	i.git.commit(t, "a share")
	i.syncs(t, shopTeam)
	i.atSecondStep(t, "30")

	// A version that is not accepted is Degraded, and fails the sync. The next attempt leaves
	// out what is as Git says, and so the Rollout gets its share.
	i.commitsBadVersion(t, "broken", "setPercent: 30", "setPercent: 31")
	i.shows(t, shopTeam, "MiniProgramVersion", "shop-9-9-9", "Degraded", "the bundle was not accepted")
	i.atSecondStep(t, "31")
	i.removesBadVersion(t)
	i.syncs(t, shopTeam)
	i.awaitHealthy(t, shopTeam)

	// So does one whose bundle is not there.
	i.commitsBadVersion(t, "nowhere", "setPercent: 31", "setPercent: 32")
	i.shows(t, shopTeam, "MiniProgramVersion", "shop-9-9-9", "Degraded", "spec.source.configMap")
	i.atSecondStep(t, "32")
	i.removesBadVersion(t)
	i.syncs(t, shopTeam)
	i.awaitHealthy(t, shopTeam)
}

func (i *installation) decidesNothing(t *testing.T) {
	review := i.pending(t, shopTeam, "shop-1-2-0", "quality")
	server, err := i.cp.ServiceAccount(t.Context(), argoNamespace, "argocd-server")
	must(t, err)
	decided := review.DeepCopy()
	decided.Spec.Decision = v1alpha1.DecisionApproved
	refused(t, i.client(t, server).Patch(t.Context(), decided, client.MergeFrom(review)), "argocd-server may not decide in role quality")
	if err := i.olu.clicks(t.Context(), shopTeam, "Review", review.Name, "approve", nil); err == nil {
		t.Error("a Review was decided by click in a project that denies Reviews")
	} else {
		t.Log(err)
	}
	i.git.write(t, shops+"review.yaml", fmt.Sprintf(`apiVersion: miniprogram.dev/v1alpha1
kind: Review
metadata: {name: from-git, namespace: shop-team}
spec:
  miniProgramRef: {name: shop}
  versionRef: {name: shop-1-2-0}
  digest: %s
  role: quality
  decision: Approved
`, review.Spec.Digest))
	i.git.edit(t, shops+"kustomization.yaml", "- rollouts.yaml", "- rollouts.yaml\n- review.yaml")
	i.git.commit(t, "an approval from Git")
	i.refresh(t, shopTeam)
	a := i.awaitApp(t, shopTeam, "the Review to be refused", func(a application) bool {
		return a.Status.Sync.Revision == i.git.head(t) && a.Status.OperationState.Phase != "Succeeded" && len(a.Status.OperationState.SyncResult.Resources) > 0
	})
	t.Log(a)
	i.git.git(t, "revert", "--no-edit", "HEAD")
	i.syncs(t, shopTeam)
	i.clicksMayDecide(t)
}

// clicksMayDecide does what approving/approver_role.yaml says.
func (i *installation) clicksMayDecide(t *testing.T) {
	i.git.edit(t, "config/argocd/group/project.yaml", "  - {group: miniprogram.dev, kind: Rollout}\n  namespaceResourceBlacklist:\n  - {group: miniprogram.dev, kind: Review}\n",
		"  - {group: miniprogram.dev, kind: Rollout}\n  - {group: miniprogram.dev, kind: Review}\n")
	i.git.commit(t, "clicks may decide")
	i.syncs(t, platform)
	kubeconfig := filepath.Join(i.dir, "admin.kubeconfig")
	_, err := i.cp.Kubectl(t.Context(), kubeconfig, "apply", "--server-side", "-f", filepath.Join(i.root, "config/argocd/approving/approver_role.yaml"))
	must(t, err)
	i.refresh(t, shopTeam)
	privacy := i.pending(t, shopTeam, "shop-1-2-0", "privacy")
	i.shows(t, shopTeam, "Review", privacy.Name, "Progressing", "waits for a reviewer of role privacy")
	refused(t, i.olu.clicks(t.Context(), shopTeam, "Review", privacy.Name, "reject", map[string]string{"comment": "no"}), "argocd-server may not decide in role privacy")
	quality := i.pending(t, shopTeam, "shop-1-2-0", "quality")
	i.shows(t, shopTeam, "Review", quality.Name, "Progressing", "waits for a reviewer of role quality")
	must(t, i.olu.clicks(t.Context(), shopTeam, "Review", quality.Name, "reject", map[string]string{"comment": "It orders twice."}))
	i.shows(t, shopTeam, "Review", quality.Name, "Healthy", "rejected by system:serviceaccount:argocd:argocd-server: It orders twice.")
	i.shows(t, shopTeam, "MiniProgramVersion", "shop-1-2-0", "Healthy", "rejected by ")
	lift := i.pending(t, shopTeam, "shop-1-2-0", "quality")
	i.shows(t, shopTeam, "Review", lift.Name, "Progressing", "")
	must(t, i.olu.clicks(t.Context(), shopTeam, "Review", lift.Name, "approve", nil))
	i.shows(t, shopTeam, "Review", lift.Name, "Healthy", "Approved by system:serviceaccount:argocd:argocd-server counts")
	i.staysSynced(t, shopTeam)
	i.staysSynced(t, platform)
}
