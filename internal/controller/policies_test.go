package controller_test

import (
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// editPolicy changes the group's policy.
func (g *group) editPolicy(t testing.TB, how func(*v1alpha1.ReviewPolicySpec)) {
	t.Helper()
	change(t, g, g.admin, &v1alpha1.ReviewPolicy{}, g.ns, func(p *v1alpha1.ReviewPolicy) { how(&p.Spec) })
}

func TestAPolicyCanAskForAnAuthorWhomAdmissionHasChecked(t *testing.T) {
	g := newGroup(t, "quality")
	g.letApprove(t, g.rosaName, "quality", "app")
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) { s.Approvals[0].Author = v1alpha1.AuthorProven })
	g.program(t, "app")
	g.configMap(t, "app-1.0.0", archive(t, "declared"))
	declared := &v1alpha1.MiniProgramVersion{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app-1.0.0"},
		Spec: v1alpha1.MiniProgramVersionSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: "app"}, Version: "1.0.0", Review: v1alpha1.ReviewRequested, SubmittedBy: g.danaName,
			Source: v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: "app-1.0.0", Key: "bundle.zip"}},
		},
	}
	g.must(t, g.admin.Create(ctx(t), declared)) // as an account that applies what stands in Git
	why := "ReviewPolicy " + g.ns + " asks in role quality for versions whose author admission has checked, and " + g.danaName +
		" was only declared by another account (status.author): the author has to create a version with an own account"
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False AuthorNotProven: 1 approval of role quality would not count: "+why)
	if asked := g.reviews(t, v1alpha1.DecisionPending); len(asked) > 0 {
		t.Errorf("people are asked in vain: %v", asked)
	}
	g.decided(t, "in-vain", v.Status.Artifact.Digest, v1alpha1.DecisionApproved)
	g.awaitReview(t, "in-vain", "True AuthorNotProven: review in-vain by "+g.rosaName+" does not count: "+why)

	g.configMap(t, "app-1.0.1", archive(t, "proven"))
	g.version(t, "app", "1.0.1", func(v *v1alpha1.MiniProgramVersion) {
		v.Annotations = map[string]string{v1alpha1.SubmittedThroughAnnotation: g.danaName}
	})
	g.approve(t, "app-1.0.1")
	approvedMessage(t, g, "app-1.0.1")
}

func TestAServiceAccountIsNoProvenAuthor(t *testing.T) {
	g := newGroup(t, "quality")
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) { s.Approvals[0].Author = v1alpha1.AuthorProven })
	g.program(t, "app")
	g.configMap(t, "app-1.0.0", archive(t, "app 1.0.0"))
	pipeline := "system:serviceaccount:" + g.ns + ":pipeline"
	g.bind(t, pipeline, "ClusterRole", "edit")
	g.awaitRight(t, pipeline, "create", "miniprogramversions")
	// Whoever has edit may act as it, a reviewer too.
	asPipeline := g.cp.User(g.danaName)
	asPipeline.Impersonate.UserName = pipeline
	g.dana, g.danaName = g.client(t, asPipeline), pipeline
	g.version(t, "app", "1.0.0", func(v *v1alpha1.MiniProgramVersion) {
		v.Annotations = map[string]string{v1alpha1.SubmittedThroughAnnotation: pipeline}
	})
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "False AuthorNotProven: 1 approval of role quality would not count: ReviewPolicy "+g.ns+
		" asks in role quality for versions whose author admission has checked, and "+pipeline+
		" is a service account, as which others can act (status.author): the author has to create a version with an own account")
	if want := (v1alpha1.Author{Name: pipeline, Standing: "Declared"}); *v.Status.Author != want {
		t.Errorf("the author is %s", show(v.Status.Author))
	}
}

func TestALabelOfAMiniProgramChoosesItsPolicies(t *testing.T) {
	g, pending := reviewed(t)
	g.approve(t, "app-1.0.0")
	approvedMessage(t, g, "app-1.0.0")
	money := &v1alpha1.ReviewPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "money-" + g.ns},
		Spec: v1alpha1.ReviewPolicySpec{
			NamespaceSelector:   &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": g.ns}},
			MiniProgramSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"policy.miniprogram.dev/money": "yes"}},
			Enforcement:         v1alpha1.Enforce, Approvals: []v1alpha1.ApprovalRule{{Role: "legal"}},
		},
	}
	g.must(t, g.admin.Create(ctx(t), money))
	covered := func(n int32) {
		eventually(t, "versions that it covers", func() string {
			g.must(t, g.admin.Get(ctx(t), key("", money.Name), money))
			if money.Status.Versions == nil || money.Status.Versions.Covered != n {
				return show(money.Status)
			}
			return ""
		})
	}
	covered(0)
	change(t, g, g.admin, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) {
		p.Labels = map[string]string{"policy.miniprogram.dev/money": "yes"}
	})
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved,
		"False WaitingForApproval: waits for 1 approval of role legal (needs approve on miniprograms/review-legal)")
	covered(1)
	sum := regexp.MustCompile("^sha256:[0-9a-f]{64}$")
	if by := v.Status.Policies; len(by) != 2 || by[0].SHA256 == by[1].SHA256 || !sum.MatchString(by[0].SHA256) || !sum.MatchString(by[1].SHA256) {
		t.Errorf("judged by %s", show(by))
	}
	change(t, g, g.admin, &v1alpha1.MiniProgram{}, "app", func(p *v1alpha1.MiniProgram) { p.Labels = nil })
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionApproved, "True Approved: has 1 of 1 approvals, for host app "+g.host)
	if asked := g.reviews(t, v1alpha1.DecisionPending); len(asked) > 0 {
		t.Errorf("still pending beside %s: %v", pending.Name, asked)
	}
}

func TestAPolicyThatSelectsByALabelOfDevelopersStalls(t *testing.T) {
	g, _ := reviewed(t)
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) {
		s.MiniProgramSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "games"}}
	})
	why := "ReviewPolicy " + g.ns + `: reading spec.miniProgramSelector: key "team" does not begin with policy.miniprogram.dev/: whoever edits a mini program may change such a label`
	eventually(t, "the policy says so", func() string {
		var p v1alpha1.ReviewPolicy
		g.must(t, g.admin.Get(ctx(t), key("", g.ns), &p))
		if got := condition(p.Status.Conditions, v1alpha1.ConditionStalled); got != "True SelectorInvalid: "+why+"; whatever it might cover is held back until it is corrected" {
			return show(p.Status)
		}
		return ""
	})
	eventually(t, "what it might cover is held back", func() string {
		var v v1alpha1.MiniProgramVersion
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
		if got := condition(v.Status.Conditions, v1alpha1.ConditionStalled); !strings.HasPrefix(got, "True PolicyInvalid: "+why) {
			return got
		}
		return ""
	})
}

func TestAPolicyThatWasCreatedAnewIsAnother(t *testing.T) {
	g, _ := reviewed(t)
	judgedBy := func(other string) string {
		var v v1alpha1.MiniProgramVersion
		eventually(t, "another policy", func() string {
			g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
			if len(v.Status.Policies) != 1 || v.Status.Policies[0].SHA256 == other || v.Status.Policies[0].Generation != 1 {
				return show(v.Status.Policies)
			}
			return ""
		})
		return v.Status.Policies[0].SHA256
	}
	first := judgedBy("")
	var p v1alpha1.ReviewPolicy
	g.must(t, g.admin.Get(ctx(t), key("", g.ns), &p))
	g.must(t, g.admin.Delete(ctx(t), &p, client.GracePeriodSeconds(0)))
	spec := p.Spec
	spec.Approvals = []v1alpha1.ApprovalRule{{Role: "legal"}}
	g.must(t, g.admin.Create(ctx(t), &v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: g.ns}, Spec: spec}))
	judgedBy(first)
}
