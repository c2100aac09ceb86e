package gate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// IsServiceAccount says whether a user is a service account. The stock role edit
// may act as those of its namespace, so what one does is no proof of who did it.
func IsServiceAccount(user string) bool { return strings.HasPrefix(user, "system:serviceaccount:") }

// Rules says which approvals the policies ask of a program for these host apps.
// The policies must be those whose selectors cover the version; those that only
// warn or audit are passed over, as are those for other host apps.
//
// An approval without host apps, in a policy without host apps, becomes one rule
// that concerns all. Any other becomes one rule for each of the program's host
// apps that both the policy and the approval name; what neither leaves is no rule.
// The rule that concerns all does not speak for the late host apps, which were added
// after the version was packaged: for each of these it becomes one that names it.
// Where several ask for the same role and host app, the larger count, the
// stricter self-approval, the proven author and the shorter validity hold.
//
// covered says that an enforcing policy covers at least one of the host apps.
// none says that a policy asks for nobody: role none must stand for every host
// app that no rule concerns. It never takes away what another approval asks for.
//
// The rules are sorted by role and host app. hostApps should be all of the program's: a
// rollout asks with the same rules about fewer in Question.HostApps.
func Rules(policies []v1alpha1.ReviewPolicy, hostApps, late []string) (rules []Rule, covered, none bool) {
	var free []string // host apps for which some policy says role none
	for i := range policies {
		spec := &policies[i].Spec
		if spec.Enforcement == v1alpha1.Warn || spec.Enforcement == v1alpha1.Audit {
			continue
		}
		reach := common(hostApps, spec.HostApps)
		if len(spec.HostApps) > 0 && len(reach) == 0 {
			continue
		}
		covered = true
		for _, a := range spec.Approvals {
			targets := common(reach, a.HostApps)
			if a.Role == v1alpha1.RoleNone {
				free = append(free, targets...)
				continue
			}
			if len(spec.HostApps) == 0 && len(a.HostApps) == 0 {
				targets = forAll(hostApps, late)
			}
			for _, h := range targets {
				rules = append(rules, ruleOf(policies[i].Name, a, h))
			}
		}
	}
	rules = merge(rules)
	none = len(free) > 0
	for _, h := range hostApps {
		ruled := slices.ContainsFunc(rules, func(r Rule) bool { return r.speaksFor(h, late) })
		none = none && (ruled || slices.Contains(free, h))
	}
	return rules, covered, none
}

// OfTrials returns the policies with those approvals alone that a trial waits for.
func OfTrials(policies []v1alpha1.ReviewPolicy) []v1alpha1.ReviewPolicy {
	out := slices.Clone(policies)
	for i := range out {
		out[i].Spec.Approvals = slices.DeleteFunc(slices.Clone(out[i].Spec.Approvals), func(a v1alpha1.ApprovalRule) bool {
			return a.Role == v1alpha1.RoleNone || !slices.Contains(a.Channels, v1alpha1.ChannelTrial)
		})
	}
	return out
}

// forAll returns what a rule for all host apps is for: "" for those that are not late, and each late one.
func forAll(hostApps, late []string) []string {
	var targets []string
	for _, h := range hostApps {
		if slices.Contains(late, h) {
			targets = append(targets, h)
		} else if !slices.Contains(targets, "") {
			targets = append(targets, "")
		}
	}
	return targets
}

// common returns the names that selected has too; all of them when it selects nothing in particular.
func common(names, selected []string) []string {
	if len(selected) == 0 {
		return names
	}
	var both []string
	for _, n := range names {
		if slices.Contains(selected, n) {
			both = append(both, n)
		}
	}
	return both
}

// ruleOf returns what an approval asks for one host app, or for all when hostApp is "".
func ruleOf(policy string, a v1alpha1.ApprovalRule, hostApp string) Rule {
	rule := Rule{Policy: policy, Role: a.Role, Count: 1, HostApp: hostApp, SelfApproval: a.SelfApproval == v1alpha1.SelfApprovalAllowed, Proven: a.Author == v1alpha1.AuthorProven}
	if a.Count != 0 {
		rule.Count = int(a.Count)
	}
	if a.ValidSeconds != 0 {
		rule.Valid = time.Duration(a.ValidSeconds) * time.Second
	}
	return rule
}

// merge returns one rule for each role and host app, sorted, without touching rules.
func merge(rules []Rule) []Rule {
	sorted := slices.SortedStableFunc(slices.Values(rules), func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.HostApp, b.HostApp), cmp.Compare(a.Policy, b.Policy))
	})
	var merged []Rule
	for _, r := range sorted {
		r.Count = max(r.Count, 1)
		if n := len(merged); n > 0 && merged[n-1].Role == r.Role && merged[n-1].HostApp == r.HostApp {
			merged[n-1] = stricter(merged[n-1], r)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

// stricter returns the rule that a and b, of the same role and host app, make together.
func stricter(a, b Rule) Rule {
	a.Count = max(a.Count, b.Count)
	a.SelfApproval = a.SelfApproval && b.SelfApproval
	a.Proven = a.Proven || b.Proven
	if b.Valid > 0 && (a.Valid <= 0 || b.Valid < a.Valid) {
		a.Valid = b.Valid
	}
	if !slices.Contains(strings.Split(a.Policy, ", "), b.Policy) {
		a.Policy += ", " + b.Policy
	}
	return a
}
