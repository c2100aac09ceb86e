package detect

import (
	"cmp"
	"slices"

	"github.com/tdewolff/parse/v2/js"
)

// value is something that an expression may be, as far as it matters here.
type value struct {
	kind  valueKind
	id    int32 // of a node, of a text, a function's scope, or a list's bracket
	shift int32 // of what is called: arguments before its own, or one of those below
}

// How something is called when its arguments do not simply follow.
const (
	byCall  int32 = 1  // f.call(this, a, b)
	byApply int32 = -1 // f.apply(this, [a, b])
	byBind  int32 = -2 // f.bind(this, a)
	byEach  int32 = -3 // of a list: each element goes to a function
)

type valueKind uint8

const (
	anObject valueKind = iota // a node of the table
	aText
	aFunction
	aList // a literal with elements or members that matter
)

// set are the values that an expression may be; empty if none is known.
type set []value

// maxValues bounds how many values of a kind are in a set. Names with more
// meanings than that are those of bundlers' helpers.
var maxValues = [...]int{anObject: 6, aText: 32, aFunction: 6, aList: 4}

// with returns the union of two sets. It changes neither.
func (s set) with(other set) set {
	if len(s) == 0 {
		return other
	}
	for _, v := range other {
		if !slices.Contains(s, v) && s.count(v.kind) < maxValues[v.kind] {
			s = append(s[:len(s):len(s)], v)
		}
	}
	return s
}

func (s set) count(kind valueKind) (n int) {
	for _, v := range s {
		if v.kind == kind {
			n++
		}
	}
	return n
}

// lasting are the values that mean something beyond the part that is held.
func (s set) lasting() set {
	return slices.DeleteFunc(slices.Clone(s), func(v value) bool { return v.kind == aFunction || v.kind == aList })
}

// The limits of looking into an expression. What is beyond them is not known.
const (
	maxDepth    = 12
	maxOperands = 64
	maxText     = 64
	maxSteps    = 256
)

// evaluator says what expressions may be.
type evaluator struct {
	p           *parser
	t           *table
	names       map[int32]set // by binding
	platform    []bool        // bindings that are globals of the platform
	properties  values        // by name, whatever the object
	returns     map[int32]set // by a function's scope
	texts       []string
	textIDs     map[string]int32
	words       map[string]string // what words of the source say, so that each is made once
	carried     values            // what names of the last part may be
	functions   []int32           // scopes of functions, in order of their beginning
	changed     bool
	inArguments bool // patterns of parameters are noted
	reporting   bool
	found       []place
}

// text returns a token's text: of a name without escapes, of a string without quotes.
func (e *evaluator) text(i int32) string {
	t := e.p.tokens[i]
	raw := e.p.lexer.src[t.start:t.end]
	if s, ok := e.words[string(raw)]; ok {
		return s
	}
	s := wordOf(t.kind, raw)
	if len(raw) <= maxText && len(e.words) < maxWords {
		e.words[string(raw)] = s
	}
	return s
}

// maxWords bounds the words that are remembered.
const maxWords = 1 << 16

func wordOf(kind js.TokenType, raw []byte) string {
	switch kind {
	case js.StringToken, js.TemplateToken, js.TemplateEndToken:
		return unescaped(raw[1 : len(raw)-1])
	case js.TemplateStartToken, js.TemplateMiddleToken:
		return unescaped(raw[1 : len(raw)-2])
	default:
		return unescaped(raw)
	}
}

func (e *evaluator) textValue(s string) set {
	if len(s) > maxText {
		return nil
	}
	id, ok := e.textIDs[s]
	if !ok {
		id = int32(len(e.texts))
		e.texts = append(e.texts, s)
		e.textIDs[s] = id
	}
	return set{{kind: aText, id: id}}
}

func (e *evaluator) kind(i int32) js.TokenType {
	if i < 0 || int(i) >= len(e.p.tokens) {
		return js.SemicolonToken
	}
	return e.p.tokens[i].kind
}

// expression says what the expression beginning at a token may be, and where it
// ends: at a comma, a bracket, or whatever is not understood.
func (e *evaluator) expression(i int32, depth int) (set, int32) {
	if depth > maxDepth {
		return nil, i
	}
	var all, last set
	for range maxOperands {
		last, i = e.operand(i, depth)
		for n := 0; e.kind(i) == js.AddToken && n < maxOperands; n++ {
			var right set
			right, i = e.operand(i+1, depth)
			last = e.joined(last, right)
		}
		switch e.kind(i) {
		case js.OrToken, js.AndToken, js.NullishToken:
			all = all.with(last)
			i++
		case js.QuestionToken:
			var yes, no set
			yes, i = e.expression(i+1, depth+1)
			if e.kind(i) != js.ColonToken {
				return yes, i
			}
			no, i = e.expression(i+1, depth+1)
			return yes.with(no), i
		default:
			if !js.IsOperator(e.kind(i)) && e.kind(i) != js.InToken && e.kind(i) != js.InstanceofToken || e.kind(i) == js.EqToken {
				return all.with(last), i
			}
			all = nil // a comparison, a sum: only what a ? chooses counts
			i++
		}
	}
	return nil, i
}

// joined are the texts that two operands of + make.
func (e *evaluator) joined(left, right set) set {
	var out set
	for _, l := range left {
		for _, r := range right {
			if l.kind == aText && r.kind == aText {
				out = out.with(e.textValue(e.texts[l.id] + e.texts[r.id]))
			}
		}
	}
	return out
}

// operand says what an operand with its members and calls may be.
func (e *evaluator) operand(i int32, depth int) (set, int32) {
	for range maxSteps {
		switch e.kind(i) {
		case js.AwaitToken:
			i++
			continue
		case js.NotToken, js.SubToken, js.AddToken, js.BitNotToken, js.TypeofToken, js.VoidToken, js.DeleteToken, js.IncrToken, js.DecrToken, js.NewToken:
			_, next := e.operandAt(i+1, depth+1)
			return nil, next
		default:
			return e.operandAt(i, depth)
		}
	}
	return nil, i
}

func (e *evaluator) operandAt(i int32, depth int) (set, int32) {
	if depth > maxDepth {
		return nil, i
	}
	got, next := e.primary(i, depth)
	return e.chain(got, next, depth, -1)
}

// primary says what a token, or what is in brackets, may be.
func (e *evaluator) primary(i int32, depth int) (set, int32) {
	if f, ok := e.function(i); ok {
		return set{{kind: aFunction, id: f}}, e.p.scopes[f].end + 1
	}
	switch kind := e.kind(i); kind {
	case js.StringToken, js.TemplateToken:
		return e.textValue(e.text(i)), i + 1
	case js.ThisToken:
		return e.this(i), i + 1
	case js.OpenParenToken:
		return e.group(i, depth)
	case js.OpenBraceToken:
		got, next := e.spread(i, depth)
		return got.with(e.list(i, i+3)), next
	case js.OpenBracketToken:
		return e.list(i, i+1), e.after(i)
	case js.TemplateStartToken:
		return e.template(i, depth), e.after(i)
	case js.ClassToken:
		return e.class(i)
	default:
		if i >= 0 && int(i) < len(e.p.tokens) && e.p.tokens[i].ref != noRef {
			return e.names[e.p.tokens[i].ref], i + 1
		}
		if js.IsOperator(kind) || js.IsPunctuator(kind) {
			return nil, i
		}
		return nil, i + 1
	}
}

// this says what this is: the global object, where no function is around it.
func (e *evaluator) this(i int32) set {
	if e.p.tokens[i].match != i {
		return nil
	}
	return set{{kind: anObject, id: globalNode}}
}

// after is the token behind a bracket's partner; a template may have several.
func (e *evaluator) after(i int32) int32 {
	for range maxSteps {
		m := e.p.tokens[i].match
		if m <= i {
			return i + 1
		}
		if e.kind(m) != js.TemplateMiddleToken {
			return m + 1
		}
		i = m
	}
	return i + 1
}

// function finds the function that begins at a token.
func (e *evaluator) function(i int32) (int32, bool) {
	kind := e.kind(i)
	if kind != js.FunctionToken && kind != js.OpenParenToken && !js.IsIdentifier(kind) {
		return 0, false
	}
	if kind == js.AsyncToken && (e.kind(i+1) == js.FunctionToken || e.kind(i+1) == js.OpenParenToken) {
		i++
	}
	if kind != js.FunctionToken && e.kind(e.after(i)) != js.ArrowToken && e.kind(i) != js.FunctionToken {
		return 0, false
	}
	if e.functions == nil {
		e.listFunctions()
	}
	n, ok := slices.BinarySearchFunc(e.functions, i, func(s, i int32) int { return cmp.Compare(e.p.scopes[s].start, i) })
	if !ok || int(e.p.scopes[e.functions[n]].end) >= len(e.p.tokens) {
		return 0, false
	}
	return e.functions[n], true
}

func (e *evaluator) listFunctions() {
	for i, s := range e.p.scopes {
		if i > 0 && s.function == int32(i) {
			e.functions = append(e.functions, int32(i))
		}
	}
	slices.SortFunc(e.functions, func(a, b int32) int { return cmp.Compare(e.p.scopes[a].start, e.p.scopes[b].start) })
}

// group says what the last of the expressions in parentheses may be.
func (e *evaluator) group(i int32, depth int) (set, int32) {
	end := e.p.tokens[i].match
	if end < 0 {
		return nil, i + 1
	}
	from := end - 1
	for steps := 0; from > i && e.kind(from) != js.CommaToken; steps++ {
		if steps > maxSteps {
			return nil, end + 1
		}
		if m := e.p.tokens[from].match; m >= 0 && m < from {
			from = m
		}
		from--
	}
	got, _ := e.expression(from+1, depth+1)
	return got, end + 1
}

// spread says of an object literal what was copied into it with three dots.
func (e *evaluator) spread(i int32, depth int) (set, int32) {
	end := e.p.tokens[i].match
	if end < 0 {
		return nil, i + 1
	}
	var all set
	at := i + 1
	for n := 0; at < end && n < maxOperands; n++ {
		if e.kind(at) == js.EllipsisToken {
			got, _ := e.expression(at+1, depth+1)
			all = all.with(got)
		}
		at = e.p.skip(at, end) + 1
	}
	return all, end + 1
}
