package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// letPietApprove gives him the right that rosa has.
func (g *group) letPietApprove(t testing.TB) {
	t.Helper()
	g.bind(t, g.pietName(), "Role", "review-quality-app")
}

// supersede lets piet create an approval of app-1.0.0 that names a rejection.
func (g *group) supersede(t testing.TB, name, digest, rejection string) {
	t.Helper()
	g.must(t, g.piet.Create(ctx(t), &v1alpha1.Review{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: name, Labels: map[string]string{"miniprogram.dev/supersedes": "true"}},
		Spec: v1alpha1.ReviewSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, VersionRef: v1alpha1.VersionReference{Name: "app-1.0.0"},
			Digest: digest, Role: "quality", Decision: v1alpha1.DecisionApproved, Reviewer: g.pietName(), Supersedes: rejection,
		},
	}))
}

// awaitNextSecond waits until what is created is later than what was, for times of objects are whole seconds.
func awaitNextSecond(t testing.TB) {
	t.Helper()
	began := time.Now().Truncate(time.Second)
	eventually(t, "a second has passed", func() string {
		if now := time.Now().Truncate(time.Second); !now.After(began) {
			return now.String()
		}
		return ""
	})
}

// Names of Reviews that are asked for can be computed once the version is there. So a
// reviewer without verb overrule can name one before it exists, when admission has
// nothing to compare, and the author can have all decisions noted anew.
func TestNobodyLiftsARejectionThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	g, pending := reviewed(t)
	g.letPietApprove(t)
	g.supersede(t, "in-advance", pending.Spec.Digest, "word")
	awaitNextSecond(t)
	g.decided(t, "word", pending.Spec.Digest, v1alpha1.DecisionRejected)
	g.awaitRecord(t, "word")
	g.awaitVersionRejected(t, "app-1.0.0")
	g.awaitRecord(t, "in-advance")

	v := &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app-1.0.0"}}
	g.must(t, g.admin.Delete(ctx(t), v)) // of what people create no version is the owner
	g.awaitGone(t, "app-1.0.0", v)
	awaitNextSecond(t)
	g.version(t, "app", "1.0.0")
	eventually(t, "both are noted anew, and the rejection is a veto", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), v))
		if len(v.Status.Decisions) < 2 || !strings.HasPrefix(condition(v.Status.Conditions, v1alpha1.ConditionApproved), "False Rejected: ") {
			return show(v.Status)
		}
		return ""
	})
}

func TestWhoMayOverruleLiftsARejectionThatIsThere(t *testing.T) {
	t.Parallel()
	g, pending := reviewed(t)
	g.letPietApprove(t)
	g.must(t, g.admin.Create(ctx(t), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "overrule"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"miniprograms"}, Verbs: []string{"overrule"}}},
	}))
	g.bind(t, g.pietName(), "Role", "overrule")
	g.decided(t, "word", pending.Spec.Digest, v1alpha1.DecisionRejected)
	g.awaitVersionRejected(t, "app-1.0.0")
	awaitNextSecond(t)
	g.supersede(t, "better", pending.Spec.Digest, "word")
	approvedMessage(t, g, "app-1.0.0")
}

// fillRejections leaves a program no room for another veto.
func (g *group) fillRejections(t testing.TB) {
	t.Helper()
	identity, err := g.cp.ServiceAccount(ctx(t), systemNamespace, "miniprogram-manager")
	g.must(t, err)
	eventually(t, "status.rejections is full", func() string {
		var p v1alpha1.MiniProgram
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), &p))
		for i := len(p.Status.Rejections); i < 200; i++ {
			p.Status.Rejections = append(p.Status.Rejections, v1alpha1.Rejection{
				Digest: fmt.Sprintf("sha256:%064x", i), Role: "quality", Reviewer: g.pietName(), Review: fmt.Sprint(i), Time: metav1.Now(),
			})
		}
		if err := g.client(t, identity).Status().Update(ctx(t), &p); err != nil {
			return err.Error()
		}
		return ""
	})
}

// A reviewer can fill a program's memory with vetoes of nothing. That must not make
// room for bytes that another has rejected, under another name.
func TestAVetoThatNoStatusHasRoomForHoldsInOtherVersionsToo(t *testing.T) {
	t.Parallel()
	g, pending := reviewed(t)
	g.fillRejections(t)
	again := func(v *v1alpha1.MiniProgramVersion) {
		v.Name = "app-again"
		v.Spec.Source.ConfigMap.Name = "app-1.0.0"
	}
	g.version(t, "app", "1.0.0", again)
	v := g.awaitVersion(t, "app-again", v1alpha1.ConditionApproved, waits)
	if v.Status.Artifact.Digest != pending.Spec.Digest {
		t.Fatalf("the bytes are others: %s", v.Status.Artifact.Digest)
	}
	g.pending(t, "app-again", "quality")
	(&queue{group: g}).settle(t) // else a pass that is due anyway would see the veto by chance
	g.decided(t, "word", pending.Spec.Digest, v1alpha1.DecisionRejected)
	g.awaitVersionRejected(t, "app-1.0.0")
	g.awaitVersionRejected(t, "app-again")
}

func TestADeveloperDeletesNeitherTheRecordOfAnApprovalNorAWithdrawal(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	v := &v1alpha1.MiniProgramVersion{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app-1.0.0"}}
	refused(t, g.dana.Delete(ctx(t), v), "ask for verb purge on reviews")
	g.deleteRollout(t) // what was stable stays in the ledger, and a Rollout that is created anew takes it over
	g.withdrawVersion(t, "app-1.0.0")
	refused(t, g.dana.Delete(ctx(t), v), "ask for verb withdraw on miniprogramversions")
}
