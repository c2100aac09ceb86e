package policy

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

const document = "../../docs/policies.md"

// readDocument returns docs/policies.md.
func readDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheExpressionsOfTheDocumentAreRead(t *testing.T) {
	examples := regexp.MustCompile("(?s)```cel\n(.*?)\n```").FindAllStringSubmatch(readDocument(t), -1)
	if len(examples) != 5 {
		t.Fatalf("%d examples in %s, want 5", len(examples), document)
	}
	for _, example := range examples {
		p := reviewPolicy("base", customRule(v1alpha1.PolicyRule{Name: "example", Expression: example[1]}))
		if err := CheckSpec(&p); err != nil {
			t.Errorf("%s: %v", example[1], err)
		}
	}
}

func TestTheDocumentHasEveryRule(t *testing.T) {
	text := readDocument(t)
	for rule := range goldens {
		if !regexp.MustCompile("`" + rule + "`").MatchString(text) {
			t.Errorf("%s does not tell of %s", document, rule)
		}
	}
}

func TestWhatCannotBeReadOpensNoGate(t *testing.T) {
	expression := func(text string) v1alpha1.ReviewPolicySpec {
		return customRule(v1alpha1.PolicyRule{Name: "broken", Expression: text, Severity: SeverityWarning})
	}
	const place = "ReviewPolicy base: reading spec.rules[0].expression: "
	tests := map[string]struct {
		spec v1alpha1.ReviewPolicySpec
		want string
	}{
		"an unknown field":    {expression("true &&\n  program.nope == ''"), place + "line 2, column 10: undefined field 'nope'"},
		"an unknown variable": {expression("nope"), place + "line 1, column 1: undeclared reference to 'nope' (in container '')"},
		"no bool":             {expression("1 + 1"), place + "line 1, column 3: the expression is of type int, and must be a bool"},
		"a comparison of types": {expression("program.name == 1"),
			place + "line 1, column 14: found no matching overload for '_==_' applied to '(string, int)'"},
		"a pattern": {privacyRules(v1alpha1.PrivacyRules{Detect: []v1alpha1.DetectRule{{Name: "x", Patterns: []v1alpha1.TextPattern{"x", "("}}}}),
			"ReviewPolicy base: reading spec.privacy.detect[0].patterns[1]: error parsing regexp: missing closing ): `(`"},
		"a pattern of nothing": {qualityRules(v1alpha1.QualityRules{ForbiddenText: []v1alpha1.ForbiddenText{{Pattern: "x*"}}}),
			"ReviewPolicy base: reading spec.quality.forbiddenText[0].pattern: the pattern matches where there is nothing, and so in every file: let it ask for at least one character"},
		"a pattern that is too dear": {qualityRules(v1alpha1.QualityRules{ForbiddenText: []v1alpha1.ForbiddenText{{Pattern: "(a{100}){10}"}}}),
			"ReviewPolicy base: reading spec.quality.forbiddenText[0].pattern: the pattern compiles to 1022 instructions, allowed are 1000: repeat less in it, or divide it"},
		"no expression": {expression("program.name =="),
			place + "line 1, column 16: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"},
		"an expression that may cost too much": {expression("bundle.files.all(a, bundle.files.all(b, bundle.files.all(c, a.path == b.path && b.path == c.path)))"),
			place + "line 1, column 17: the expression may cost 831000600060003, allowed are 100000000: look at fewer lists within lists, or at shorter texts"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := reviewPolicy("base", tc.spec)
			got := ""
			if err := CheckSpec(&p); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("CheckSpec (-want +got):\n%s", diff)
			}
			if results := Check(Facts{}, []v1alpha1.ReviewPolicy{p}); Blocking(results) != 1 {
				t.Errorf("Check = %v, want one finding that blocks", results)
			}
		})
	}
}

func TestAnExpressionThatCostsTooMuchIsNoPass(t *testing.T) {
	p := reviewPolicy("base", customRule(v1alpha1.PolicyRule{Name: "slow", Expression: "bundle.files.all(a, program.owners.all(b, a.sizeBytes > 0))"}))
	if err := CheckSpec(&p); err != nil {
		t.Fatal(err)
	}
	f := Facts{Inspected: true, Paths: []File{{"a.js", 1}}, Program: ProgramFacts{Owners: make([]string, 100)}}
	if results := Check(f, []v1alpha1.ReviewPolicy{p}); Blocking(results) != 0 {
		t.Errorf("with one file: %v, want no finding", results)
	}
	for len(f.Paths) < 10000 {
		f.Paths = append(f.Paths, File{"a.js", 1})
	}
	want := failure(RuleCustomError, "rule slow of ReviewPolicy base failed (spec.rules[0].expression): operation cancelled: actual cost limit exceeded: ask the platform's administrators to correct it")
	if diff := cmp.Diff(want, Check(f, []v1alpha1.ReviewPolicy{p})[0].Findings); diff != "" {
		t.Errorf("with ten thousand (-want +got):\n%s", diff)
	}
}

func TestFactsOfALaterReleaseAreRead(t *testing.T) {
	want := factsOf(t, web(files{"a.js": "eval("}), reviewPolicy("base", goldens[RuleTextForbidden].spec))
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Facts
	if err := json.Unmarshal(append([]byte(`{"fromLater":[1],`), raw[1:]...), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got.Matches) != 1 {
		t.Errorf("facts that were written and read (-want +got):\n%s", diff)
	}
}
