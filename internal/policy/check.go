package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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
	findings []v1alpha1.Finding
}

// add adds a finding about the bundle as a whole.
func (c *check) add(rule, format string, args ...any) {
	c.findings = append(c.findings, finding(rule, c.severity, format, args...))
}

// finding makes one whose message the API server takes.
func finding(rule, severity, format string, args ...any) v1alpha1.Finding {
	return v1alpha1.Finding{Rule: rule, Severity: severity, Message: cut(fmt.Sprintf(format, args...), maxMessage)}
}

// quality compares sizes. All limits are inclusive.
func (c *check) quality(f Facts, q *v1alpha1.QualityRules) {
	if q == nil {
		return
	}
	subject := strings.TrimSpace(f.Format + " bundle")
	if limit := q.MaxBundleBytes; limit != 0 && f.ArchiveBytes > limit {
		c.add(RuleBundleSize, "the archive of the %s has %d bytes, and ReviewPolicy %s allows at most %d (spec.quality.maxBundleBytes): compress or remove images and code that is not used",
			subject, f.ArchiveBytes, c.policy, limit)
	}
	if limit := q.MaxFiles; limit != 0 && int64(f.Files) > int64(limit) {
		c.add(RuleFiles, "the %s has %d files, and ReviewPolicy %s allows at most %d (spec.quality.maxFiles): join small files or remove those that are not used",
			subject, f.Files, c.policy, limit)
	}
	if limit := q.MaxPages; limit != 0 && int64(f.Pages) > int64(limit) {
		c.add(RulePages, "the %s has %d pages, and ReviewPolicy %s allows at most %d (spec.quality.maxPages): join pages or divide the mini program",
			subject, f.Pages, c.policy, limit)
	}
}

// privacy compares the declaration and what the bundle requests.
func (c *check) privacy(f Facts, p *v1alpha1.PrivacyRules) {
	if p == nil {
		return
	}
	permissions := sortedPermissions(f.Declaration)
	if p.AllowedPermissions != nil {
		c.allowed(permissions, f.BundlePermissions, p.AllowedPermissions)
	}
	if p.PermissionReason == required {
		for _, permission := range permissions {
			if strings.TrimSpace(permission.Reason) == "" {
				c.add(RulePermissionReasonMissing, "permission %q is declared without a reason, and ReviewPolicy %s asks for one (spec.privacy.permissionReason): say in the MiniProgram's spec.permissions what it is for, in words for users",
					permission.Name, c.policy)
			}
		}
	}
	privacy := f.Declaration.Privacy
	if p.PrivacyPolicy == required && (privacy == nil || strings.TrimSpace(privacy.PolicyURL) == "") {
		c.add(RulePrivacyPolicyMissing, "no privacy policy is declared, and ReviewPolicy %s asks for one (spec.privacy.privacyPolicy): set the MiniProgram's spec.privacy.policyURL",
			c.policy)
	}
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
