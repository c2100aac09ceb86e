package policy

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Bounds of texts in a finding, in characters.
const (
	maxMessage    = 1024 // of Finding.message in the API
	maxPermission = 128  // of Permission.name in the API; a bundle may name longer ones
)

// check collects the findings of one policy.
type check struct {
	policy   string
	severity string
	blind    bool // it was said that the bundle was not looked into
	findings []v1alpha1.Finding
}

// newCheck begins to collect the findings of p, with the severity that its
// enforcement gives them.
func newCheck(p *v1alpha1.ReviewPolicy) *check {
	c := &check{policy: p.Name, severity: SeverityWarning}
	if enforcementOf(p) == v1alpha1.Enforce {
		c.severity = SeverityError
	}
	return c
}

// add adds a finding about the bundle as a whole.
func (c *check) add(rule, format string, args ...any) {
	c.findings = append(c.findings, finding(rule, c.severity, format, args...))
}

// at adds a finding about a file, and a line in it where that is above 0.
func (c *check) at(rule, file string, line int, format string, args ...any) {
	f := finding(rule, c.severity, format, args...)
	f.File, f.Line = cut(file, maxMessage), int32(min(line, math.MaxInt32))
	c.findings = append(c.findings, f)
}

// inspected tells whether the bundle was looked into, which a field asks for.
// That it was not is a finding, once for each policy.
func (c *check) inspected(f Facts, field string) bool {
	if !f.Inspected {
		c.unanswered(field)
	}
	return f.Inspected
}

// matches are those of a pattern. That nobody searched for it is a finding, once
// for each policy.
func (c *check) matches(f Facts, t text) (found []Match, searched bool) {
	key := t.key()
	if !slices.Contains(f.Searched, key) {
		c.unanswered(t.field)
		return nil, false
	}
	for _, m := range f.Matches {
		if m.Pattern == key {
			found = append(found, m)
		}
	}
	return found, true
}

// unanswered says that the bundle was not looked into for what a field asks:
// nothing passes for that.
func (c *check) unanswered(field string) {
	if c.blind {
		return
	}
	c.blind = true
	c.add(RuleNotInspected, "the bundle was packaged before anybody looked for what ReviewPolicy %s asks about (%s), so nobody can tell whether it holds: publish the bundle again as a new MiniProgramVersion",
		c.policy, field)
}

// finding makes one whose message the API server takes.
func finding(rule, severity, format string, args ...any) v1alpha1.Finding {
	return v1alpha1.Finding{Rule: rule, Severity: severity, Message: cut(fmt.Sprintf(format, args...), maxMessage)}
}

// allowed looks at declared permissions, and at those that only the bundle
// names: a declaration that is silent must not carry them past the policy.
func (c *check) allowed(declared []v1alpha1.Permission, requested, allowed []string) {
	seen := make(map[string]bool, len(declared))
	for _, permission := range declared {
		seen[permission.Name] = true
		if !slices.Contains(allowed, permission.Name) {
			c.add(RulePermissionNotAllowed, "permission %q is declared, and ReviewPolicy %s allows only: %s (spec.privacy.allowedPermissions): remove it from the MiniProgram's spec.permissions, or ask the platform's administrators to allow it",
				permission.Name, c.policy, enumerate(allowed))
		}
	}
	for _, name := range slices.Sorted(slices.Values(requested)) {
		if seen[name] {
			continue
		}
		seen[name] = true
		if !slices.Contains(allowed, name) {
			c.add(RulePermissionNotAllowed, "permission %q is requested by the bundle's manifest, and ReviewPolicy %s allows only: %s (spec.privacy.allowedPermissions): remove it from the manifest, or ask the platform's administrators to allow it",
				cut(name, maxPermission), c.policy, enumerate(allowed))
		}
	}
}

// CheckHostApp tells which permissions the mini program cannot do without and
// the host app cannot grant, as errors sorted by the permission's name. A host app
// without spec.capabilities grants everything; one with [none], nothing.
func CheckHostApp(decl v1alpha1.Declaration, host v1alpha1.HostApp) []v1alpha1.Finding {
	if host.Spec.Capabilities == nil {
		return nil
	}
	var findings []v1alpha1.Finding
	for _, permission := range sortedPermissions(decl) {
		if cmp.Or(permission.Need, required) != required || slices.Contains(host.Spec.Capabilities, permission.Name) {
			continue
		}
		findings = append(findings, finding(RulePermissionNotAllowed, SeverityError,
			"permission %q is needed, and HostApp %s grants only: %s (spec.capabilities): declare it with need Optional if the mini program works without it, or remove the host app from the MiniProgram's spec.hostApps",
			permission.Name, host.Name, enumerate(host.Spec.Capabilities)))
	}
	return findings
}

// sortedPermissions returns the declared permissions by name, without touching decl.
func sortedPermissions(decl v1alpha1.Declaration) []v1alpha1.Permission {
	return slices.SortedStableFunc(slices.Values(decl.Permissions), func(a, b v1alpha1.Permission) int {
		return cmp.Compare(a.Name, b.Name)
	})
}
