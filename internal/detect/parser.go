package detect

import "github.com/tdewolff/parse/v2/js"

// parser turns tokens into what can be asked about names: which scopes there
// are, what is declared in them, and what is assigned to what. It knows as much
// of the grammar as that takes, and goes on over whatever it does not know: a
// mistake in a script, or a word of next year's language, hides nothing behind
// it.
type parser struct {
	lexer  *lexer
	tokens []token
	frames []frame
	scopes []scope
	names  map[string]int32
	decls  []decl
	params []int32 // tokens of parameters: a name, or the bracket of a pattern; -1 if neither
	edges  []edge
	calls  []call
	// constructors are the scopes of classes' constructors, by the class's brace.
	constructors map[int32]int32

	at             int32 // the present token
	deep           int   // brackets that are open beyond maxFrames
	scope          int32 // the present one
	waiting        int32 // scope of a function, catch or for whose body comes next, or -1
	waitingDivides bool
	waitingFor     bool
	arrow          bool  // the body of an arrow function comes next
	ended          int32 // scope that ended last
	newline        bool  // before the present token
	closedOperand  bool  // the bracket closed last ended an operand
	colonOfTernary bool  // the last colon was of ? :
}

// decl is a declaration of a name in a scope.
type decl struct{ scope, name int32 }

// edge is a place where a value goes somewhere.
type edge struct {
	kind edgeKind
	to   int32 // token of a name or of a pattern's bracket; of a return the function's scope
	from int32 // token that the expression begins with
}

type edgeKind uint8

const (
	toName edgeKind = iota
	toProperty
	toPattern
	toCaller
	toMethod  // from is the scope
	toEach    // from is a list, whose elements go there
	toIndexed // a[k] = b[k]: to and from are those names
)

// call is a call whose function may be known: callee is where the operand begins.
type call struct{ callee, open int32 }

func newParser(src []byte) *parser {
	p := &parser{lexer: newLexer(src), names: map[string]int32{}}
	p.reset()
	p.frames = []frame{{kind: block, open: -1, scope: -1}}
	return p
}

// reset forgets the part that was read, but not what it is in the middle of.
func (p *parser) reset() {
	p.tokens, p.decls, p.params, p.edges, p.calls = p.tokens[:0], p.decls[:0], p.params[:0], p.edges[:0], p.calls[:0]
	p.scopes = append(p.scopes[:0], scope{end: maxTokens * 2, top: true})
	for i := range p.frames {
		f := &p.frames[i]
		f.open, f.outer, f.scope, f.tails, f.pattern, f.functIs = -1, 0, -1, nil, nothing, nothing
	}
	p.scope, p.waiting, p.arrow = 0, -1, false
	p.constructors = map[int32]int32{}
}

// read reads up to the end of the script, or as many tokens as are held at once;
// more tells which.
func (p *parser) read() (more bool) {
	for {
		p.at = int32(len(p.tokens))
		t, ok := p.lexer.next(!p.endsOperand())
		if !ok {
			return false
		}
		p.newline = t.newline
		if t.newline {
			p.endLine(t.kind)
		}
		p.tokens = append(p.tokens, t)
		p.step(p.at, t.kind)
		if len(p.tokens) >= maxTokens && (t.kind == js.SemicolonToken || len(p.tokens) >= 2*maxTokens-1) {
			return true
		}
	}
}

// step takes one token.
func (p *parser) step(i int32, kind js.TokenType) {
	p.beforeBody(i, kind)
	if p.tooDeep(kind) {
		return
	}
	f := p.top()
	switch kind {
	case js.OpenBraceToken:
		p.openBrace(i)
	case js.OpenParenToken:
		p.openParen(i)
	case js.OpenBracketToken, js.TemplateStartToken:
		p.openBracket(i, kind)
	case js.TemplateMiddleToken:
		p.close(i)
		p.openBracket(i, kind)
	case js.CloseBraceToken, js.CloseParenToken, js.CloseBracketToken, js.TemplateEndToken:
		p.close(i)
	case js.CommaToken:
		p.shorthand(i)
		f.key = f.kind == object || f.kind == clause && f.key
		f.binding = f.declares != nothing
		p.endTails(f, func(t tail) bool { return t.arrow }, i)
	case js.SemicolonToken:
		p.endStatement(f, i)
	case js.ColonToken:
		p.colon(f, i)
	case js.QuestionToken:
		f.ternaries++
	case js.StringToken:
		f.importing = false
	case js.DotToken, js.OptChainToken:
		f.importing = false
		p.notKey(f, i)
	case js.EllipsisToken:
		f.key = false
	case js.EqToken, js.OrEqToken, js.AndEqToken, js.NullishEqToken:
		p.assign(f, i)
	case js.ArrowToken:
		p.startArrow(i)
	default:
		if js.IsIdentifierName(kind) {
			p.word(f, i)
		}
	}
}

// maxFrames bounds the brackets whose meaning is known.
const maxFrames = 1 << 14

// tooDeep takes the brackets in more brackets than that.
func (p *parser) tooDeep(kind js.TokenType) bool {
	switch kind {
	case js.OpenBraceToken, js.OpenParenToken, js.OpenBracketToken, js.TemplateStartToken:
		if len(p.frames) < maxFrames {
			return false
		}
		p.deep++
	case js.CloseBraceToken, js.CloseParenToken, js.CloseBracketToken, js.TemplateEndToken:
		if p.deep == 0 {
			return false
		}
		p.deep--
		p.closedOperand = true
	default:
		return false
	}
	return true
}

// beforeBody looks whether the body that is waited for has no braces.
func (p *parser) beforeBody(i int32, kind js.TokenType) {
	if p.waiting < 0 || kind == js.OpenBraceToken {
		p.arrow = false
		return
	}
	f := p.top()
	if p.arrow || p.waitingFor {
		f.tails = append(f.tails, tail{scope: p.waiting, outer: p.scope, ternaries: f.ternaries, arrow: p.arrow})
		p.scope = p.waiting
		p.scopes[p.waiting].end = maxTokens * 2
		if p.arrow {
			p.edges = append(p.edges, edge{toCaller, p.waiting, i})
		}
	} else {
		p.scopes[p.waiting].end = i - 1
	}
	p.waiting, p.arrow, p.waitingFor = -1, false, false
}

func (p *parser) openBracket(i int32, kind js.TokenType) {
	f := p.top()
	next := frame{kind: list, open: i, outer: p.scope, scope: -1, divides: true}
	if kind != js.OpenBracketToken {
		next.kind = template
	}
	if f.binding && kind == js.OpenBracketToken {
		next.pattern, f.binding = f.declares, false
	}
	p.frames = append(p.frames, next)
}

// endTails ends the scopes without brackets that are over before token i.
func (p *parser) endTails(f *frame, over func(tail) bool, i int32) {
	for len(f.tails) > 0 {
		last := f.tails[len(f.tails)-1]
		if !over(last) {
			return
		}
		p.scopes[last.scope].end = i - 1
		p.scope = last.outer
		f.tails = f.tails[:len(f.tails)-1]
	}
}

func (p *parser) endStatement(f *frame, i int32) {
	p.endTails(f, func(tail) bool { return true }, i)
	f.declares, f.binding, f.importing, f.ternaries = nothing, false, false, 0
	f.functIs, f.classIs = nothing, nothing
	f.key = f.kind == class
}

// endLine ends a statement that no semicolon ends.
func (p *parser) endLine(kind js.TokenType) {
	f := p.top()
	if !p.endsOperand() || f.kind != block && f.kind != body && f.kind != class || f.functIs != nothing || f.classIs != nothing || f.importing {
		return
	}
	switch {
	case kind == js.InToken, kind == js.InstanceofToken, kind == js.OfToken, kind == js.AsToken, kind == js.FromToken:
	case js.IsIdentifierName(kind), kind == js.StringToken, kind == js.PrivateIdentifierToken, kind == js.MulToken && f.kind == class:
		p.endStatement(f, int32(len(p.tokens)))
	}
}

func (p *parser) colon(f *frame, i int32) {
	p.colonOfTernary = false
	switch {
	case f.ternaries > 0:
		f.ternaries--
		p.colonOfTernary = true
		p.endTails(f, func(t tail) bool { return t.arrow && t.ternaries > f.ternaries }, i)
	case f.kind == object && f.key:
		f.key = false
		if kind := p.prev(1); js.IsIdentifierName(kind) || kind == js.StringToken {
			p.edges = append(p.edges, edge{toProperty, i - 1, i + 1})
		}
	}
}
