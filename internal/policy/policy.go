// Package policy compares the facts about a checked bundle with what review
// policies and host apps allow. It takes values and returns findings; which
// policies cover a version is asked with Selects, and what a policy says about
// approvals is the business of package gate.
//
// Severity follows spec.enforcement: findings of a policy that enforces are
// errors and hold a release back; those of Warn and Audit are warnings. Findings
// of Audit are only there to be counted: Shown leaves them out, so that a trial
// run of a policy tells its administrators and does not disturb developers.
package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Rules of findings.
const (
	RuleBundleSize              = "QualityBundleSize"
	RuleContentSize             = "QualityContentSize"
	RuleMainSize                = "QualityMainSize"
	RuleSubSize                 = "QualitySubSize"
	RuleFiles                   = "QualityFiles"
	RulePages                   = "QualityPages"
	RuleFieldMissing            = "QualityFieldMissing"
	RuleLocaleMissing           = "QualityLocaleMissing"
	RuleFileForbidden           = "QualityFileForbidden"
	RuleTextForbidden           = "QualityTextForbidden"
	RulePermissionNotAllowed    = "PermissionNotAllowed"
	RulePermissionReasonMissing = "PermissionReasonMissing"
	RulePrivacyPolicyMissing    = "PrivacyPolicyMissing"
	RuleSensitiveAPIUndeclared  = "SensitiveAPIUndeclared"
	RuleDomainNotAllowed        = "DomainNotAllowed"
	RuleCustom                  = "PolicyRule"
	RuleCustomError             = "PolicyRuleError"
	RuleSourceNotPinned         = "SourceNotPinned"
	RuleRolloutFirstShare       = "RolloutFirstShare"
	RuleRolloutBake             = "RolloutBake"

	// RuleNotInspected: the bundle was not looked into for what a policy asks.
	RuleNotInspected = "BundleNotInspected"
)

// Severities of findings, as in the status of a MiniProgramVersion.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// required is the value of the enums in spec.privacy and of a permission's need.
const required = "Required"

// Result is what one policy has to say.
type Result struct {
	// Policy is the name of the ReviewPolicy, Generation the one that was applied.
	Policy     string
	Generation int64
	// Enforcement is Enforce, Warn or Audit, never empty.
	Enforcement string
	// Findings in the order of the policy's fields, those about permissions sorted by name. Nil when there is none.
	Findings []v1alpha1.Finding
}

// Check holds the facts against the content rules of every given policy and
// returns one result for each, sorted by the policy's name. The policies must be
// those that cover the version. What CheckSpec has against a policy comes back as
// its findings: nothing passes a rule that nobody can read.
func Check(f Facts, policies []v1alpha1.ReviewPolicy) []Result {
	given := sync.OnceValue(func() map[string]any { return variables(f) }) // for rules, which most policies have none of
	results := make([]Result, 0, len(policies))
	for i := range policies {
		p := &policies[i]
		c := newCheck(p)
		c.quality(f, p.Spec.Quality)
		c.privacy(f, p.Spec.Privacy)
		c.rules(f, given, p.Spec.Rules)
		c.source(f.Version.Source, p.Spec.PinnedSource)
		results = append(results, Result{p.Name, p.Generation, enforcementOf(p), c.findings})
	}
	slices.SortStableFunc(results, func(a, b Result) int { return cmp.Compare(a.Policy, b.Policy) })
	return results
}

// Blocking is the number of findings that hold a release back: the errors of
// policies that enforce.
func Blocking(results []Result) int {
	n := 0
	for _, r := range results {
		if r.Enforcement != v1alpha1.Enforce {
			continue
		}
		for _, f := range r.Findings {
			if f.Severity == SeverityError {
				n++
			}
		}
	}
	return n
}

// Shown are the findings for the status of a version: errors first, then the
// warnings of policies that warn, each in the order of results. Findings of
// Audit policies are not among them.
func Shown(results []Result) []v1alpha1.Finding {
	var shown []v1alpha1.Finding
	for _, r := range results {
		if r.Enforcement != v1alpha1.Audit {
			shown = append(shown, r.Findings...)
		}
	}
	slices.SortStableFunc(shown, func(a, b v1alpha1.Finding) int { return cmp.Compare(a.Severity, b.Severity) })
	return shown
}

// LabelPrefix begins the keys of labels of mini programs that a policy can select
// by. Changing them takes a right of its own: by any other label, whoever edits a
// mini program could choose the policies that judge it.
const LabelPrefix = "policy.miniprogram.dev/"

// Selects tells whether p covers versions of a mini program with programLabels in
// a namespace with namespaceLabels that are meant for these host apps. A policy
// without namespaceSelector covers every namespace, one without
// miniProgramSelector every mini program, one without hostApps every host app; one
// with hostApps covers a version that is meant for at least one of them.
//
// The error names the policy and the field. The API server accepts selectors that
// mean nothing, so a caller must hold back what such a policy might cover.
func Selects(p *v1alpha1.ReviewPolicy, namespaceLabels, programLabels map[string]string, hostApps []string) (bool, error) {
	namespaces, err := namespaceSelector(p)
	if err != nil || !namespaces.Matches(labels.Set(namespaceLabels)) {
		return false, err
	}
	programs, err := miniProgramSelector(p)
	if err != nil || !programs.Matches(labels.Set(programLabels)) {
		return false, err
	}
	if len(p.Spec.HostApps) == 0 {
		return true, nil
	}
	return slices.ContainsFunc(hostApps, func(h string) bool { return slices.Contains(p.Spec.HostApps, h) }), nil
}

// CheckSelectors returns the first error that Selects can give for p.
func CheckSelectors(p *v1alpha1.ReviewPolicy) error {
	if _, err := namespaceSelector(p); err != nil {
		return err
	}
	_, err := miniProgramSelector(p)
	return err
}

// CheckSpec returns the first error in what the API server does not read:
// selectors, patterns, expressions and calendars. It names the policy, the field, and the
// place in an expression. A caller must hold back what such a policy might cover.
func CheckSpec(p *v1alpha1.ReviewPolicy) error {
	if err := CheckSelectors(p); err != nil {
		return err
	}
	for _, t := range textsOf(p) {
		if _, err := t.compile(); err != nil {
			return fmt.Errorf("ReviewPolicy %s: reading %s: %w", p.Name, t.field, err)
		}
	}
	for i, r := range p.Spec.Rules {
		if err := compiledRule(r.Expression).err; err != nil {
			return fmt.Errorf("ReviewPolicy %s: reading spec.rules[%d].expression: %w", p.Name, i, err)
		}
	}
	_, err := calendarOf(p)
	return err
}

func namespaceSelector(p *v1alpha1.ReviewPolicy) (labels.Selector, error) {
	return selector(p, "spec.namespaceSelector", p.Spec.NamespaceSelector)
}

func miniProgramSelector(p *v1alpha1.ReviewPolicy) (labels.Selector, error) {
	s := p.Spec.MiniProgramSelector
	if s == nil {
		return labels.Everything(), nil
	}
	keys := slices.Collect(maps.Keys(s.MatchLabels))
	for _, e := range s.MatchExpressions {
		keys = append(keys, e.Key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if !strings.HasPrefix(key, LabelPrefix) {
			return nil, fmt.Errorf("ReviewPolicy %s: reading spec.miniProgramSelector: key %q does not begin with %s: whoever edits a mini program may change such a label", p.Name, key, LabelPrefix)
		}
	}
	return selector(p, "spec.miniProgramSelector", s)
}

// selector reads one that selects everything when it is unset.
func selector(p *v1alpha1.ReviewPolicy, field string, s *metav1.LabelSelector) (labels.Selector, error) {
	if s == nil { // as a selector, nil would select nothing
		return labels.Everything(), nil
	}
	read, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return nil, fmt.Errorf("ReviewPolicy %s: reading %s: %w", p.Name, field, err)
	}
	return read, nil
}

// enforcementOf returns the policy's enforcement. What is unset or unknown
// enforces: a policy must not be switched off by a word that nobody understands.
func enforcementOf(p *v1alpha1.ReviewPolicy) string {
	if e := p.Spec.Enforcement; e == v1alpha1.Warn || e == v1alpha1.Audit {
		return e
	}
	return v1alpha1.Enforce
}

// cut shortens s to at most limit characters.
func cut(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:limit-1]) + "…"
}

// enumerate shows the first five names.
func enumerate(names []string) string {
	const shown = 5
	if len(names) == 0 {
		return "none"
	}
	list := strings.Join(names[:min(shown, len(names))], ", ")
	if rest := len(names) - shown; rest > 0 {
		list += fmt.Sprintf(" and %d more", rest)
	}
	return list
}
