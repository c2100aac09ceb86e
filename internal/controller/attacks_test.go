package controller_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// change patches the object of the group that o names.
func change[O client.Object](t testing.TB, g *group, who client.Client, o O, name string, how func(O)) {
	t.Helper()
	g.must(t, g.admin.Get(ctx(t), key(g.ns, name), o))
	before, ok := o.DeepCopyObject().(O)
	if !ok {
		t.Fatal("a copy of another type")
	}
	how(o)
	g.must(t, who.Patch(ctx(t), o, client.MergeFrom(before)))
}

// underWay plays a program up to 5 % of 1.1.0 beside the stable 1.0.0.
func (g *group) underWay(t testing.TB) *v1alpha1.Rollout {
	t.Helper()
	g.stableAt(t, "1.0.0", percent(5), pauseForPerson())
	g.release(t, "app", "1.1.0")
	g.approve(t, "app-1.1.0")
	g.target(t, "app", "app-1.1.0")
	return g.awaitRollout(t, "app", "5 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "5%" && isOut(ro) })
}

// isOut tells that what was decided is published.
func isOut(ro *v1alpha1.Rollout) bool {
	return ro.Status.Published != nil && ro.Status.Published.Sequence == ro.Status.Sequence
}

// awaitAbort waits until the target was taken back and the world knows.
func (g *group) awaitAbort(t testing.TB) {
	t.Helper()
	g.awaitRollout(t, "app", "the abort", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Outcome == v1alpha1.OutcomeAborted && ro.Status.Target == nil && isOut(ro)
	})
	if doc := g.published(t, "app"); doc.Target != nil || doc.Stable.Version != "1.0.0" {
		t.Fatalf("published %s", show(doc))
	}
}

func (g *group) withdrawVersion(t testing.TB, name string) {
	t.Helper()
	change(t, g, g.dana, &v1alpha1.MiniProgramVersion{}, name, func(v *v1alpha1.MiniProgramVersion) {
		v.Spec.Availability = v1alpha1.AvailabilityWithdrawn
	})
}

// brokenSelector is one that the API server takes and that means nothing.
func brokenSelector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: metav1.LabelSelectorOpIn}}}
}

func TestAPolicyThatCannotBeReadKeepsNothingInService(t *testing.T) {
	g := newGroup(t, "quality")
	g.underWay(t)
	broken := &v1alpha1.ReviewPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "broken-" + g.ns},
		Spec:       v1alpha1.ReviewPolicySpec{NamespaceSelector: brokenSelector(), Enforcement: v1alpha1.Enforce},
	}
	g.must(t, g.admin.Create(ctx(t), broken))
	mend := func() { g.must(t, client.IgnoreNotFound(g.admin.Delete(ctx(t), broken))) }
	t.Cleanup(mend)
	ro := g.awaitRollout(t, "app", "it says so", func(ro *v1alpha1.Rollout) bool {
		return strings.HasPrefix(condition(ro.Status.Conditions, v1alpha1.ConditionStalled), "True PolicyInvalid: ReviewPolicy broken-"+g.ns)
	})
	if ro.Status.Percent != "5%" {
		t.Errorf("the share moved: %s", show(ro.Status))
	}
	g.withdrawVersion(t, "app-1.1.0")
	g.awaitAbort(t)
	mend()
	g.awaitRollout(t, "app", "it goes on", func(ro *v1alpha1.Rollout) bool {
		return strings.HasPrefix(condition(ro.Status.Conditions, v1alpha1.ConditionReady), "False Aborted: ")
	})
}

// A mistake in a policy that only counts must not stop the whole platform.
func TestAPolicyThatOnlyTellsHoldsNothingBackWhenItCannotBeRead(t *testing.T) {
	g := newGroup(t, "quality")
	for _, enforcement := range []string{v1alpha1.Warn, v1alpha1.Audit} {
		broken := &v1alpha1.ReviewPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: strings.ToLower(enforcement) + "-" + g.ns},
			Spec:       v1alpha1.ReviewPolicySpec{NamespaceSelector: brokenSelector(), Enforcement: enforcement},
		}
		g.must(t, g.admin.Create(ctx(t), broken))
		t.Cleanup(func() { g.must(t, g.admin.Delete(ctx(t), broken)) })
		eventually(t, "it says so", func() string {
			g.must(t, g.admin.Get(ctx(t), client.ObjectKeyFromObject(broken), broken))
			got := condition(broken.Status.Conditions, v1alpha1.ConditionStalled)
			if !strings.HasPrefix(got, "True SelectorInvalid: ReviewPolicy "+broken.Name) || !strings.HasSuffix(got, "; it is not applied until it is corrected") {
				return "it says " + got
			}
			return ""
		})
	}
	g.stableAt(t, "1.0.0")
}

func TestARolloutOfATakenHostAppStallsAndCanBeDeleted(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	second := &v1alpha1.Rollout{}
	second.Namespace, second.Name = g.ns, "second"
	second.Spec = v1alpha1.RolloutSpec{
		MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, HostApps: []string{g.host},
		VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"},
	}
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) { ro.Spec.HostApps = []string{g.host} })
	g.must(t, g.olu.Create(ctx(t), second))
	g.awaitRollout(t, "second", "it stalls", func(ro *v1alpha1.Rollout) bool {
		return strings.HasPrefix(condition(ro.Status.Conditions, v1alpha1.ConditionStalled), "True HostAppTaken: ")
	})
	g.must(t, g.olu.Delete(ctx(t), second))
	eventually(t, "the second is gone", func() string {
		if err := g.admin.Get(ctx(t), key(g.ns, "second"), second); client.IgnoreNotFound(err) != nil || err == nil {
			return show(second)
		}
		return ""
	})
}

// ourKey is the installation's signing key.
func (g *group) ourKey(t testing.TB) *signing.Signer {
	t.Helper()
	var secret corev1.Secret
	g.must(t, g.admin.Get(ctx(t), key(systemNamespace, "miniprogram-signing-key"), &secret))
	signer, err := signing.Parse(secret.Data[signing.PrivateKey])
	g.must(t, err)
	return signer
}

func TestADocumentOfOursWithAHigherSequenceIsNeverTakenBack(t *testing.T) {
	g := newGroup(t, "quality")
	ro := g.stableAt(t, "1.0.0")
	newer := g.published(t, "app")
	var out corev1.ConfigMap
	g.must(t, g.admin.Get(ctx(t), rolloutMap(g, "app"), &out))
	uid := out.UID

	// As after a backup was restored: what is out is newer than what is recorded.
	newer.Sequence += 1000
	payload, err := document.Marshal(newer)
	g.must(t, err)
	envelope, err := g.ourKey(t).Sign(payload)
	g.must(t, err)
	before := out.DeepCopy()
	out.Data[delivery.KeyEnvelope], out.Data[delivery.KeySequence] = string(envelope), show(newer.Sequence)
	g.must(t, g.admin.Patch(ctx(t), &out, client.MergeFrom(before)))
	g.awaitRollout(t, "app", "it goes above", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Sequence > newer.Sequence && isOut(ro)
	})
	g.must(t, g.admin.Get(ctx(t), rolloutMap(g, "app"), &out))
	if out.UID != uid {
		t.Error("the ConfigMap was deleted and made anew")
	}
	if doc := g.published(t, "app"); doc.Stable.Digest != ro.Status.Stable.Digest || doc.Sequence <= newer.Sequence {
		t.Errorf("published %s", show(doc))
	}
}

// letApproveFor gives a user the right to decide for a host app in role quality.
func (g *group) letApproveFor(t testing.TB, user string, hosts ...string) {
	t.Helper()
	name := "review-" + g.ns
	g.must(t, g.admin.Create(ctx(t), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"hostapps/review-quality"}, ResourceNames: hosts, Verbs: []string{"approve"},
		}},
	}))
	g.bindEverywhere(t, user, name)
}

// say lets rosa create a Review that is decided already.
func (g *group) say(t testing.TB, name, version, digest, decision, hostApp string) {
	t.Helper()
	g.must(t, g.rosa.Create(ctx(t), &v1alpha1.Review{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name},
		Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: version},
			Digest: digest, Role: "quality", HostApp: hostApp, Decision: decision, Reviewer: g.rosaName, Comment: "because",
		},
	}))
}

func TestAVetoForOneHostAppHoldsForThatOneOnly(t *testing.T) {
	g := newGroup(t, "quality")
	other := "other-" + g.ns
	g.letApproveFor(t, g.rosaName, g.host, other)
	ro := g.underWay(t)
	digest := ro.Status.Target.Digest
	hostApps := func(names ...string) {
		change(t, g, g.dana, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Spec.HostApps = names })
	}
	hostApps(g.host, other)
	g.say(t, "elsewhere", "app-1.1.0", digest, v1alpha1.DecisionRejected, other)
	g.awaitVersion(t, "app-1.1.0", v1alpha1.ConditionApproved, "False Rejected: "+"rejected by "+g.rosaName+" in role quality for host app "+other+
		" (review elsewhere): only a later approval by the same person, or with verb overrule, that names it in spec.supersedes lifts this; a changed bundle needs a new version")
	// A decision that comes after it shows that the veto was seen, and passed over.
	g.act(t, "app", "pause@2")
	ro = g.awaitRollout(t, "app", "it is paused", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.LastAction != nil && ro.Status.LastAction.Value == "pause@2"
	})
	if ro.Status.Target == nil || ro.Status.Percent != "5%" {
		t.Fatalf("a veto for another host app took the target: %s", show(ro.Status))
	}
	// The developer takes out the host app that is served, and its veto must hold there all the same.
	hostApps(other)
	g.say(t, "here", "app-1.1.0", digest, v1alpha1.DecisionRejected, g.host)
	g.awaitAbort(t)
}

func TestAVetoHoldsWhereVersionAndProgramAreGone(t *testing.T) {
	for gone, remove := range map[string]func(g *group) client.Object{
		"the version": func(g *group) client.Object {
			return &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app-1.1.0"}}
		},
		"the program": func(g *group) client.Object {
			return &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"}}
		},
	} {
		t.Run(gone, func(t *testing.T) {
			g := newGroup(t, "quality")
			ro := g.underWay(t)
			g.must(t, g.admin.Delete(ctx(t), remove(g)))
			g.awaitRollout(t, "app", "it holds", func(ro *v1alpha1.Rollout) bool {
				return strings.Contains(condition(ro.Status.Conditions, v1alpha1.ConditionReady), "1.1.0 stays at its present share")
			})
			g.say(t, "late", "app-1.1.0", ro.Status.Target.Digest, v1alpha1.DecisionRejected, "")
			g.awaitAbort(t)
		})
	}
}

func TestWhatWasWithdrawnMeanwhileIsNotAdopted(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	g.deleteRollout(t)
	g.withdrawVersion(t, "app-1.0.0")
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False Withdrawn: the version was withdrawn; create another version")
	c, err := client.NewWithWatch(g.cp.Admin(), client.Options{Scheme: g.scheme})
	g.must(t, err)
	seen, err := c.Watch(ctx(t), &v1alpha1.RolloutList{}, client.InNamespace(g.ns))
	g.must(t, err)
	t.Cleanup(seen.Stop)

	g.rollout(t, "app", "2.0.0", percent(5), pauseForPerson())
	for e := range seen.ResultChan() {
		ro, ok := e.Object.(*v1alpha1.Rollout)
		if !ok {
			t.Fatalf("the watch says %s", show(e.Object))
		}
		if ro.Status.Stable != nil {
			t.Fatalf("a withdrawn version is stable: %s", show(ro.Status))
		}
		if d := ro.Status.Document; d != nil && d.Availability == v1alpha1.AvailabilityWithdrawn && isOut(ro) {
			break
		}
	}
	if doc := g.published(t, "app"); doc.Availability != document.Withdrawn || doc.Stable != nil {
		t.Errorf("published %s", show(doc))
	}
}

func TestWhatARolloutRemovedIsNotAdopted(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) { ro.Spec.DeletionPolicy = v1alpha1.DeletionRemove })
	g.deleteRollout(t)
	g.release(t, "app", "2.0.0")
	g.rollout(t, "app", "2.0.0")
	ro := g.awaitRollout(t, "app", "it waits for the approval", func(ro *v1alpha1.Rollout) bool {
		return strings.HasPrefix(condition(ro.Status.Conditions, v1alpha1.ConditionReady), "False NotApproved: ")
	})
	if ro.Status.Stable != nil {
		t.Errorf("it serves %s again", ro.Status.Stable.Version)
	}
}
