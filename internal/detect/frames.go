package detect

import "github.com/tdewolff/parse/v2/js"

// frameKind is what a bracket is the bracket of.
type frameKind uint8

const (
	block    frameKind = iota // statements
	body                      // statements of a function
	object                    // an object literal, or a pattern of the same form
	class                     // members
	clause                    // the names of an import or export
	group                     // ( ) around an expression, or the arguments of a call
	control                   // ( ) of if, while, with, switch
	forHead                   // ( ) of for
	params                    // ( ) of a function or a catch
	list                      // [ ]
	template                  // ${ }
)

// frame is an open bracket, with what has to be known in it.
type frame struct {
	kind      frameKind
	divides   bool  // a slash behind its end divides
	key       bool  // in an object or a class: the next word is a key
	importing bool  // between import and the name of the module
	caught    bool  // the parameter of a catch, which is no function
	method    bool  // parameters of a method
	classIs   uint8 // a class waits for its braces: a statement or an expression
	functIs   uint8 // a function waits for its parameters
	declares  uint8 // var, let or const is going on
	binding   bool  // the next word or pattern is declared
	pattern   uint8 // it is a pattern whose names are declared at its end
	open      int32 // its token
	ternaries int32 // ? that wait for their :
	function  int32 // where the function began that waits
	began     int32 // of parameters: where their function began
	of        uint8 // of parameters: whether it is a statement or an expression
	outer     int32 // scope to go back to
	scope     int32 // scope that ends with it, or -1
	tails     []tail
}

// What is going on in a frame.
const (
	nothing    uint8 = iota
	statement        // of a class or function: a declaration
	expression       // of a class or function
	lexical          // let, const: of the block
	hoisted          // var: of the function
)

// tail is a scope without brackets: an arrow function's expression, or the only
// statement of a for.
type tail struct {
	scope     int32
	outer     int32
	ternaries int32
	arrow     bool
}

// scope is where names are declared, as a range of tokens.
type scope struct {
	start, end int32
	function   int32 // index of the function's scope that it is in; itself if it is one
	firstParam int32 // index into params
	params     int32 // how many
	top        bool  // this is the global object in it
}

func (p *parser) top() *frame { return &p.frames[len(p.frames)-1] }

// prev is the kind of the n-th token before the present one.
func (p *parser) prev(n int32) js.TokenType {
	if i := p.at - n; i >= 0 {
		return p.tokens[i].kind
	}
	return js.SemicolonToken
}

// dotted tells whether the n-th token before the present one is a property.
func (p *parser) dotted(n int32) bool {
	before := p.prev(n + 1)
	return before == js.DotToken || before == js.OptChainToken
}

// endsOperand tells whether an operand ends with the last token, so that a slash
// divides and a bracket calls or indexes.
func (p *parser) endsOperand() bool {
	switch kind := p.prev(1); kind {
	case js.CloseParenToken, js.CloseBraceToken:
		return p.closedOperand
	case js.CloseBracketToken, js.StringToken, js.TemplateToken, js.TemplateEndToken, js.RegExpToken, js.PrivateIdentifierToken,
		js.IncrToken, js.DecrToken, js.ThisToken, js.SuperToken, js.NullToken, js.TrueToken, js.FalseToken:
		return true
	default:
		return js.IsNumeric(kind) || js.IsIdentifier(kind) || js.IsReservedWord(kind) && p.dotted(1)
	}
}

// begins tells whether a statement can begin here.
func (p *parser) begins() bool {
	f := p.top()
	if f.kind != block && f.kind != body {
		return false
	}
	n := int32(1)
	if p.prev(1) == js.AsyncToken {
		n = 2
	}
	switch p.prev(n) {
	case js.SemicolonToken, js.OpenBraceToken, js.ElseToken, js.DoToken, js.ExportToken, js.DefaultToken:
		return true
	case js.ColonToken:
		return !p.colonOfTernary
	case js.CloseBraceToken, js.CloseParenToken:
		return !p.closedOperand || p.newline
	default:
		return p.newline && p.endsOperand()
	}
}

// openBrace decides what a brace is the brace of.
func (p *parser) openBrace(i int32) {
	f := p.top()
	next := frame{open: i, outer: p.scope, scope: -1}
	switch {
	case p.waiting >= 0: // of a function, a catch, a for
		next.kind, next.scope, next.divides = block, p.waiting, p.waitingDivides
		if p.scopes[p.waiting].function == p.waiting {
			next.kind = body
		}
		p.scope, p.waiting, p.waitingFor = p.waiting, -1, false
	case f.classIs != nothing && p.prev(1) != js.ExtendsToken:
		next.kind, next.key, next.divides = class, true, f.classIs == expression
		f.classIs = nothing
		next.scope = p.addScope(i, false)
		p.scopes[next.scope].top = false
	case f.importing || p.prev(1) == js.ExportToken:
		next.kind, next.key = clause, f.importing
	case p.isBlock(f):
		next.kind, next.scope = block, p.addScope(i, false)
	default:
		next.kind, next.key, next.divides = object, true, true
		if f.binding {
			next.pattern, f.binding = f.declares, false
		}
	}
	p.frames = append(p.frames, next)
}

// isBlock tells a block from an object.
func (p *parser) isBlock(f *frame) bool {
	if f.binding {
		return false // let is a name too
	}
	switch p.prev(1) {
	case js.SemicolonToken, js.OpenBraceToken, js.ElseToken, js.DoToken, js.TryToken, js.FinallyToken:
		return true
	case js.CloseParenToken:
		return true
	case js.CloseBraceToken:
		return !p.closedOperand || p.newline
	case js.StaticToken:
		return f.kind == class
	case js.ColonToken:
		return (f.kind == block || f.kind == body) && !p.colonOfTernary
	default:
		return (f.kind == block || f.kind == body) && p.endsOperand()
	}
}

// openParen decides what a parenthesis is the parenthesis of.
func (p *parser) openParen(i int32) {
	f := p.top()
	next := frame{kind: group, open: i, outer: p.scope, scope: -1, divides: true}
	prev := p.prev(1)
	switch {
	case f.functIs != nothing:
		next.kind, next.began, next.of = params, f.function, f.functIs
		f.functIs = nothing
	case (f.kind == object || f.kind == class) && f.key && p.endsKey():
		next.kind, next.began, next.of, next.method = params, i, statement, true
	case p.dotted(1), p.prev(1) == js.OptChainToken:
		p.call(i)
	case prev == js.ImportToken:
		f.importing = false
	case prev == js.CatchToken:
		next.kind, next.caught, next.began = params, true, i
	case prev == js.ForToken, prev == js.AwaitToken && p.prev(2) == js.ForToken:
		next.kind, next.divides = forHead, false
		next.scope = p.addScope(i, false)
		p.frames = append(p.frames, next)
		p.scope = next.scope
		return
	case prev == js.IfToken, prev == js.WhileToken, prev == js.WithToken, prev == js.SwitchToken:
		next.kind, next.divides = control, false
	case p.endsOperand():
		p.call(i)
	}
	p.frames = append(p.frames, next)
}

// endsKey tells whether the last token can be the key of a method.
func (p *parser) endsKey() bool {
	switch kind := p.prev(1); kind {
	case js.StringToken, js.CloseBracketToken, js.PrivateIdentifierToken:
		return true
	default:
		return js.IsIdentifierName(kind) || js.IsNumeric(kind)
	}
}

// closes are the brackets that end one another.
func closes(open, end js.TokenType) bool {
	switch open {
	case js.OpenBraceToken:
		return end == js.CloseBraceToken
	case js.OpenParenToken:
		return end == js.CloseParenToken
	case js.OpenBracketToken:
		return end == js.CloseBracketToken
	default:
		return end == js.TemplateEndToken || end == js.TemplateMiddleToken
	}
}

// close ends the frame that token i closes. A bracket that closes nothing is
// left alone: the structure around it stays as it was.
func (p *parser) close(i int32) {
	f := p.top()
	if len(p.frames) == 1 || f.open >= 0 && !closes(p.tokens[f.open].kind, p.tokens[i].kind) {
		p.closedOperand = true
		return
	}
	p.shorthand(i)
	p.endTails(f, func(tail) bool { return true }, i)
	if f.open >= 0 {
		p.tokens[f.open].match, p.tokens[i].match = i, f.open
	}
	done := *f
	p.frames = p.frames[:len(p.frames)-1]
	p.closedOperand = done.divides
	p.scope = done.outer
	switch {
	case done.kind == forHead && done.scope >= 0:
		p.scopes[done.scope].end = i
		p.waiting, p.waitingDivides, p.waitingFor = done.scope, false, true
	case done.kind == params:
		p.endParams(&done, i)
	case done.scope >= 0:
		p.scopes[done.scope].end = i
		p.ended = done.scope
	}
	if done.pattern != nothing && done.open >= 0 {
		p.declarePattern(done.open, i, done.pattern)
	}
	if done.kind == clause && done.key {
		p.declareImports(done.open, i)
	}
	if outer := p.top(); outer.kind == class && (done.kind == body || done.kind == block) {
		outer.key = true
	}
}
