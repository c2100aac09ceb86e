package controller_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// scripted releases a web bundle whose script, on its second line, is the text.
func (g *group) scripted(t testing.TB, version, script string) {
	t.Helper()
	g.configMap(t, "app-"+version, zipOf(t, map[string]string{
		"index.html": "<!doctype html><title>app</title><script src=\"app.js\"></script>", "app.js": "// " + version + "\n" + script + "\n",
	}))
	g.version(t, "app", version)
}

func (g *group) usedPermissions(t testing.TB) {
	t.Helper()
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) {
		s.Privacy = &v1alpha1.PrivacyRules{UsedPermissions: v1alpha1.Required}
	})
}

func TestASensitiveAPIThatIsNotDeclaredIsToldWithItsPlace(t *testing.T) {
	g := newGroup(t, "quality")
	g.usedPermissions(t)
	g.program(t, "app")
	g.scripted(t, "1.0.0", "wx.getLocation({})")
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionPolicyPassed, "False PolicyFailed: SensitiveAPIUndeclared (app.js:2): "+undeclared(g, "wx.getLocation", "location"))
	want := &v1alpha1.FindingsStatus{Errors: 1, First: []v1alpha1.Finding{{
		Rule: "SensitiveAPIUndeclared", Severity: "error", File: "app.js", Line: 2, Message: undeclared(g, "wx.getLocation", "location"),
	}}}
	if diff := cmp.Diff(want, v.Status.Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if by := v.Status.Policies; len(by) != 1 || by[0].Errors != 1 || by[0].Warnings != 0 {
		t.Errorf("judged by %s", show(by))
	}
	var p v1alpha1.ReviewPolicy
	eventually(t, "the policy counts it", func() string {
		g.must(t, g.admin.Get(ctx(t), key("", g.ns), &p))
		if diff := cmp.Diff(&v1alpha1.PolicyVersions{Covered: 1, Failed: 1}, p.Status.Versions); diff != "" {
			return diff
		}
		return ""
	})
	// It is declared for the next version: what the first has declared is frozen.
	g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) {
		p.Spec.Permissions = []v1alpha1.Permission{{Name: "location", Reason: "shops near you"}}
	})
	g.scripted(t, "1.0.1", "wx.getLocation({})")
	g.awaitVersion(t, "app-1.0.1", v1alpha1.ConditionPolicyPassed, "True Passed: no policy has an objection")
}

func undeclared(g *group, api, permission string) string {
	return fmt.Sprintf("column 4 uses %s, and permission %q is not declared, as ReviewPolicy %s asks (spec.privacy.usedPermissions): add it to the MiniProgram's spec.permissions, or remove the use", api, permission, g.ns)
}

// A policy that is written later looks for a text that nobody had looked for: the
// bundle is read again, from the registry.
func TestAPolicyThatIsWrittenLaterLooksIntoTheBundle(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	g.scripted(t, "1.0.0", "alert('beta')")
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionPolicyPassed, "True Passed: no policy has an objection")
	g.must(t, g.admin.Delete(ctx(t), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "app-1.0.0"}})) // the source is gone
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) {
		s.Quality = &v1alpha1.QualityRules{ForbiddenText: []v1alpha1.ForbiddenText{{Pattern: "beta", Message: "finish it first"}}}
	})
	var v v1alpha1.MiniProgramVersion
	eventually(t, "it is found", func() string {
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
		if f := v.Status.Findings; f == nil || len(f.First) != 1 || f.First[0].File != "app.js" || f.First[0].Line != 2 || !strings.Contains(f.First[0].Message, "finish it first") {
			return show(v.Status.Findings)
		}
		return ""
	})
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) { s.Quality = nil })
	v = *g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionPolicyPassed, "True Passed: no policy has an objection")
	if v.Status.Findings != nil {
		t.Errorf("still found: %s", show(v.Status.Findings))
	}
}

// A policy whose expression is wrong shuts the gate for what it covers, and says
// where the mistake is.
func TestAWrongExpressionHoldsBackWhatItCovers(t *testing.T) {
	g, _ := reviewed(t)
	g.approve(t, "app-1.0.0")
	approvedMessage(t, g, "app-1.0.0")
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) {
		s.Rules = []v1alpha1.PolicyRule{{Name: "pages", Expression: "bundle.pagez.size() < 3", Message: "too many pages"}}
	})
	var p v1alpha1.ReviewPolicy
	var why string
	eventually(t, "the policy says where", func() string {
		g.must(t, g.admin.Get(ctx(t), key("", g.ns), &p))
		got := condition(p.Status.Conditions, v1alpha1.ConditionStalled)
		why = strings.TrimSuffix(strings.TrimPrefix(got, "True PolicyInvalid: "), "; what it covers is held back until it is corrected")
		if why == got || !strings.Contains(got, "spec.rules[0].expression") || !strings.Contains(got, "pagez") {
			return "it says " + got
		}
		return ""
	})
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionStalled, "True PolicyInvalid: "+why+": ask the platform's administrators to correct it")
	// One that only warns opens and shuts nothing.
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) { s.Enforcement = v1alpha1.Warn })
	eventually(t, "it is not applied", func() string {
		g.must(t, g.admin.Get(ctx(t), key("", g.ns), &p))
		got := condition(p.Status.Conditions, v1alpha1.ConditionStalled)
		if !strings.HasSuffix(got, "; it is not applied until it is corrected") {
			return "it says " + got
		}
		return ""
	})
	eventually(t, "the version is not held by it", func() string {
		var v v1alpha1.MiniProgramVersion
		g.must(t, g.admin.Get(ctx(t), key(g.ns, "app-1.0.0"), &v))
		return condition(v.Status.Conditions, v1alpha1.ConditionStalled)
	})
}

// generations are those in which the group's policy was applied, by version.
func (g *group) generations(t testing.TB) map[string]int64 {
	t.Helper()
	var list v1alpha1.MiniProgramVersionList
	g.must(t, g.admin.List(ctx(t), &list, client.InNamespace(g.ns)))
	got := map[string]int64{}
	for _, v := range list.Items {
		for _, by := range v.Status.Policies {
			got[v.Name] = by.Generation
		}
	}
	return got
}

// A change of a policy touches what waits and what is a target, and nothing that
// is stable, or approved and at rest.
func TestAChangedPolicyJudgesWhatWaitsAndWhatIsATarget(t *testing.T) {
	g := newGroup(t, "quality")
	g.stableAt(t, "1.0.0")
	for _, version := range []string{"1.1.0", "1.2.0", "1.3.0"} {
		g.release(t, "app", version)
		g.approve(t, "app-"+version)
		g.awaitVersion(t, "app-"+version, v1alpha1.ConditionApproved, "True Approved: has 1 of 1 approvals, for host app "+g.host)
	}
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) {
		ro.Spec.VersionRef.Name, ro.Spec.Steps = "app-1.1.0", []v1alpha1.RolloutStep{percent(5), pauseForPerson()}
	})
	g.awaitRollout(t, "app", "1.1.0 is under way", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "5%" && isOut(ro) })
	g.publishes(t, "1.4.0")

	var p v1alpha1.ReviewPolicy
	g.must(t, g.admin.Get(ctx(t), key("", g.ns), &p))
	was := p.Generation
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) { s.Quality = &v1alpha1.QualityRules{MaxFiles: 1000} })
	want := map[string]int64{"app-1.0.0": was, "app-1.1.0": was + 1, "app-1.2.0": was, "app-1.3.0": was, "app-1.4.0": was + 1}
	judged := func(want map[string]int64) {
		t.Helper()
		eventually(t, "what waits and what is a target is judged", func() string { return cmp.Diff(want, g.generations(t)) })
	}
	judged(want)
	g.awaitRollout(t, "app", "it goes on", func(ro *v1alpha1.Rollout) bool { return !strings.Contains(ro.Status.Summary, "held against") })
	// A version that becomes a target is judged then, before it goes out.
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) { s.Quality = &v1alpha1.QualityRules{MaxBundleBytes: 10} })
	g.target(t, "app", "app-1.2.0")
	g.awaitRollout(t, "app", "1.2.0 is refused", func(ro *v1alpha1.Rollout) bool {
		return strings.Contains(ro.Status.Summary, "a policy objects to MiniProgramVersion app-1.2.0: see its condition PolicyPassed")
	})
	want["app-1.1.0"], want["app-1.2.0"], want["app-1.4.0"] = was+2, was+2, was+2
	got := g.generations(t)
	if got["app-1.1.0"] == was+1 { // the Rollout may have left it before it was looked at again
		want["app-1.1.0"] = was + 1
	}
	judged(want)
	var ro v1alpha1.Rollout
	g.must(t, g.admin.Get(ctx(t), key(g.ns, "app"), &ro))
	if ro.Status.Stable.Version != "1.0.0" {
		t.Errorf("stable is %s", ro.Status.Stable.Version)
	}
}

// While nobody can tell what a changed policy says, nothing goes out by what the
// older one has said.
func TestARolloutWaitsUntilChangedPoliciesHaveSpoken(t *testing.T) {
	g := newGroup(t, "quality")
	g.approved(t)
	g.rollout(t, "app", "9.9.9")
	// By then it was looked up in the journal, which is in the registry, too.
	ro := g.awaitRollout(t, "app", "it misses its version", func(ro *v1alpha1.Rollout) bool { return strings.Contains(ro.Status.Summary, "9.9.9") })
	t.Cleanup(func() { g.refuse.Store(0) })
	g.refuse.Store(503) // the bundle cannot be read again
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) {
		s.Quality = &v1alpha1.QualityRules{ForbiddenText: []v1alpha1.ForbiddenText{{Pattern: "debugger", Message: "take it out"}}}
	})
	before := ro.DeepCopy()
	ro.Spec.VersionRef.Name = "app-1.0.0"
	g.must(t, g.admin.Patch(ctx(t), ro, client.MergeFrom(before)))
	g.awaitRollout(t, "app", "it waits", func(ro *v1alpha1.Rollout) bool {
		return strings.Contains(ro.Status.Summary, "MiniProgramVersion app-1.0.0 is being held against the policies anew: see its condition PolicyPassed")
	})
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionPolicyPassed, "Unknown NotChecked: the policies could not be applied: the registry "+g.registryHost()+" cannot answer now (503 Service Unavailable); the look-up is tried again")
	g.refuse.Store(0)
	g.awaitRollout(t, "app", "it is stable", func(ro *v1alpha1.Rollout) bool { return ro.Status.Stable != nil && isOut(ro) })
	if v.Status.ApprovedHostApps == nil {
		t.Errorf("it lost its approval meanwhile: %s", show(v.Status))
	}
}

func TestAPolicyBoundsThePlanOfARollout(t *testing.T) {
	g := newGroup(t, "quality")
	g.editPolicy(t, func(s *v1alpha1.ReviewPolicySpec) { s.Rollout = &v1alpha1.RolloutRules{MinBakeSeconds: 3600} })
	g.approved(t)
	g.rollout(t, "app", "1.0.0", percent(5))
	g.awaitRollout(t, "app", "the plan is refused", func(ro *v1alpha1.Rollout) bool {
		return strings.Contains(ro.Status.Summary, "ReviewPolicy "+g.ns+" asks for at least 3600 (spec.rollout.minBakeSeconds)") && ro.Status.Attempt == 0
	})
	change(t, g, g.olu, &v1alpha1.Rollout{}, "app", func(ro *v1alpha1.Rollout) {
		ro.Spec.Steps = slices.Concat(ro.Spec.Steps, []v1alpha1.RolloutStep{{Pause: &v1alpha1.PauseStep{Seconds: 3600}}})
	})
	g.awaitRollout(t, "app", "it begins", func(ro *v1alpha1.Rollout) bool { return ro.Status.Percent == "5%" })
}

// What a policy said goes with it, also where no other is left.
func TestADeletedPolicyObjectsToNothing(t *testing.T) {
	g := newGroup(t, "quality")
	g.usedPermissions(t)
	g.program(t, "app")
	g.scripted(t, "1.0.0", "wx.getLocation({})")
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionPolicyPassed, "False PolicyFailed: SensitiveAPIUndeclared (app.js:2): "+undeclared(g, "wx.getLocation", "location"))
	g.must(t, g.admin.Delete(ctx(t), &v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: g.ns}}))
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionPolicyPassed, "True Passed: no policy has an objection")
	if v.Status.Findings != nil || v.Status.Policies != nil {
		t.Errorf("it says %s of %s", show(v.Status.Findings), show(v.Status.Policies))
	}
	if got := condition(v.Status.Conditions, v1alpha1.ConditionApproved); !strings.HasPrefix(got, "False NoPolicy") {
		t.Errorf("it is %s", got)
	}
}
