package controller_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// stableAt plays a program up to a stable first version.
func (g *group) stableAt(t testing.TB, version string, steps ...v1alpha1.RolloutStep) *v1alpha1.Rollout {
	t.Helper()
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.release(t, "app", version)
	g.approve(t, "app-"+version)
	g.rollout(t, "app", version, steps...)
	g.awaitRollout(t, "app", "an attempt", func(ro *v1alpha1.Rollout) bool { return ro.Status.Attempt == 1 })
	if len(steps) > 0 {
		g.act(t, "app", "promote-full@1")
	}
	return g.awaitRollout(t, "app", "stable", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Stable != nil && ro.Status.Published != nil && ro.Status.Published.Sequence == ro.Status.Sequence
	})
}

func (g *group) deleteRollout(t testing.TB) {
	t.Helper()
	var ro v1alpha1.Rollout
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), &ro))
	g.must(t, g.olu.Delete(ctx(t), &ro))
	eventually(t, "the Rollout is gone", func() string {
		err := g.admin.Get(ctx(t), key(g.ns, "app"), &ro)
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		if err == nil {
			return show(ro)
		}
		return ""
	})
}

func TestADeletedRolloutLeavesWhatWasStableAndItsSuccessorGoesOn(t *testing.T) {
	g := newGroup(t, "quality")
	before := g.stableAt(t, "1.0.0")
	g.deleteRollout(t)
	doc := g.published(t, "app")
	if doc.Availability != document.Removed || doc.Tombstone == nil || doc.Tombstone.Installed != document.Retain || doc.Stable.Version != "1.0.0" {
		t.Fatalf("the last document is %s", show(doc))
	}
	if doc.Sequence <= before.Status.Sequence {
		t.Errorf("the tombstone has sequence %d, not above %d", doc.Sequence, before.Status.Sequence)
	}
	g.rollout(t, "app", "1.0.0", percent(5), pauseForPerson())
	g.awaitRollout(t, "app", "adopted", func(ro *v1alpha1.Rollout) bool {
		p := ro.Status.Published
		return ro.Status.Stable != nil && ro.Status.Target == nil && p != nil && p.Sequence > doc.Sequence && ro.Status.Percent == "100%"
	})
	if doc := g.published(t, "app"); doc.Stable.Version != "1.0.0" || doc.Tombstone != nil {
		t.Fatalf("the successor published %s", show(doc))
	}
}

// The last document of a Rollout goes when another of the program has published to
// its host apps, or the publication namespace would fill with them.
func TestTheLastDocumentGoesWhenANewerOneHasReplacedIt(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	g.deleteRollout(t)
	last := g.published(t, "app")
	g.must(t, g.olu.Create(ctx(t), &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "successor"},
		Spec: v1alpha1.RolloutSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"},
		},
	}))
	g.awaitRollout(t, "successor", "it adopts what was stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Stable != nil && isOut(ro) })
	eventually(t, "the last document is gone", func() string {
		err := g.admin.Get(ctx(t), rolloutMap(g, "app"), &corev1.ConfigMap{})
		if apierrors.IsNotFound(err) {
			return ""
		}
		return fmt.Sprint("it is there: ", err)
	})
	if doc := g.published(t, "successor"); doc.Stable.Version != "1.0.0" || doc.Tombstone != nil || doc.Sequence <= last.Sequence {
		t.Errorf("the successor published %s", show(doc))
	}
}

func TestADeletedRolloutWithRemoveTakesTheProgramBack(t *testing.T) {
	g := newGroup(t, "quality")
	ro := g.stableAt(t, "1.0.0")
	before := ro.DeepCopy()
	ro.Spec.DeletionPolicy = v1alpha1.DeletionRemove
	g.must(t, g.olu.Patch(ctx(t), ro, client.MergeFrom(before)))
	g.deleteRollout(t)
	if doc := g.published(t, "app"); doc.Tombstone == nil || doc.Tombstone.Installed != document.Remove || doc.Stable != nil {
		t.Fatalf("the last document is %s", show(doc))
	}
}

func TestAWithdrawnTargetIsTakenBackAtOnce(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0", percent(5), pauseForPerson())
	g.release(t, "app", "1.1.0")
	g.approve(t, "app-1.1.0")
	g.target(t, "app", "app-1.1.0")
	g.awaitRollout(t, "app", "5 %", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "5%" })

	var v v1alpha1.MiniProgramVersion
	g.must(t, g.dana.Get(ctx(t), key(g.ns, "app-1.1.0"), &v))
	before := v.DeepCopy()
	v.Spec.Availability = v1alpha1.AvailabilityWithdrawn
	g.must(t, g.dana.Patch(ctx(t), &v, client.MergeFrom(before)))
	g.awaitRollout(t, "app", "the abort", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Outcome == v1alpha1.OutcomeAborted && ro.Status.Target == nil &&
			strings.Contains(condition(ro.Status.Conditions, v1alpha1.ConditionAborted), "version 1.1.0 was withdrawn")
	})
	g.awaitRollout(t, "app", "it is published", func(ro *v1alpha1.Rollout) bool { return ro.Status.Published.Sequence == ro.Status.Sequence })
	if doc := g.published(t, "app"); doc.Target != nil || doc.Stable.Version != "1.0.0" {
		t.Fatalf("published %s", show(doc))
	}
	g.act(t, "app", "retry@2")
	g.awaitRollout(t, "app", "the retry is refused", func(ro *v1alpha1.Rollout) bool {
		a := ro.Status.LastAction
		return a != nil && a.Value == "retry@2" && a.Result == "Refused" && ro.Status.Target == nil
	})
}

func TestARejectionStaysWhenItsReviewAndItsVersionAreGone(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	review := g.pending(t, "app-1.0.0", "quality")
	g.must(t, g.decide(t, g.rosa, g.rosaName, review, v1alpha1.DecisionRejected, "the cart loses items"))
	eventually(t, "the veto is remembered", func() string {
		var p v1alpha1.MiniProgram
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), &p))
		if len(p.Status.Rejections) != 1 || p.Status.Rejections[0].Digest != review.Spec.Digest {
			return show(p.Status)
		}
		return ""
	})
	var v v1alpha1.MiniProgramVersion
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
	g.must(t, g.admin.Delete(ctx(t), &v))
	eventually(t, "the version is gone", func() string {
		if err := g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v); err == nil {
			return "it is still there"
		}
		return ""
	})
	// The same bytes once more: the same digest, and the veto holds although nobody rejected this object.
	g.version(t, "app", "1.0.0")
	eventually(t, "the veto holds", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
		if got := condition(v.Status.Conditions, v1alpha1.ConditionApproved); !strings.HasPrefix(got, "False Rejected: ") || v.Status.Artifact.Digest != review.Spec.Digest {
			return "got " + got
		}
		return ""
	})
}

func TestAnotherGroupCannotClaimATakenAppID(t *testing.T) {
	first, second := newGroup(t, "quality"), newGroup(t, "quality")
	first.program(t, "app")
	eventually(t, "the first holds it", func() string {
		var p v1alpha1.MiniProgram
		first.must(t, first.admin.Get(ctx(t), key(first.ns, "app"), &p))
		if got := condition(p.Status.Conditions, v1alpha1.ConditionReady); !strings.HasPrefix(got, "True") {
			return "got " + got
		}
		return ""
	})
	p := &v1alpha1.MiniProgram{}
	p.Namespace, p.Name = second.ns, "thief"
	p.Spec = v1alpha1.MiniProgramSpec{AppID: first.ns + ".app", DisplayName: "x", HostApps: []string{second.host}}
	second.must(t, second.dana.Create(ctx(t), p))
	want := "True AppIDTaken: spec.appID " + first.ns + ".app is held by another MiniProgram: create a MiniProgram with another app ID, or let somebody with verb transfer on miniprograms in the whole cluster (ClusterRole miniprogram-admin has it) move it here: kubectl annotate mp thief -n " + second.ns + " --overwrite miniprogram.dev/action=transfer@1"
	eventually(t, "the second stalls", func() string {
		second.must(t, second.admin.Get(ctx(t), key(second.ns, "thief"), p))
		if got := condition(p.Status.Conditions, v1alpha1.ConditionStalled); got != want {
			return "got " + got
		}
		return ""
	})
}

func TestNothingIsWrittenWhileNothingHappens(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	// The Rollout judges by the Reviews themselves, and may be earlier than the version's status.
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "True Approved: has 1 of 1 approvals, for host app "+g.host)
	ro := g.awaitRollout(t, "app", "it is ready", func(ro *v1alpha1.Rollout) bool {
		return strings.HasPrefix(condition(ro.Status.Conditions, v1alpha1.ConditionReady), "True")
	})
	// Wake every reconciler with what changes nothing for these objects, and wait until it was seen.
	for _, name := range []string{"1.0.1", "1.0.2"} {
		g.release(t, "app", name)
		g.awaitVersion(t, "app-"+name, v1alpha1.ConditionReady, "True Succeeded: the artifact is published and checked")
	}
	var after v1alpha1.MiniProgramVersion
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &after))
	if after.ResourceVersion != v.ResourceVersion {
		t.Errorf("the version was written again:\n%s\n%s", show(v.Status), show(after.Status))
	}
	again := g.awaitRollout(t, "app", "still there", func(*v1alpha1.Rollout) bool { return true })
	if again.ResourceVersion != ro.ResourceVersion {
		t.Errorf("the rollout was written again:\n%s\n%s", show(ro.Status), show(again.Status))
	}
}

func TestARolloutWithTheLongestNamesIsRecorded(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	g.approve(t, "app-1.0.0")
	name := strings.Repeat("long-", 50) + "nam"
	g.must(t, g.olu.Create(ctx(t), &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name},
		Spec: v1alpha1.RolloutSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"},
		},
	}))
	ro := g.awaitRollout(t, name, "stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "100%" && isOut(ro) })
	if got := len(ro.Status.Published.ConfigMap); got <= 253 {
		t.Errorf("the name in status has %d characters, so nothing was tried: %s", got, ro.Status.Published.ConfigMap)
	}
}

// A status that comes back from a backup may be older than a whole attempt: what became
// stable since is in the ledger, and everybody keeps it.
func TestARecordOlderThanAWholeAttemptTakesUpWhatIsStable(t *testing.T) {
	g := newGroup(t, "quality")
	backup := g.stableAt(t, "1.0.0").DeepCopy()
	g.release(t, "app", "1.1.0")
	g.approve(t, "app-1.1.0")
	g.target(t, "app", "app-1.1.0")
	later := g.awaitRollout(t, "app", "stable", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Stable != nil && ro.Status.Stable.Version == "1.1.0" && ro.Status.Target == nil && isOut(ro)
	})
	restored := later.DeepCopy()
	restored.Status = backup.Status
	identity, err := g.cp.ServiceAccount(ctx(t), systemNamespace, "miniprogram-manager")
	g.must(t, err)
	g.must(t, g.client(t, identity).Status().Patch(ctx(t), restored, client.MergeFrom(later)))
	got := g.awaitRollout(t, "app", "it goes above", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Sequence > later.Status.Sequence && isOut(ro)
	})
	doc := g.published(t, "app")
	type reached struct {
		Stable   string
		Delivery int64
		Back     string
		Target   bool
	}
	want := reached{"1.1.0", later.Status.Stable.Delivery, "1.0.0", false}
	is := reached{doc.Stable.Version, doc.Stable.Delivery, got.Status.Rollbacks[len(got.Status.Rollbacks)-1].Version, doc.Target != nil}
	if diff := cmp.Diff(want, is); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
