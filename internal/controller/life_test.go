package controller_test

import (
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

func percent(n int) v1alpha1.RolloutStep {
	v := intstr.FromInt(n)
	return v1alpha1.RolloutStep{SetPercent: &v}
}

func pauseForPerson() v1alpha1.RolloutStep { return v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{}} }

// published reads the document that is out, as the manifest service would, once
// it is out what the Rollout's status says is: status is written first.
func (g *group) published(t testing.TB, rollout string) *document.Release {
	t.Helper()
	var ro v1alpha1.Rollout
	g.must(t, client.IgnoreNotFound(g.admin.Get(ctx(t), key(g.ns, rollout), &ro)))
	eventually(t, "what is claimed is out", func() string {
		var cm corev1.ConfigMap
		g.must(t, client.IgnoreNotFound(g.admin.Get(ctx(t), rolloutMap(g, rollout), &cm)))
		if sequence, err := strconv.ParseInt(cm.Data[delivery.KeySequence], 10, 64); err != nil || ro.Status.Published != nil && sequence < ro.Status.Published.Sequence {
			return cm.Data[delivery.KeySequence]
		}
		return ""
	})
	return g.publishedNow(t, rollout)
}

// publishedNow reads the document that is out at this moment.
func (g *group) publishedNow(t testing.TB, rollout string) *document.Release {
	t.Helper()
	var trusted, cm corev1.ConfigMap
	g.must(t, g.admin.Get(ctx(t), key(systemNamespace, "miniprogram-trusted-keys"), &trusted))
	g.must(t, g.admin.Get(ctx(t), rolloutMap(g, rollout), &cm))
	var keys []dsse.Key
	for _, pem := range trusted.Data {
		k, err := dsse.ParsePublicKeyPEM([]byte(pem))
		g.must(t, err)
		keys = append(keys, k)
	}
	_, payload, _, err := dsse.Verify([]byte(cm.Data[delivery.KeyEnvelope]), 1<<20, keys)
	g.must(t, err)
	doc, err := document.Parse(payload)
	g.must(t, err)
	return doc
}

func (g *group) act(t testing.TB, rollout, action string) {
	t.Helper()
	var ro v1alpha1.Rollout
	g.must(t, g.olu.Get(ctx(t), key(g.ns, rollout), &ro))
	before := ro.DeepCopy()
	if ro.Annotations == nil {
		ro.Annotations = map[string]string{}
	}
	ro.Annotations[v1alpha1.ActionAnnotation] = action
	ro.Annotations[v1alpha1.ActionByAnnotation] = "olu-" + g.ns
	g.must(t, g.olu.Patch(ctx(t), &ro, client.MergeFrom(before)))
}

func (g *group) target(t testing.TB, rollout, version string) {
	t.Helper()
	var ro v1alpha1.Rollout
	g.must(t, g.olu.Get(ctx(t), key(g.ns, rollout), &ro))
	before := ro.DeepCopy()
	ro.Spec.VersionRef.Name = version
	g.must(t, g.olu.Patch(ctx(t), &ro, client.MergeFrom(before)))
}

func TestALifeFromTheFirstReleaseToARollback(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.program(t, "app")
	g.release(t, "app", "1.0.0")
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved,
		"False WaitingForApproval: waits for 1 approval of role quality (needs approve on miniprograms/review-quality)")
	g.rollout(t, "app", "1.0.0", percent(5), pauseForPerson())
	g.awaitRollout(t, "app", "waits for the approval", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Target == nil && ro.Status.Summary == "MiniProgramVersion app-1.0.0 is not approved: waits for 1 approval of role quality (needs approve on miniprograms/review-quality)"
	})
	g.approve(t, "app-1.0.0")
	at := func(percent string) func(*v1alpha1.Rollout) bool {
		return func(ro *v1alpha1.Rollout) bool {
			p := ro.Status.Published
			return ro.Status.Percent == percent && p != nil && p.Sequence == ro.Status.Sequence
		}
	}
	g.awaitRollout(t, "app", "5 % of 1.0.0", at("5%"))
	if doc := g.published(t, "app"); doc.Stable != nil || doc.Target.Version != "1.0.0" || doc.Split.BasisPoints != 500 {
		t.Fatalf("published %s", show(doc))
	}
	g.act(t, "app", "promote@1/1")
	g.awaitRollout(t, "app", "1.0.0 is stable", at("100%"))

	g.release(t, "app", "1.1.0")
	g.approve(t, "app-1.1.0")
	g.awaitVersion(t, "app-1.1.0", v1alpha1.ConditionApproved, "True Approved: "+approvedMessage(t, g, "app-1.1.0"))
	g.target(t, "app", "app-1.1.0")
	g.awaitRollout(t, "app", "5 % of 1.1.0", at("5%"))
	g.act(t, "app", "abort@2")
	g.awaitRollout(t, "app", "the abort", func(ro *v1alpha1.Rollout) bool { return ro.Status.Outcome == v1alpha1.OutcomeAborted && at("100%")(ro) })
	if doc := g.published(t, "app"); doc.Target != nil || doc.Stable.Version != "1.0.0" || len(doc.Recalls) != 1 {
		t.Fatalf("published after the abort %s", show(doc))
	}
	g.act(t, "app", "retry@2")
	g.awaitRollout(t, "app", "5 % again", at("5%"))
	g.act(t, "app", "promote-full@3")
	g.awaitRollout(t, "app", "1.1.0 is stable", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Outcome == v1alpha1.OutcomeFastPromoted && at("100%")(ro)
	})
	g.target(t, "app", "app-1.0.0")
	g.awaitRollout(t, "app", "the rollback", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Outcome == v1alpha1.OutcomeRolledBack && at("100%")(ro)
	})
	if doc := g.published(t, "app"); doc.Stable.Version != "1.0.0" || doc.Target != nil {
		t.Fatalf("published after the rollback %s", show(doc))
	}
}

func approvedMessage(t testing.TB, g *group, name string) string {
	t.Helper()
	var v v1alpha1.MiniProgramVersion
	eventually(t, name+" is approved", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, name), &v))
		if len(v.Status.ApprovedHostApps) == 0 {
			return show(v.Status)
		}
		return ""
	})
	return conditionMessage(&v)
}

func conditionMessage(v *v1alpha1.MiniProgramVersion) string {
	for _, c := range v.Status.Conditions {
		if c.Type == v1alpha1.ConditionApproved {
			return c.Message
		}
	}
	return ""
}
