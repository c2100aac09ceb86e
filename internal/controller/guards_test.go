package controller_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

func TestWhatAHostAppCannotGrantIsNotReleasedThere(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	var host v1alpha1.HostApp
	g.must(t, g.admin.Get(ctx(t), key("", g.host), &host))
	before := host.DeepCopy()
	host.Spec.Capabilities = []string{"camera"}
	g.must(t, g.admin.Patch(ctx(t), &host, client.MergeFrom(before)))
	g.must(t, g.dana.Create(ctx(t), &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"},
		Spec: v1alpha1.MiniProgramSpec{
			AppID: g.ns + ".app", DisplayName: "app", HostApps: []string{g.host}, Kind: "WebApp",
			Permissions: []v1alpha1.Permission{{Name: "contacts", Reason: "to share", Need: "Required"}},
		},
	}))
	g.release(t, "app", "1.0.0")
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False PolicyFailed: a policy objects to the content: see condition PolicyPassed")
	g.say(t, "all-the-same", "app-1.0.0", v.Status.Artifact.Digest, v1alpha1.DecisionApproved, "")
	g.rollout(t, "app", "1.0.0")
	ro := g.awaitRollout(t, "app", "it holds", func(ro *v1alpha1.Rollout) bool {
		return condition(ro.Status.Conditions, v1alpha1.ConditionReady) == "False PolicyFailed: a policy objects to MiniProgramVersion app-1.0.0: see its condition PolicyPassed"
	})
	if ro.Status.Target != nil || ro.Status.Stable != nil {
		t.Errorf("it serves %s", show(ro.Status))
	}
}

func TestAProgramThatComesBackUnderAnotherAppIDIsAnother(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	g.must(t, g.dana.Delete(ctx(t), &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"}}))
	g.must(t, g.dana.Create(ctx(t), &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"},
		Spec:       v1alpha1.MiniProgramSpec{AppID: g.ns + ".else", DisplayName: "else", HostApps: []string{g.host}, Kind: "WebApp"},
	}))
	g.awaitRollout(t, "app", "it stalls", func(ro *v1alpha1.Rollout) bool {
		return strings.HasPrefix(condition(ro.Status.Conditions, v1alpha1.ConditionStalled), "True OtherAppID: MiniProgram app has app ID "+g.ns+".else")
	})
	g.must(t, g.olu.Create(ctx(t), &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "new"},
		Spec: v1alpha1.RolloutSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"}, HostApps: []string{g.host},
		},
	}))
	ro := g.awaitRollout(t, "new", "it holds", func(ro *v1alpha1.Rollout) bool {
		return condition(ro.Status.Conditions, v1alpha1.ConditionReady) ==
			"False OtherAppID: MiniProgramVersion app-1.0.0 was packaged for app ID "+g.ns+".app, not "+g.ns+".else: create another version"
	})
	if ro.Status.Published != nil {
		t.Errorf("it published %s", show(ro.Status.Published))
	}
}

func TestSuspendingAndWithdrawingByAnnotation(t *testing.T) {
	g := newGroup(t, "quality")
	g.underWay(t)
	emergency := func(o client.Object, name, action string) {
		change(t, g, g.olu, o, name, func(o client.Object) {
			o.SetAnnotations(map[string]string{v1alpha1.ActionAnnotation: action, v1alpha1.ActionByAnnotation: "olu-" + g.ns})
		})
	}
	emergency(&v1alpha1.MiniProgramVersion{}, "app-1.1.0", "withdraw@1")
	g.awaitAbort(t)
	available := func(want document.Availability) {
		t.Helper()
		eventually(t, "availability "+string(want), func() string {
			if doc := g.published(t, "app"); doc.Availability != want {
				return show(doc)
			}
			return ""
		})
	}
	emergency(&v1alpha1.MiniProgram{}, "app", "suspend@1")
	available(document.Suspended)
	emergency(&v1alpha1.MiniProgram{}, "app", "resume@1")
	available(document.Listed)
}

func TestADocumentThatIsTooLargeIsNotRecordedAndLaterMended(t *testing.T) {
	g := newGroup(t, "quality")
	long := func(n int) string { return strings.Repeat("界", n) }
	permissions := make([]v1alpha1.Permission, 50)
	data := make([]v1alpha1.PersonalData, 50)
	for i := range permissions {
		permissions[i] = v1alpha1.Permission{Name: fmt.Sprintf("p%d", i), Reason: long(512), Need: "Optional"}
		data[i] = v1alpha1.PersonalData{Name: fmt.Sprintf("d%d", i), Purpose: long(512)}
	}
	g.letApprove(t, g.rosaName, "quality", "app")
	g.must(t, g.dana.Create(ctx(t), &v1alpha1.MiniProgram{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"},
		Spec: v1alpha1.MiniProgramSpec{
			AppID: g.ns + ".app", DisplayName: "app", HostApps: []string{g.host}, Kind: "WebApp",
			Permissions: permissions, Privacy: &v1alpha1.Privacy{PolicyURL: "https://example.com/privacy", Data: data},
		},
	}))
	g.release(t, "app", "1.0.0")
	g.approve(t, "app-1.0.0")
	g.rollout(t, "app", "1.0.0")
	stable := g.awaitRollout(t, "app", "stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "100%" && isOut(ro) })
	describe := func(n int) {
		change(t, g, g.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) {
			p.Spec.Locales = nil
			for i := range 50 {
				p.Spec.Locales = append(p.Spec.Locales, v1alpha1.LocalizedText{Lang: fmt.Sprintf("x%c%c", 'a'+i/26, 'a'+i%26), DisplayName: "x", Description: long(n)})
			}
		})
	}
	describe(1024)
	ro := g.awaitRollout(t, "app", "it says so", func(ro *v1alpha1.Rollout) bool {
		return strings.HasPrefix(condition(ro.Status.Conditions, v1alpha1.ConditionStalled), "True DocumentTooLarge: ")
	})
	if ro.Status.Sequence != stable.Status.Sequence {
		t.Errorf("what cannot be published was recorded: %d after %d", ro.Status.Sequence, stable.Status.Sequence)
	}
	describe(10)
	g.awaitRollout(t, "app", "it is mended", func(ro *v1alpha1.Rollout) bool {
		return strings.HasPrefix(condition(ro.Status.Conditions, v1alpha1.ConditionReady), "True ") && ro.Status.Sequence > stable.Status.Sequence && isOut(ro)
	})
}

func TestAVersionDoesNotClaimWhatNobodyChecked(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	g.configMap(t, "app-1.0.0", archive(t, "x"))
	g.version(t, "app", "1.0.0", func(v *v1alpha1.MiniProgramVersion) { v.Spec.Availability = v1alpha1.AvailabilityWithdrawn })
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, "False Withdrawn: the version was withdrawn before it was packaged; create another version")

	g.release(t, "app", "1.0.1")
	review := g.pending(t, "app-1.0.1", "quality")
	g.must(t, g.dana.Delete(ctx(t), &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"}}))
	missing := "spec.miniProgramRef names MiniProgram app, which does not exist in namespace " + g.ns + ": create it"
	g.awaitVersion(t, "app-1.0.1", v1alpha1.ConditionPolicyPassed, "Unknown NotChecked: the policies could not be applied: "+missing)
	g.awaitVersion(t, "app-1.0.1", v1alpha1.ConditionApproved, "False NotJudged: nobody can tell now whether the version is approved: "+missing)
	eventually(t, "the Review waits", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, review.Name), review))
		if got := condition(review.Status.Conditions, v1alpha1.ConditionReconciling); got != "True MiniProgramMissing: MiniProgram app does not exist: create it" {
			return got
		}
		return ""
	})
}

func TestALabelOfTheNamespaceWakesWhatDependsOnIt(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	var host v1alpha1.HostApp
	g.must(t, g.admin.Get(ctx(t), key("", g.host), &host))
	chosen := &metav1.LabelSelector{MatchLabels: map[string]string{"team": g.ns}}
	before := host.DeepCopy()
	host.Spec.NamespaceSelector = chosen
	g.must(t, g.admin.Patch(ctx(t), &host, client.MergeFrom(before)))
	g.must(t, g.admin.Create(ctx(t), &v1alpha1.ReviewPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "late-" + g.ns},
		Spec:       v1alpha1.ReviewPolicySpec{NamespaceSelector: chosen, Enforcement: v1alpha1.Enforce, Approvals: []v1alpha1.ApprovalRule{{Role: "privacy"}}},
	}))
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	g.approve(t, "app-1.0.0")
	g.rollout(t, "app", "1.0.0", percent(5), pauseForPerson())
	g.awaitRollout(t, "app", "no host app takes it", func(ro *v1alpha1.Rollout) bool {
		return strings.HasPrefix(condition(ro.Status.Conditions, v1alpha1.ConditionReady), "False NoHostApp: ")
	})
	var ns corev1.Namespace
	g.must(t, g.admin.Get(ctx(t), key("", g.ns), &ns))
	unlabelled := ns.DeepCopy()
	ns.Labels["team"] = g.ns
	g.must(t, g.admin.Patch(ctx(t), &ns, client.MergeFrom(unlabelled)))
	g.pending(t, "app-1.0.0", "privacy")
	g.awaitRollout(t, "app", "it waits for the other approval", func(ro *v1alpha1.Rollout) bool {
		return strings.Contains(condition(ro.Status.Conditions, v1alpha1.ConditionReady), "waits for 1 approval of role privacy")
	})
	eventually(t, "the host app counts the program", func() string {
		g.must(t, g.admin.Get(ctx(t), key("", g.host), &host))
		if host.Status.MiniPrograms != 1 {
			return show(host.Status)
		}
		return ""
	})
}

func TestAClaimThatWasDeletedIsMadeAnew(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	name := key(publishedNamespace, delivery.LedgerConfigMap(g.ns+".app"))
	var page corev1.ConfigMap
	g.must(t, g.admin.Get(ctx(t), name, &page))
	uid := page.UID
	g.must(t, g.admin.Delete(ctx(t), &page))
	eventually(t, "the claim", func() string {
		if err := g.admin.Get(ctx(t), name, &page); err != nil || page.UID == uid {
			return fmt.Sprint(err, " ", page.UID)
		}
		return ""
	})
}
