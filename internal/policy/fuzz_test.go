package policy

import (
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// FuzzCheckSpec gives one text as pattern and as expression. Nothing may panic, a
// fault must be told by its place, and what is wrong must never pass a version.
func FuzzCheckSpec(f *testing.F) {
	for _, seed := range []string{
		"true", "1", "version.releaseNotes.size() > 0", "program.nope == 'x'", "declaration.permissions.all(p, p.reason != '')",
		"bundle.files.exists(a, bundle.files.exists(b, a.path == b.path))", "'a'.matches('(')", "program.categories[0] == 'x'", "1/0 == 1",
		`\beval\(`, "(a{1000}){1000}", "(?i)x", "[", "\x00", "\xff", "((((", "!!!!true", "true\n&& 'x'", "duration('x') == duration('1s')",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2048 { // the API takes no more
			return
		}
		p := reviewPolicy("base", v1alpha1.ReviewPolicySpec{Rules: []v1alpha1.PolicyRule{{Name: "fuzzed", Expression: text}}})
		err := CheckSpec(&p)
		if err != nil && !strings.HasPrefix(err.Error(), "ReviewPolicy base: reading spec.rules[0].expression: line ") {
			t.Errorf("CheckSpec of expression %q = %q, want policy, field and place before it", text, err)
		}
		findings := Check(Facts{Inspected: true}, []v1alpha1.ReviewPolicy{p})[0].Findings
		if err != nil && (len(findings) != 1 || findings[0].Rule != RuleCustomError || findings[0].Severity != SeverityError) {
			t.Errorf("Check with expression %q = %v, want one %s: %v", text, findings, RuleCustomError, err)
		}

		if len(text) > 512 {
			return
		}
		p = reviewPolicy("base", qualityRules(v1alpha1.QualityRules{ForbiddenText: []v1alpha1.ForbiddenText{{Pattern: v1alpha1.TextPattern(text)}}}))
		err = CheckSpec(&p)
		patterns, same := PatternsOf([]v1alpha1.ReviewPolicy{p})
		if (err == nil) != (same == nil) {
			t.Errorf("pattern %q: CheckSpec = %v, PatternsOf = %v", text, err, same)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "ReviewPolicy base: reading spec.quality.forbiddenText[0].pattern: ") {
			t.Errorf("CheckSpec of pattern %q = %q, want policy and field before it", text, err)
		}
		for _, m := range patterns.Match("a.js", []byte(text)) {
			if m.Line < 1 || m.Column < 1 {
				t.Errorf("pattern %q matches itself at %d:%d, places begin at 1", text, m.Line, m.Column)
			}
		}
	})
}
