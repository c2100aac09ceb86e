package controller_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// awaitRecord waits until a Review says that its decision outlives it.
func (g *group) awaitRecord(t testing.TB, name string) {
	t.Helper()
	eventually(t, name+" is recorded", func() string {
		var r v1alpha1.Review
		g.must(t, g.admin.Get(ctx(t), key(g.ns, name), &r))
		if r.Status.RecordTime == nil {
			return show(r.Status)
		}
		return ""
	})
}

func TestADecisionIsRecordedOnceItOutlivesItsReview(t *testing.T) {
	g, pending := reviewed(t)
	other := "sha256:" + strings.Repeat("a", 64)
	g.decided(t, "of-other-bytes", other, v1alpha1.DecisionApproved)
	g.decided(t, "of-another-version", pending.Spec.Digest, v1alpha1.DecisionApproved, func(s *v1alpha1.ReviewSpec) { s.VersionRef.Name = "app-9.9.9" })
	g.decided(t, "approval", pending.Spec.Digest, v1alpha1.DecisionApproved)
	g.decided(t, "veto", other, v1alpha1.DecisionRejected)
	// Of a version that does not exist, only the program can tell that it is kept.
	g.decided(t, "veto-of-nothing", "sha256:"+strings.Repeat("b", 64), v1alpha1.DecisionRejected, func(s *v1alpha1.ReviewSpec) { s.VersionRef.Name = "app-9.9.9" })
	for _, name := range []string{"of-other-bytes", "of-another-version", "approval", "veto", "veto-of-nothing"} {
		g.awaitRecord(t, name)
	}
	var v v1alpha1.MiniProgramVersion
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
	if len(v.Status.Decisions) != 1 || v.Status.Decisions[0].Review != "approval" {
		t.Errorf("the version remembers %s", show(v.Status.Decisions))
	}
	var p v1alpha1.MiniProgram
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), &p))
	if len(p.Status.Rejections) != 2 || p.Status.Rejections[0].Review != "veto" || p.Status.Rejections[1].Review != "veto-of-nothing" {
		t.Errorf("the program remembers %s", show(p.Status.Rejections))
	}
	var r v1alpha1.Review
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "veto"), &r))
	if r.Status.RecordTime.Before(&p.Status.Rejections[0].Time) {
		t.Errorf("recorded at %s, before the program had it at %s", r.Status.RecordTime, p.Status.Rejections[0].Time)
	}
}

// Who may delete programs and versions must not get rid of a veto that way: the
// garbage collector deletes the Reviews of a version, and has the right to.
func TestARejectionIsRecordedOnlyByAProgram(t *testing.T) {
	g, pending := reviewed(t)
	program := &v1alpha1.MiniProgram{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app"}}
	g.must(t, g.dana.Delete(ctx(t), program))
	g.awaitGone(t, "app", program)
	g.must(t, g.decide(t, g.rosa, g.rosaName, pending, v1alpha1.DecisionRejected, "no"))
	eventually(t, "the Review was looked at", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, pending.Name), pending))
		if pending.Status.ObservedGeneration != pending.Generation {
			return show(pending.Status)
		}
		return ""
	})
	refused(t, g.admin.Delete(ctx(t), pending), "see that the manager runs and that mini program app exists")
	g.program(t, "app")
	g.awaitRecord(t, pending.Name)
	g.must(t, g.admin.Delete(ctx(t), pending))
	g.awaitVersionRejected(t, "app-1.0.0")
}

func TestAnotherReviewOfTheSameNameIsRememberedToo(t *testing.T) {
	g, pending := reviewed(t)
	g.bind(t, "piet-"+g.ns, "Role", "review-quality-app")
	g.decided(t, "veto", pending.Spec.Digest, v1alpha1.DecisionRejected)
	g.awaitRecord(t, "veto")
	g.must(t, g.admin.Delete(ctx(t), &v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "veto"}}))
	again := &v1alpha1.Review{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "veto"}, Spec: pending.Spec}
	again.Spec.RequestedBy, again.Spec.Decision, again.Spec.Reviewer, again.Spec.Comment = "", v1alpha1.DecisionRejected, "piet-"+g.ns, "as well"
	g.must(t, g.piet.Create(ctx(t), again))
	g.awaitRecord(t, "veto")
	var p v1alpha1.MiniProgram
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), &p))
	if len(p.Status.Rejections) != 2 || p.Status.Rejections[1].Reviewer != "piet-"+g.ns {
		t.Errorf("the program remembers %s", show(p.Status.Rejections))
	}
}
