package gate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// policy has the given approvals; change may narrow it.
func policy(name string, approvals []v1alpha1.ApprovalRule, change ...func(*v1alpha1.ReviewPolicySpec)) v1alpha1.ReviewPolicy {
	p := v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.ReviewPolicySpec{Approvals: approvals}}
	for _, c := range change {
		c(&p.Spec)
	}
	return p
}

func onlyFor(hostApps ...string) func(*v1alpha1.ReviewPolicySpec) {
	return func(s *v1alpha1.ReviewPolicySpec) { s.HostApps = hostApps }
}

func enforcement(value string) func(*v1alpha1.ReviewPolicySpec) {
	return func(s *v1alpha1.ReviewPolicySpec) { s.Enforcement = value }
}

func TestRules(t *testing.T) {
	quality := []v1alpha1.ApprovalRule{{Role: "quality"}}
	nobody := []v1alpha1.ApprovalRule{{Role: "none"}}
	type answer struct {
		Rules         []Rule
		Covered, None bool
	}
	tests := map[string]struct {
		policies []v1alpha1.ReviewPolicy
		hostApps []string // unset: wallet and chat
		late     []string
		want     answer
	}{
		"no policy asks for nothing and covers nothing": {},
		"an unset enforcement enforces, and an unset count is one": {
			policies: []v1alpha1.ReviewPolicy{policy("base", quality)},
			want:     answer{Rules: []Rule{{Policy: "base", Role: "quality", Count: 1}}, Covered: true},
		},
		"what only warns or audits opens and shuts nothing": {
			policies: []v1alpha1.ReviewPolicy{policy("warns", quality, enforcement("Warn")), policy("audits", nobody, enforcement("Audit"))},
		},
		"everything that an approval says is in the rule": {
			policies: []v1alpha1.ReviewPolicy{policy("base", []v1alpha1.ApprovalRule{
				{Role: "quality", Count: 3, SelfApproval: "Allowed", Author: "Proven", ValidSeconds: 60},
			}, enforcement("Enforce"))},
			want: answer{Rules: []Rule{{Policy: "base", Role: "quality", Count: 3, SelfApproval: true, Proven: true, Valid: time.Minute}}, Covered: true},
		},
		"an approval with host apps is asked for each that the program is for": {
			policies: []v1alpha1.ReviewPolicy{policy("base", []v1alpha1.ApprovalRule{{Role: "privacy", HostApps: []string{"wallet", "maps", "chat"}}})},
			want: answer{Rules: []Rule{
				{Policy: "base", Role: "privacy", Count: 1, HostApp: "chat"}, {Policy: "base", Role: "privacy", Count: 1, HostApp: "wallet"},
			}, Covered: true},
		},
		"an approval in a policy for host apps is asked for each of them": {
			policies: []v1alpha1.ReviewPolicy{policy("base", quality, onlyFor("wallet", "maps"))},
			want:     answer{Rules: []Rule{{Policy: "base", Role: "quality", Count: 1, HostApp: "wallet"}}, Covered: true},
		},
		"an approval for a host app that its policy is not for is asked for nowhere": {
			policies: []v1alpha1.ReviewPolicy{policy("base", []v1alpha1.ApprovalRule{{Role: "privacy", HostApps: []string{"chat"}}}, onlyFor("wallet"))},
			want:     answer{Covered: true},
		},
		"a policy for other host apps does not cover": {
			policies: []v1alpha1.ReviewPolicy{policy("base", quality, onlyFor("maps"))},
		},
		"policies that ask the same together ask for the stricter": {
			policies: []v1alpha1.ReviewPolicy{
				policy("c", []v1alpha1.ApprovalRule{{Role: "quality", Count: 1, SelfApproval: "Allowed", ValidSeconds: 120}}),
				policy("a", []v1alpha1.ApprovalRule{{Role: "quality", Count: 2, SelfApproval: "Allowed"}}),
				policy("b", []v1alpha1.ApprovalRule{{Role: "quality", SelfApproval: "Forbidden", ValidSeconds: 60}}),
			},
			want: answer{Rules: []Rule{{Policy: "a, b, c", Role: "quality", Count: 2, Valid: time.Minute}}, Covered: true},
		},
		"rules for all and for one host app stay apart": {
			policies: []v1alpha1.ReviewPolicy{policy("a", quality), policy("b", quality, onlyFor("wallet"))},
			want: answer{Rules: []Rule{
				{Policy: "a", Role: "quality", Count: 1}, {Policy: "b", Role: "quality", Count: 1, HostApp: "wallet"},
			}, Covered: true},
		},
		"a policy without approvals covers": {
			policies: []v1alpha1.ReviewPolicy{policy("base", nil)}, want: answer{Covered: true},
		},
		"role none asks for nobody": {
			policies: []v1alpha1.ReviewPolicy{policy("base", nobody)}, want: answer{Covered: true, None: true},
		},
		"role none takes away nothing that another policy asks for": {
			policies: []v1alpha1.ReviewPolicy{policy("a", nobody), policy("b", quality)},
			want:     answer{Rules: []Rule{{Policy: "b", Role: "quality", Count: 1}}, Covered: true, None: true},
		},
		"role none for one host app frees no other": {
			policies: []v1alpha1.ReviewPolicy{policy("base", nobody, onlyFor("wallet"))}, want: answer{Covered: true},
		},
		"role none for one host app is enough where the others have rules": {
			policies: []v1alpha1.ReviewPolicy{policy("a", nobody, onlyFor("wallet")), policy("b", quality, onlyFor("chat"))},
			want:     answer{Rules: []Rule{{Policy: "b", Role: "quality", Count: 1, HostApp: "chat"}}, Covered: true, None: true},
		},
		"role none for one host app frees a program that is for that one only": {
			policies: []v1alpha1.ReviewPolicy{policy("base", []v1alpha1.ApprovalRule{{Role: "none", HostApps: []string{"wallet"}}})},
			hostApps: []string{"wallet"}, want: answer{Covered: true, None: true},
		},
		"role none for a host app that the program is not for frees nothing": {
			policies: []v1alpha1.ReviewPolicy{policy("a", []v1alpha1.ApprovalRule{{Role: "none", HostApps: []string{"maps"}}}), policy("b", quality)},
			want:     answer{Rules: []Rule{{Policy: "b", Role: "quality", Count: 1}}, Covered: true},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			apps := tc.hostApps
			if apps == nil {
				apps = []string{"wallet", "chat"}
			}
			var got answer
			got.Rules, got.Covered, got.None = Rules(tc.policies, apps, tc.late)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Rules (-want +got):\n%s", diff)
			}
		})
	}
}

func TestATrialWaitsOnlyForWhatNamesIt(t *testing.T) {
	both := v1alpha1.ApprovalRule{Role: "quality", Channels: []string{"release", "trial"}}
	policies := []v1alpha1.ReviewPolicy{
		policy("a", []v1alpha1.ApprovalRule{both, {Role: "privacy", Channels: []string{"release"}}, {Role: "legal"}}),
		policy("b", []v1alpha1.ApprovalRule{{Role: "none", Channels: []string{"release", "trial"}}}),
	}
	before := []v1alpha1.ReviewPolicy{*policies[0].DeepCopy(), *policies[1].DeepCopy()}
	want := []v1alpha1.ReviewPolicy{policy("a", []v1alpha1.ApprovalRule{both}), policy("b", []v1alpha1.ApprovalRule{})}
	if diff := cmp.Diff(want, OfTrials(policies)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(before, policies); diff != "" {
		t.Errorf("what was given is changed: %s", diff)
	}
	if rules, _, _ := Rules(policies, []string{"wallet"}, nil); len(rules) != 3 {
		t.Errorf("a release waits for %v", rules)
	}
}
