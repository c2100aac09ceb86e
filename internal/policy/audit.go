package policy

import (
	"fmt"
	"slices"

	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// CEL counts the cost of a call once it is over, so no single call may be much
// dearer than what its arguments have cost: that is what audit sees to. Each rule
// closes one way to grow a value cheaply and then to look at all of it at once.

// functions that work in time proportional to their arguments, and make nothing
// that is larger than these.
var functions = []string{
	operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.NotStrictlyFalse,
	operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
	operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate,
	operators.In, operators.Index, "size", "contains", "startsWith", "endsWith", "matches", "int", "double", "string",
	"charAt", "indexOf", "lastIndexOf", "lowerAscii", "upperAscii", "trim", "split", "substring",
	"sets.contains", "sets.equivalent", "sets.intersects",
}

// comparisons look at all of what they compare.
var comparisons = []string{operators.Equals, operators.NotEquals, operators.In, "sets.contains", "sets.equivalent", "sets.intersects"}

// fault is something in an expression that is not accepted.
type fault struct {
	id      int64 // of the place
	message string
}

// audit returns the first fault of a checked expression.
func audit(a *celast.AST) *fault {
	var first *fault
	celast.PreOrderVisit(celast.NavigateAST(a), celast.NewExprVisitor(func(e celast.Expr) {
		if first != nil {
			return
		}
		navigable, is := e.(celast.NavigableExpr)
		if !is {
			first = &fault{e.ID(), "nobody can tell what this is"}
		} else if message := refusal(navigable); message != "" {
			first = &fault{e.ID(), message}
		}
	}))
	return first
}

// refusal says why a part of an expression is not accepted, or nothing.
func refusal(e celast.NavigableExpr) string {
	if t := e.Type(); t.Kind() == types.ListKind && holdsLists(t) {
		return "a list of lists cannot be bounded: look at its items one by one, with all or exists"
	}
	switch e.Kind() {
	case celast.MapKind:
		return "a map cannot be written in a rule: compare fields one by one"
	case celast.StructKind:
		return "an object cannot be written in a rule: compare fields one by one"
	case celast.CallKind:
		return refusedCall(e, e.AsCall())
	default:
		return ""
	}
}

func refusedCall(e celast.NavigableExpr, call celast.CallExpr) string {
	name := call.FunctionName()
	switch {
	case !slices.Contains(functions, name):
		return fmt.Sprintf("function %s is not there for rules, for its cost cannot be bounded", name)
	case slices.Contains(comparisons, name) && slices.ContainsFunc(call.Args(), comparesObjects):
		return "objects cannot be compared: compare their fields one by one"
	case name == operators.Add && e.Type().Kind() == types.ListKind && !isMacro(call):
		return "lists cannot be joined: look at each of them"
	case name == operators.Add && e.Type().Kind() == types.StringKind && insideMap(e):
		return "texts cannot be joined inside map and filter: join them inside all or exists"
	case name == "matches":
		return refusedMatch(call)
	}
	return ""
}

// refusedMatch bounds the regular expression: one that is computed could be anybody's.
func refusedMatch(call celast.CallExpr) string {
	pattern := call.Args()[len(call.Args())-1]
	text, is := "", pattern.Kind() == celast.LiteralKind
	if is {
		text, is = pattern.AsLiteral().Value().(string)
	}
	if !is {
		return "the pattern of matches must be written in the rule, between quotes"
	}
	if err := boundedText(text); err != nil {
		return err.Error()
	}
	return ""
}

func holdsLists(t *types.Type) bool {
	return slices.ContainsFunc(t.Parameters(), func(item *types.Type) bool {
		return item.Kind() == types.ListKind || item.Kind() == types.MapKind
	})
}

// comparesObjects tells whether an argument is an object, or a list of them.
func comparesObjects(arg celast.Expr) bool {
	navigable, is := arg.(celast.NavigableExpr)
	if !is {
		return true
	}
	t := navigable.Type()
	if t.Kind() == types.ListKind {
		return slices.ContainsFunc(t.Parameters(), isObject)
	}
	return isObject(t)
}

func isObject(t *types.Type) bool { return t.Kind() == types.StructKind }

// isMacro tells whether map or filter joins lists: to its result, which has a name
// that nobody can write.
func isMacro(call celast.CallExpr) bool {
	args := call.Args()
	return len(args) == 2 && args[0].Kind() == celast.IdentKind && args[0].AsIdent() == "@result"
}

// insideMap tells whether e is part of something that makes a list item by item.
func insideMap(e celast.NavigableExpr) bool {
	for parent, has := e.Parent(); has; parent, has = parent.Parent() {
		if parent.Kind() == celast.ComprehensionKind && parent.Type().Kind() == types.ListKind {
			return true
		}
	}
	return false
}
