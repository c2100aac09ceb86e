//go:build argocd

package argocdtest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

const (
	shopTeam    = "shop-team"
	transitTeam = "transit-team"
	platform    = "miniprogram-platform"

	groups = "config/argocd/example/platform/groups/"
	shops  = "config/argocd/example/groups/shop-team/"

	groupSet = "miniprogram-groups"
)

// One life of the example in a real Argo CD, from its first sync to the deletion of a
// group. Each chapter begins where the one before ended.
func TestArgoCDPlaysALife(t *testing.T) {
	i := install(t)
	chapters := []struct {
		name  string
		plays func(*testing.T)
	}{
		{"the operator is installed from Git, by client-side apply", i.installsTheOperator},
		{"the chart takes its place, by server-side apply", i.installsTheChart},
		{"the kinds stay when the chart no longer brings them", i.keepsTheKinds},
		{"what was installed runs", func(*testing.T) { i.startOperator(t) }},
		{"the platform and its groups come up wave by wave", i.bringsUpTheExample},
		{"people approve, and rollouts begin", i.peopleApprove},
		{"a rollout is steered by clicks", i.steersByClicks},
		{"what is aborted or rolled back stays so, though Git names it", i.staysOut},
		{"a changed spec is put back, an action is not", i.healsItself},
		{"emergencies", i.emergencies},
		{"a commit that cannot be synced does not keep the next one out", i.mendsABrokenCommit},
		{"client-side apply finds no difference either", i.appliesOnTheClientsSide},
		{"Git and clicks decide nothing, unless the platform lets clicks", i.decidesNothing},
		{"what is taken out of Git goes, after somebody confirmed where it hurts", i.prunes},
		{"a group leaves", i.letsAGroupGo},
		{"an application is deleted with what it has brought, after somebody confirmed", i.deletesAnApplication},
	}
	for _, chapter := range chapters {
		if !t.Run(chapter.name, chapter.plays) {
			t.Fatalf("what comes after %q needs it", chapter.name)
		}
	}
}

func (i *installation) bringsUpTheExample(t *testing.T) {
	must(t, controlplane.Apply(t.Context(), i.cp.Admin(), i.git.path("config/argocd/example/argocd")))
	i.syncs(t, platform)
	i.awaitHealthy(t, platform)
	i.shows(t, platform, "HostApp", "wallet", "Healthy", "the manifest service answers this host app")
	i.shows(t, platform, "ReviewPolicy", "baseline", "Healthy", "the policy is applied")
	reviewers := filepath.Join(i.root, "config", "samples", "platform", "reviewers.yaml")
	kubeconfig := filepath.Join(i.dir, "admin.kubeconfig")
	must(t, i.cp.WriteKubeconfig(kubeconfig, i.cp.Admin()))
	_, err := i.cp.Kubectl(t.Context(), kubeconfig, "apply", "--server-side", "-f", reviewers)
	must(t, err)
	i.looksForGroups(t)
	for _, group := range []string{shopTeam, transitTeam} {
		i.awaitApp(t, group, "there", func(application) bool { return true })
		i.syncs(t, group)
	}
	// The wave with the Rollouts ran, for a version that waits for review is Healthy.
	i.shows(t, shopTeam, "MiniProgram", "shop", "Healthy", "nothing is released yet")
	i.shows(t, shopTeam, "MiniProgramVersion", "shop-1-0-0", "Healthy", "waits for 1 approval of role privacy")
	i.shows(t, shopTeam, "Rollout", "shop", "Progressing", "MiniProgramVersion shop-1-0-0 is not approved: ")
	i.awaitApp(t, shopTeam, "Progressing", func(a application) bool { return a.Status.Health.Status == "Progressing" })
}

// looksForGroups lets the ApplicationSet look at Git and at projects that were missing, which it
// does every three minutes, or now.
func (i *installation) looksForGroups(t testing.TB) {
	t.Helper()
	i.annotate(t, "ApplicationSet", groupSet, "argocd.argoproj.io/application-set-refresh", "true")
}

// approve lets the reviewers of both roles approve a version.
func (i *installation) approve(t testing.TB, group, version string) {
	t.Helper()
	for role, reviewer := range map[string]string{"quality": "rosa", "privacy": "piet"} {
		review := i.pending(t, group, version, role)
		decided := review.DeepCopy()
		decided.Spec.Decision = v1alpha1.DecisionApproved
		must(t, i.person(t, reviewer).Patch(t.Context(), decided, client.MergeFrom(review)))
	}
}

// pending waits for the Review of a version that waits for a reviewer of a role.
func (i *installation) pending(t testing.TB, group, version, role string) *v1alpha1.Review {
	t.Helper()
	var found *v1alpha1.Review
	eventually(t, "a pending Review of "+version+" for role "+role, func() string {
		var list v1alpha1.ReviewList
		if err := i.admin.List(t.Context(), &list, client.InNamespace(group)); err != nil {
			return err.Error()
		}
		for n := range list.Items {
			r := &list.Items[n]
			if r.Spec.VersionRef.Name == version && r.Spec.Role == role && r.Spec.Decision == v1alpha1.DecisionPending {
				found = r
				return ""
			}
		}
		return fmt.Sprintf("there are %d Reviews", len(list.Items))
	})
	return found
}

func (i *installation) peopleApprove(t *testing.T) {
	for group, versions := range map[string][]string{shopTeam: {"shop-1-0-0", "notes-0-9-0"}, transitTeam: {"transit-2-3-0"}} {
		for _, version := range versions {
			i.approve(t, group, version)
		}
	}
	i.shows(t, shopTeam, "MiniProgramVersion", "shop-1-0-0", "Healthy", "has 2 of 2 approvals")
	i.shows(t, shopTeam, "Rollout", "notes", "Healthy", "0.9.0 is stable for everybody")
	i.shows(t, shopTeam, "Rollout", "shop", "Suspended", "1.0.0 is at 5% and waits for a person: ")
	i.awaitHealthy(t, transitTeam)
	i.staysSynced(t, shopTeam)
	i.staysSynced(t, transitTeam)
}

// acts clicks on the Rollout of shop, and waits until the operator has done it.
func (i *installation) acts(t testing.TB, action, value string, params map[string]string) {
	t.Helper()
	must(t, i.olu.clicks(t.Context(), shopTeam, "Rollout", "shop", action, params))
	i.awaitRollout(t, value+" to be done", func(ro *v1alpha1.Rollout) bool {
		l := ro.Status.LastAction
		return l != nil && l.Value == value && l.Result == "Done" && l.User == "system:serviceaccount:argocd:argocd-server"
	})
}

// awaitRollout waits until the Rollout of shop is as wanted.
func (i *installation) awaitRollout(t testing.TB, what string, is func(*v1alpha1.Rollout) bool) *v1alpha1.Rollout {
	t.Helper()
	var ro v1alpha1.Rollout
	eventually(t, "Rollout shop: "+what, func() string {
		if err := i.admin.Get(t.Context(), client.ObjectKey{Namespace: shopTeam, Name: "shop"}, &ro); err != nil {
			return err.Error()
		}
		if is(&ro) {
			return ""
		}
		text, err := yaml.Marshal(ro.Status)
		return fmt.Sprint(string(text), err)
	})
	return &ro
}

func (i *installation) steersByClicks(t *testing.T) {
	refused(t, i.vera.clicks(t.Context(), shopTeam, "Rollout", "shop", "promote", nil), "permission denied")
	menu, err := i.olu.menu(t.Context(), shopTeam, "Rollout", "shop")
	must(t, err)
	if got := fmt.Sprint(menu); got != "[abort pause promote promote-full]" {
		t.Errorf("at 5%% the menu is %s", got)
	}
	i.acts(t, "promote", "promote@1/1", nil)
	i.shows(t, shopTeam, "Rollout", "shop", "Progressing", "1.0.0 is at 25% until ")
	i.acts(t, "pause", "pause@1", nil)
	i.shows(t, shopTeam, "Rollout", "shop", "Suspended", "1.0.0 stays at its present share: ")
	i.staysSynced(t, shopTeam)
	i.acts(t, "resume", "resume@1", nil)
	i.acts(t, "promote-full", "promote-full@1", nil)
	i.shows(t, shopTeam, "Rollout", "shop", "Healthy", "1.0.0 is stable for everybody")
	i.awaitHealthy(t, shopTeam)
	i.staysSynced(t, shopTeam)
}

func (i *installation) staysOut(t *testing.T) {
	i.git.edit(t, shops+"kustomization.yaml", "- rollouts.yaml", "- rollouts.yaml\n- ../../../../samples/later")
	i.git.edit(t, shops+"rollouts.yaml", "shop-1-0-0", "shop-1-1-0")
	i.git.commit(t, "shop 1.1.0")
	i.syncs(t, shopTeam)
	i.shows(t, shopTeam, "Rollout", "shop", "Progressing", "MiniProgramVersion shop-1-1-0 is not approved: ")
	i.approve(t, shopTeam, "shop-1-1-0")
	i.shows(t, shopTeam, "Rollout", "shop", "Suspended", "1.1.0 is at 5% and waits for a person: ")
	i.acts(t, "abort", "abort@2", nil)
	i.shows(t, shopTeam, "Rollout", "shop", "Degraded", "shop-1-1-0 stays out: aborted by system:serviceaccount:argocd:argocd-server")
	i.awaitApp(t, shopTeam, "Degraded", func(a application) bool { return a.Status.Health.Status == "Degraded" })
	// Neither a comparison nor a sync of something else brings back what was aborted.
	i.staysSynced(t, shopTeam)
	i.git.edit(t, "config/samples/shop-team/shop.yaml", "Order from the grocer", "Order at the grocer")
	i.git.commit(t, "better words while 1.1.0 is aborted")
	i.syncs(t, shopTeam)
	out := i.awaitRollout(t, "aborted", func(ro *v1alpha1.Rollout) bool { return ro.Status.Target == nil })
	if out.Spec.VersionRef.Name != "shop-1-1-0" || out.Status.Stable == nil || out.Status.Stable.Version != "1.0.0" {
		t.Errorf("Git names %s, and stable is %v", out.Spec.VersionRef.Name, out.Status.Stable)
	}
	i.acts(t, "retry", "retry@2", nil)
	i.acts(t, "promote-full", "promote-full@3", nil)
	i.shows(t, shopTeam, "Rollout", "shop", "Healthy", "1.1.0 is stable for everybody")
	i.acts(t, "rollback", "rollback@3/1.0.0", map[string]string{"version": "1.0.0"})
	i.shows(t, shopTeam, "Rollout", "shop", "Degraded", "shop-1-1-0 stays out: rolled back by ")
	i.staysSynced(t, shopTeam)
	i.git.edit(t, shops+"rollouts.yaml", "shop-1-1-0", "shop-1-0-0")
	i.git.commit(t, "back to 1.0.0, as people decided")
	i.syncs(t, shopTeam)
	i.shows(t, shopTeam, "Rollout", "shop", "Healthy", "1.0.0 is stable for everybody")
	i.awaitHealthy(t, shopTeam)
}

func (i *installation) healsItself(t *testing.T) {
	olu := i.person(t, "olu", "shop-operators")
	before := i.awaitRollout(t, "there", func(*v1alpha1.Rollout) bool { return true })
	changed := before.DeepCopy()
	changed.Spec.Steps = changed.Spec.Steps[2:]
	must(t, olu.Patch(t.Context(), changed, client.MergeFrom(before)))
	i.awaitRollout(t, "the plan to be that of Git again", func(ro *v1alpha1.Rollout) bool { return len(ro.Spec.Steps) == len(before.Spec.Steps) })
	i.syncs(t, shopTeam)
	after := i.awaitRollout(t, "there", func(*v1alpha1.Rollout) bool { return true })
	for _, key := range []string{v1alpha1.ActionAnnotation, "miniprogram.dev/action-by"} {
		if after.Annotations[key] == "" || after.Annotations[key] != before.Annotations[key] {
			t.Errorf("%s was %q and is %q", key, before.Annotations[key], after.Annotations[key])
		}
	}
	i.shows(t, shopTeam, "Rollout", "shop", "Healthy", "1.0.0 is stable for everybody")
}

func (i *installation) emergencies(t *testing.T) {
	must(t, i.olu.clicks(t.Context(), shopTeam, "MiniProgram", "shop", "suspend", nil))
	i.shows(t, shopTeam, "MiniProgram", "shop", "Healthy", "suspended: no host app hands it out")
	i.staysSynced(t, shopTeam)
	must(t, i.olu.clicks(t.Context(), shopTeam, "MiniProgram", "shop", "resume", nil))
	i.shows(t, shopTeam, "MiniProgram", "shop", "Healthy", "released to wallet")
	i.staysSynced(t, shopTeam)
	must(t, i.olu.clicks(t.Context(), shopTeam, "MiniProgramVersion", "shop-1-1-0", "withdraw", nil))
	i.shows(t, shopTeam, "MiniProgramVersion", "shop-1-1-0", "Healthy", "withdrawn: it is never served again")
	i.staysSynced(t, shopTeam)
}

func (i *installation) appliesOnTheClientsSide(t *testing.T) {
	i.git.edit(t, "config/argocd/example/argocd/groups.yaml", "syncOptions: [ServerSideApply=true, ApplyOutOfSyncOnly=true]", "syncOptions: [ApplyOutOfSyncOnly=true]")
	must(t, controlplane.Apply(t.Context(), i.cp.Admin(), i.git.path("config/argocd/example/argocd")))
	eventually(t, "Applications without server-side apply", func() string {
		o := argoObject("Application", shopTeam)
		if err := i.admin.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err.Error()
		}
		if text, err := yaml.Marshal(o.Object["spec"]); err != nil || strings.Contains(string(text), "ServerSideApply") {
			return fmt.Sprint(string(text), err)
		}
		return ""
	})
	i.git.edit(t, shops+"rollouts.yaml", "setPercent: 32", "setPercent: 35")
	i.git.edit(t, "config/samples/shop-team/shop.yaml", "Order at the grocer", "Order from your grocer")
	i.git.commit(t, "another share, and other words")
	i.syncs(t, shopTeam)
	i.awaitHealthy(t, shopTeam)
}
