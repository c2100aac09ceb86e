package detect

import "github.com/tdewolff/parse/v2/js"

// word takes a name or a word of the language.
func (p *parser) word(f *frame, i int32) {
	t := &p.tokens[i]
	if p.dotted(0) || f.kind == clause {
		return
	}
	if f.key && (f.kind == object || f.kind == class) {
		return // a key; shorthand looks at it again
	}
	if f.functIs != nothing {
		p.functionName(f, i)
		return
	}
	switch {
	case t.kind == js.FunctionToken:
		f.functIs, f.function = expression, i
		if p.begins() {
			f.functIs = statement
		}
	case t.kind == js.ClassToken:
		f.classIs = expression
		if p.begins() {
			f.classIs = statement
		}
	case t.kind == js.VarToken:
		f.declares, f.binding = hoisted, true
	case t.kind == js.ConstToken:
		f.declares, f.binding = lexical, true
	case t.kind == js.ImportToken:
		f.importing = p.begins() || i == 0
	case t.kind == js.ReturnToken:
		p.edges = append(p.edges, edge{toCaller, p.scopes[p.scope].function, i + 1})
	case f.kind == forHead && (t.kind == js.InToken || t.kind == js.OfToken && p.endsOperand()):
		f.declares, f.binding = nothing, false
		if t.kind == js.OfToken && p.tokens[i-1].ref != noRef {
			p.edges = append(p.edges, edge{toEach, i - 1, i + 1})
		}
	case t.kind == js.ThisToken && p.scopes[p.scope].top:
		t.match = i // the global object's, as no function is around it
	case js.IsIdentifier(t.kind) || t.kind == js.AwaitToken || t.kind == js.YieldToken:
		p.name(f, i)
	}
}

// name takes a name: declared or used.
func (p *parser) name(f *frame, i int32) {
	t := &p.tokens[i]
	switch {
	case f.importing && t.kind != js.FromToken && t.kind != js.AsToken:
		p.declare(p.scope, i)
	case f.classIs != nothing && p.prev(1) == js.ClassToken:
		if f.classIs == statement {
			p.declare(p.scope, i)
			p.edges = append(p.edges, edge{toName, i, i - 1})
		}
	case f.binding && t.kind != js.LetToken:
		f.binding = false
		p.declare(p.scopeOf(f.declares), i)
	case t.kind == js.LetToken && !p.endsOperand() || t.kind == js.LetToken && p.newline:
		f.declares, f.binding = lexical, true
	default:
		t.ref = p.intern(i)
	}
}

// notKey looks again at a word that was taken for a key: keys have no members.
func (p *parser) notKey(f *frame, i int32) {
	if f.key && i > 0 && js.IsIdentifier(p.prev(1)) && !p.dotted(1) {
		p.tokens[i-1].ref = p.intern(i - 1)
		f.key = false
	}
}

// functionName takes the name of a function: known outside if it is a
// declaration, inside if it is an expression.
func (p *parser) functionName(f *frame, i int32) {
	if f.functIs == statement {
		p.declare(p.scopes[p.scope].function, i)
		p.edges = append(p.edges, edge{toName, i, f.function})
	} else {
		p.tokens[i].ref = p.intern(i)
	}
}

func (p *parser) scopeOf(declares uint8) int32 {
	if declares == hoisted {
		return p.scopes[p.scope].function
	}
	return p.scope
}

// intern numbers a name.
func (p *parser) intern(i int32) int32 {
	t := p.tokens[i]
	raw := p.lexer.src[t.start:t.end]
	n, ok := p.names[string(raw)]
	if ok {
		return n
	}
	name := unescaped(raw)
	if n, ok = p.names[name]; !ok {
		n = int32(len(p.names))
		p.names[name] = n
	}
	return n
}

// declare declares the name of a token.
func (p *parser) declare(in, i int32) {
	n := p.intern(i)
	p.tokens[i].ref = n
	p.decls = append(p.decls, decl{in, n})
}

// addScope opens a scope at token i, within the present one. It is a function's
// when it has parameters; they come later.
func (p *parser) addScope(i int32, function bool) int32 {
	n := int32(len(p.scopes))
	s := scope{start: i, end: maxTokens * 2, function: p.scopes[p.scope].function, top: p.scopes[p.scope].top}
	if function {
		s.function = n
	}
	p.scopes = append(p.scopes, s)
	p.scope = n
	return n
}

// endParams declares the parameters of a function or a catch, whose body is next.
func (p *parser) endParams(f *frame, i int32) {
	if f.open < 0 {
		return
	}
	outer := p.scope
	n := p.addScope(f.began, !f.caught)
	p.scopes[n].top = p.scopes[n].top && f.caught
	p.declareParams(n, f.open, i)
	if f.method {
		p.method(f, n)
	}
	if f.of == expression {
		if at := f.open - 1; at > f.began && js.IsIdentifierName(p.tokens[at].kind) {
			p.declare(n, at)
		}
	}
	p.scope = outer
	p.waiting, p.waitingDivides, p.waitingFor, p.arrow = n, f.of == expression, false, false
}

// method notes a function that is a member by its key.
func (p *parser) method(f *frame, scope int32) {
	key := f.open - 1
	if kind := p.tokens[key].kind; !js.IsIdentifierName(kind) && kind != js.StringToken && kind != js.PrivateIdentifierToken {
		return
	}
	name := p.lexer.src[p.tokens[key].start:p.tokens[key].end]
	if outer := p.top(); outer.kind == class && string(name) == "constructor" {
		p.constructors[outer.open] = scope
		return
	}
	p.edges = append(p.edges, edge{toMethod, key, scope})
}

// declareParams declares what stands between two parentheses in a scope.
func (p *parser) declareParams(n, open, end int32) {
	s := &p.scopes[n]
	s.firstParam = int32(len(p.params))
	for at := open + 1; at < end; {
		param := int32(-1)
		switch t := p.tokens[at]; {
		case js.IsIdentifierName(t.kind):
			param = at
			p.declare(n, at)
		case t.kind == js.OpenBraceToken || t.kind == js.OpenBracketToken:
			param = at
			p.declareNames(at, t.match, n)
		case t.kind == js.EllipsisToken:
			at++
			continue
		}
		p.params = append(p.params, param)
		at = p.skip(at, end) + 1
	}
	s.params = int32(len(p.params)) - s.firstParam
}

// skip returns the next comma at the level of token at, or end.
func (p *parser) skip(at, end int32) int32 {
	for ; at < end; at++ {
		t := p.tokens[at]
		if t.kind == js.CommaToken {
			return at
		}
		if t.match > at {
			at = t.match
		}
	}
	return end
}

func (p *parser) declarePattern(open, end int32, declares uint8) {
	p.declareNames(open, end, p.scopeOf(declares))
}

// declareNames declares the names that a pattern binds.
func (p *parser) declareNames(open, end, in int32) {
	for at := open + 1; at < end; at++ {
		t := p.tokens[at]
		switch {
		case t.kind == js.EqToken: // a default
			at = p.skip(at, end)
		case t.kind == js.OpenBracketToken && p.tokens[open].kind == js.OpenBraceToken && p.tokens[at-1].kind != js.ColonToken:
			at = max(at, t.match) // a computed key
		case t.kind == js.OpenBraceToken, t.kind == js.OpenBracketToken:
			if t.match > at {
				p.declareNames(at, t.match, in)
				at = t.match
			}
		case js.IsIdentifierName(t.kind) && p.tokens[at+1].kind != js.ColonToken:
			p.declare(in, at)
		}
	}
}

// declareImports declares the local names of an import.
func (p *parser) declareImports(open, end int32) {
	for at := open + 1; at < end; at++ {
		next := p.tokens[at+1].kind
		if js.IsIdentifierName(p.tokens[at].kind) && (next == js.CommaToken || next == js.CloseBraceToken) {
			p.declare(p.scope, at)
		}
	}
}

// startArrow opens the scope of an arrow function, which began before it could
// be known.
func (p *parser) startArrow(i int32) {
	if i == 0 {
		return
	}
	start, outer := i-1, p.scope
	open := p.tokens[start].match
	if p.prev(1) == js.CloseParenToken && open >= 0 {
		start = open
	}
	n := p.addScope(start, true)
	switch {
	case start < i-1:
		p.declareParams(n, start, i-1)
	case js.IsIdentifierName(p.prev(1)):
		p.scopes[n].firstParam, p.scopes[n].params = int32(len(p.params)), 1
		p.params = append(p.params, start)
		p.declare(n, start)
	}
	p.scope = outer
	p.waiting, p.waitingDivides, p.waitingFor, p.arrow = n, false, false, true
}

// shorthand looks at {name} in an object when the comma or bracket behind it is there.
func (p *parser) shorthand(i int32) {
	f := p.top()
	if f.kind != object || !f.key || i < 1 || f.pattern != nothing {
		return
	}
	before := p.tokens[max(i-2, 0)].kind
	if js.IsIdentifier(p.tokens[i-1].kind) && (before == js.CommaToken || before == js.OpenBraceToken) {
		p.tokens[i-1].ref = p.intern(i - 1)
		p.edges = append(p.edges, edge{toProperty, i - 1, i - 1})
	}
}

// assign takes the sign between a name, property or pattern and its value.
func (p *parser) assign(f *frame, i int32) {
	if i < 1 {
		return
	}
	last := p.tokens[i-1]
	switch {
	case last.kind == js.CloseBraceToken || last.kind == js.CloseBracketToken:
		if open := last.match; open > 0 && last.kind == js.CloseBracketToken && p.tokens[open-1].ref != noRef {
			p.edges = append(p.edges, edge{toIndexed, open - 1, i + 1})
		} else if open >= 0 {
			p.edges = append(p.edges, edge{toPattern, open, i + 1})
		}
	case !js.IsIdentifierName(last.kind) && last.kind != js.PrivateIdentifierToken:
	case f.kind == object && f.key: // {name = default} of a pattern
		p.tokens[i-1].ref = p.intern(i - 1)
		p.edges = append(p.edges, edge{toName, i - 1, i + 1})
		f.key = false
	case p.dotted(1), f.kind == class && f.key:
		p.edges = append(p.edges, edge{toProperty, i - 1, i + 1})
		f.key = false
	default:
		p.edges = append(p.edges, edge{toName, i - 1, i + 1})
	}
}

// call notes a call whose function can be found: by its name, or because it
// stands right there, as wrappers of bundles do it.
func (p *parser) call(i int32) {
	at := i - 1
	for range maxLinks {
		t := p.tokens[at]
		switch {
		case at >= 2 && p.isDot(at-1):
			at -= 2
			continue
		case t.kind == js.OptChainToken && at > 0:
			at--
			continue
		case t.kind == js.CloseBraceToken:
			if p.ended <= 0 || p.scopes[p.ended].end != at {
				return // no function
			}
			if at = p.scopes[p.ended].start; at > 0 && p.tokens[at-1].kind == js.ClassToken {
				at--
			}
		case (t.kind == js.CloseParenToken || t.kind == js.CloseBracketToken) && t.match > 0 && p.operand(t.match-1):
			at = t.match - 1
			continue
		case t.match >= 0:
			at = t.match
		case t.ref == noRef && t.kind != js.ThisToken:
			return
		}
		p.calls = append(p.calls, call{at, i})
		return
	}
}

// maxLinks bounds how long a chain of members and calls is looked back.
const maxLinks = 12

func (p *parser) isDot(i int32) bool {
	return p.tokens[i].kind == js.DotToken || p.tokens[i].kind == js.OptChainToken
}

// operand tells whether a bracket behind a token calls or indexes it.
func (p *parser) operand(i int32) bool {
	t := p.tokens[i]
	return t.ref != noRef || t.kind == js.CloseParenToken || t.kind == js.CloseBracketToken || i > 0 && p.isDot(i-1) || t.kind == js.OptChainToken
}
