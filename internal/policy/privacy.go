package policy

import (
	"net/url"
	"slices"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// privacy compares the declaration and what the bundle requests and uses.
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
	c.uses(f, p)
	for i, d := range p.Detect {
		c.detected(f, i, d)
	}
	if p.AllowedDomains != nil {
		c.domains(f.Declaration, p.AllowedDomains)
	}
}

// uses tells of each API that the built-in table knows, the bundle uses and the
// declaration has no permission for.
func (c *check) uses(f Facts, p *v1alpha1.PrivacyRules) {
	const field = "spec.privacy.usedPermissions"
	switch {
	case p.UsedPermissions == v1alpha1.Optional:
		return
	case p.UsedPermissions == "" && !f.Inspected:
		return // packaged by a release that did not look: what nobody asked for by name holds nothing back
	case !c.inspected(f, field):
		return
	}
	type what struct{ api, permission string }
	var order []what
	first, more := map[what]Use{}, map[what]int{}
	for _, u := range f.Uses {
		key := what{u.API, u.Permission}
		if _, known := first[key]; known {
			more[key]++
			continue
		}
		first[key] = u
		order = append(order, key)
	}
	for _, key := range order {
		u := first[key]
		if u.Permission == "" {
			severity := c.severity
			c.severity = SeverityWarning // nobody can tell, so it may be in order
			c.at(RuleSensitiveAPIUndeclared, u.File, u.Line, "column %d%s uses %s, by a name that is computed: ReviewPolicy %s asks that the permissions of sensitive APIs are declared (%s), and nobody can tell which this is: call APIs by their names",
				u.Column, andMore(more[key], "place"), cut(u.API, maxPermission), c.policy, field)
			c.severity = severity
			continue
		}
		c.undeclared(f, u, more[key], field)
	}
}

// detected does the same for what the policy itself searches for.
func (c *check) detected(f Facts, i int, d v1alpha1.DetectRule) {
	var found []place
	for _, t := range detected(i, d) {
		matches, searched := c.matches(f, t)
		if !searched {
			return
		}
		for _, p := range firstPlaces(matches) {
			at := slices.IndexFunc(found, func(o place) bool { return o.File == p.File })
			switch {
			case at < 0:
				found = append(found, p)
			case p.Line < found[at].Line:
				p.more += found[at].more + 1
				found[at] = p
			default:
				found[at].more += p.more + 1
			}
		}
	}
	for _, p := range found {
		c.undeclared(f, Use{d.Name, d.Permission, p.File, p.Line, p.Column}, p.more, detected(i, d)[0].detectField())
	}
}

// detectField is the rule that the pattern belongs to.
func (t text) detectField() string {
	return t.field[:strings.LastIndex(t.field, ".patterns")]
}

func (c *check) undeclared(f Facts, u Use, more int, field string) {
	if slices.ContainsFunc(f.Declaration.Permissions, func(p v1alpha1.Permission) bool { return p.Name == u.Permission }) {
		return
	}
	c.at(RuleSensitiveAPIUndeclared, u.File, u.Line, "column %d%s uses %s, and permission %q is not declared, as ReviewPolicy %s asks (%s): add it to the MiniProgram's spec.permissions, or remove the use",
		u.Column, andMore(more, "place"), cut(u.API, maxPermission), cut(u.Permission, maxPermission), c.policy, field)
}

// domain is one declared origin.
type domain struct{ field, origin string }

func domainsOf(d v1alpha1.Declaration) []domain {
	if d.Domains == nil {
		return nil
	}
	var all []domain
	add := func(field string, origins []string) {
		for _, o := range slices.Sorted(slices.Values(origins)) {
			all = append(all, domain{"spec.domains." + field, o})
		}
	}
	add("request", texts(d.Domains.Request))
	add("webView", texts(d.Domains.WebView))
	add("socket", texts(d.Domains.Socket))
	add("upload", texts(d.Domains.Upload))
	add("download", texts(d.Domains.Download))
	return all
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, one := range list {
		out[i] = string(one)
	}
	return out
}

// domains tells of each declared origin whose host is none of the allowed.
func (c *check) domains(d v1alpha1.Declaration, allowed []string) {
	for _, domain := range domainsOf(d) {
		if !slices.ContainsFunc(allowed, func(a string) bool { return hostMatches(a, domain.origin) }) {
			c.add(RuleDomainNotAllowed, "domain %q is declared in %s, and ReviewPolicy %s allows only: %s (spec.privacy.allowedDomains): remove it from the MiniProgram, or ask the platform's administrators to allow it",
				domain.origin, domain.field, c.policy, enumerate(allowed))
		}
	}
}

// hostMatches compares the host of an origin, whatever its port, with a name or
// with "*." and the name of a domain that it must be below.
func hostMatches(allowed, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	if parent, below := strings.CutPrefix(allowed, "*"); below {
		return len(host) > len(parent) && strings.HasSuffix(host, parent)
	}
	return host == allowed
}
