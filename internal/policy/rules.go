package policy

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/ext"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Bounds of the cost of one expression, in CEL's units: about one for each
// operation and for ten characters that are looked at.
const (
	// maxEstimate refuses what can never end in time: the estimate takes every list and text as long
	// as it may be, which no real bundle comes near to.
	maxEstimate = 100_000_000
	// maxCost stops an evaluation. Counting costs takes CEL time that grows with the square of what was
	// evaluated, so ten times this limit may take some ten seconds and not some tenths. A condition on each of ten thousand
	// files stays below it.
	maxCost = 200_000
)

// compiled is an expression that is ready, or why it is not.
type compiled struct {
	program cel.Program
	inside  bool // it looks into the bundle
	err     error
}

var knownRules memo[compiled]

// compiledRule compiles each expression once.
func compiledRule(expression string) compiled { return knownRules.of(expression, compile) }

// rules evaluates the policy's own rules, in their order.
func (c *check) rules(f Facts, given func() map[string]any, rules []v1alpha1.PolicyRule) {
	for i, r := range rules {
		c.rule(f, given, i, r)
	}
}

func (c *check) rule(f Facts, given func() map[string]any, i int, r v1alpha1.PolicyRule) {
	field := fmt.Sprintf("spec.rules[%d]", i)
	program := compiledRule(r.Expression)
	if program.err != nil {
		c.add(RuleCustomError, "rule %s of ReviewPolicy %s cannot be read (%s.expression): %s: ask the platform's administrators to correct it",
			r.Name, c.policy, field, cut(program.err.Error(), maxShownError))
		return
	}
	if program.inside && !c.inspected(f, field+".expression") {
		return
	}
	holds, err := evaluate(program.program, given())
	switch {
	case err != nil:
		c.add(RuleCustomError, "rule %s of ReviewPolicy %s failed (%s.expression): %s: ask the platform's administrators to correct it",
			r.Name, c.policy, field, cut(err.Error(), maxShownError))
	case !holds:
		severity := c.severity
		if r.Severity == SeverityWarning {
			c.severity = SeverityWarning
		}
		c.add(RuleCustom, "rule %s of ReviewPolicy %s does not hold (%s): %s", r.Name, c.policy, field, ruleMessage(r))
		c.severity = severity
	}
}

// maxShownError bounds what CEL has to say in a message, in characters.
const maxShownError = 500

func ruleMessage(r v1alpha1.PolicyRule) string {
	if r.Message != "" {
		return r.Message
	}
	return "this must be true: " + cut(r.Expression, maxShownPattern)
}

// source tells of bytes that nobody chose.
func (c *check) source(s SourceFacts, pinned string) {
	if pinned != required || s.Pinned {
		return
	}
	remedy := map[string]string{
		"OCI":       "write the reference in spec.source.oci.ref with @sha256:… behind it",
		"HTTP":      "set spec.source.http.sha256",
		"ConfigMap": "set spec.source.configMap.sha256",
	}[s.Kind]
	if remedy == "" {
		remedy = "name a digest in spec.source"
	}
	c.add(RuleSourceNotPinned, "the source of the version (%s) names no exact bytes, and ReviewPolicy %s asks for them (spec.pinnedSource): %s in a new MiniProgramVersion",
		strings.TrimSpace(s.Kind+" "+cut(s.Address, maxShownPattern)), c.policy, remedy)
}

// evaluate tells whether the expression is true.
func evaluate(program cel.Program, given map[string]any) (bool, error) {
	value, _, err := program.Eval(given)
	if err != nil {
		return false, err
	}
	holds, is := value.Value().(bool)
	if !is {
		return false, fmt.Errorf("it is no bool but %s", value.Type().TypeName())
	}
	return holds, nil
}

// environment is what expressions are written in: CEL's standard functions, those
// on texts and sets, and the four variables with their types; audit leaves out the
// functions whose cost cannot be bounded. Kubernetes' own environment would bring 28
// packages and 1.4 MB more into the manager, for functions that audit has not seen.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	object := func(v any) *cel.Type { return cel.ObjectType("policy." + reflect.TypeOf(v).Name()) }
	return cel.NewEnv(
		ext.NativeTypes(ext.ParseStructTag("json"), reflect.TypeFor[ProgramFacts](), reflect.TypeFor[VersionFacts](),
			reflect.TypeFor[BundleVariable](), reflect.TypeFor[DeclarationVariable]()),
		cel.Variable("program", object(ProgramFacts{})),
		cel.Variable("version", object(VersionFacts{})),
		cel.Variable("bundle", object(BundleVariable{})),
		cel.Variable("declaration", object(DeclarationVariable{})),
		ext.Strings(ext.StringsVersion(5)),
		ext.Sets(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(),
			cel.ValidateHomogeneousAggregateLiterals()),
	)
})

// compile reads an expression. Its errors name line and column, from 1.
func compile(expression string) (c compiled) {
	defer func() {
		if r := recover(); r != nil { // a fault of the library must not end the manager
			c = compiled{err: fmt.Errorf("line 1, column 1: the expression cannot be compiled: %v", r)}
		}
	}()
	env, err := environment()
	if err != nil {
		return compiled{err: err}
	}
	parsed, issues := env.Compile(expression)
	if issues != nil && issues.Err() != nil {
		first := issues.Errors()[0]
		return compiled{err: fmt.Errorf("line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, oneLine(first.Message))}
	}
	native := parsed.NativeRep()
	refuse := func(id int64, format string, args ...any) compiled {
		at := native.SourceInfo().GetStartLocation(id)
		return compiled{err: fmt.Errorf("line %d, column %d: %s", max(at.Line(), 1), max(at.Column(), 0)+1, fmt.Sprintf(format, args...))}
	}
	root := native.Expr().ID()
	if t := parsed.OutputType(); !t.IsExactType(cel.BoolType) {
		return refuse(root, "the expression is of type %s, and must be a bool", t)
	}
	if f := audit(native); f != nil {
		return refuse(f.id, "%s", f.message)
	}
	estimate, err := env.EstimateCost(parsed, sizes{})
	if err != nil {
		return refuse(root, "its cost cannot be estimated: %v", err)
	}
	if estimate.Max > maxEstimate {
		return refuse(root, "the expression may cost %d, allowed are %d: look at fewer lists within lists, or at shorter texts", estimate.Max, maxEstimate)
	}
	program, err := env.Program(parsed, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost))
	if err != nil {
		return refuse(root, "%s", oneLine(err.Error()))
	}
	return compiled{program: program, inside: looksInside(native)}
}

// looksInside tells whether an expression is about what only Facts.Inspected fills.
func looksInside(a *celast.AST) bool {
	for _, e := range celast.MatchDescendants(celast.NavigateAST(a), celast.KindMatcher(celast.IdentKind)) {
		if e.AsIdent() != "bundle" {
			continue
		}
		parent, has := e.Parent()
		if !has || parent.Kind() != celast.SelectKind {
			return true
		}
		if field := parent.AsSelect().FieldName(); field != "format" && field != "archiveBytes" {
			return true
		}
	}
	return false
}

// oneLine is the first line of what CEL says; the rest shows the place in pictures.
func oneLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return first
}
