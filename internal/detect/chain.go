package detect

import (
	"strings"

	"github.com/tdewolff/parse/v2/js"
)

// chain follows the members and calls behind an operand, to their end or to the
// token stop.
func (e *evaluator) chain(got set, i int32, depth int, stop int32) (set, int32) {
	for {
		if i == stop {
			return got, i
		}
		switch e.kind(i) {
		case js.OptChainToken:
			if next := e.kind(i + 1); next == js.OpenBracketToken || next == js.OpenParenToken {
				i++
				continue
			}
			got = e.members(got, i+1)
			i += 2
		case js.DotToken:
			got = e.members(got, i+1)
			i += 2
		case js.OpenBracketToken:
			if e.p.tokens[i].match < 0 {
				return nil, i
			}
			got = e.indexAt(got, i, depth)
			i = e.p.tokens[i].match + 1
		case js.OpenParenToken:
			if e.p.tokens[i].match < 0 {
				return nil, i
			}
			got = e.called(got, i, depth)
			i = e.p.tokens[i].match + 1
		default:
			return got, i
		}
	}
}

// members are what the member named by a token may be.
func (e *evaluator) members(of set, name int32) set {
	if !e.isName(name) {
		return nil
	}
	return e.member(of, e.text(name), name, e.kind(name+1) == js.EqToken)
}

func (e *evaluator) isName(i int32) bool {
	kind := e.kind(i)
	return js.IsIdentifierName(kind) || kind == js.StringToken || kind == js.PrivateIdentifierToken
}

// member returns the member of a name, which the token at says, and notes that
// it is read or written.
func (e *evaluator) member(of set, name string, at int32, written bool) set {
	var out set
	known := false
	for _, v := range of {
		switch v.kind {
		case anObject:
			known = true
			if child, ok := e.t.nodes[v.id].children[name]; ok {
				out = out.with(set{{kind: anObject, id: child}})
				e.use(child, at, written)
			} else {
				out = out.with(v.calling(name))
			}
		default:
			out = out.with(v.calling(name))
		}
	}
	if known {
		return out
	}
	if child, ok := e.t.nodes[anyNode].children[name]; ok {
		out = out.with(set{{kind: anObject, id: child}})
		e.use(child, at, written)
	}
	return out.with(e.properties[name])
}

// use notes a use when that is what is asked for. Writing what is to be read, as
// mocks do it, is none.
func (e *evaluator) use(node, at int32, written bool) {
	if api := e.t.nodes[node].api; api >= 0 && e.reporting && e.t.APIs[api].Written == written {
		e.found = append(e.found, place{int(e.p.tokens[at].start), api})
	}
}

// index are the members that are named by the expression in brackets.
func (e *evaluator) index(of set, open int32) set { return e.indexAt(of, open, 0) }

func (e *evaluator) indexAt(of set, open int32, depth int) set {
	was := e.reporting
	e.reporting = false // what is in the brackets is visited by itself
	names, end := e.expression(open+1, depth+1)
	e.reporting = was
	behind := e.p.tokens[open].match
	if end != behind {
		names = nil
	}
	out := e.elements(of)
	for _, n := range names {
		if n.kind == aText {
			out = out.with(e.member(of, e.texts[n.id], open+1, e.kind(behind+1) == js.EqToken))
		}
	}
	return out
}

// called says what a call returns. An API that is named by an argument is used.
func (e *evaluator) called(f set, open int32, depth int) set {
	var out set
	for _, v := range f {
		switch {
		case v.shift == byBind:
			out = out.with(set{{kind: v.kind, id: v.id}})
		case v.kind == aFunction:
			out = out.with(e.returns[v.id])
		case v.kind == anObject:
			out = out.with(e.calledNode(v, open, depth))
		}
	}
	return out
}

func (e *evaluator) calledNode(f value, open int32, depth int) set {
	node := e.t.nodes[f.id]
	at, end := e.argument(f.shift, open)
	if node.copies {
		was := e.reporting
		e.reporting = false
		defer func() { e.reporting = was }()
		var out set
		for i := 0; at >= 0 && at < end && i < maxArguments; i++ {
			got, _ := e.expression(at, depth+1)
			out = out.with(got)
			at = e.p.skip(at, end) + 1
		}
		return out
	}
	if len(node.children) == 0 {
		return nil
	}
	was := e.reporting
	e.reporting = false
	first, _ := e.expression(at, depth+1)
	e.reporting = was
	for _, v := range first {
		if v.kind != aText {
			continue
		}
		if child, ok := node.children["("+e.texts[v.id]+")"]; ok {
			e.use(child, max(at, open), false)
		}
	}
	for name, child := range node.children {
		if member, ok := strings.CutPrefix(name, "({"); ok && e.mayHave(at, strings.TrimSuffix(member, "})")) {
			e.use(child, max(at, open), false)
		}
	}
	return nil
}

// mayHave tells whether the object that begins at a token may have a member that
// is not false. Of what is no literal, nobody knows.
func (e *evaluator) mayHave(open int32, member string) bool {
	if e.kind(open) != js.OpenBraceToken || e.p.tokens[open].match < 0 {
		return e.kind(open) != js.CloseParenToken
	}
	end := e.p.tokens[open].match
	for at := open + 1; at < end; at = e.p.skip(at, end) + 1 {
		if !e.isName(at) {
			return true // three dots, or a name in brackets
		}
		if e.text(at) != member {
			continue
		}
		no := e.kind(at+2) == js.FalseToken || e.kind(at+2) == js.NotToken && js.IsNumeric(e.kind(at+3)) && e.text(at+3) == "1"
		return e.kind(at+1) != js.ColonToken || !no
	}
	return false
}

// report notes the places of all uses.
func (e *evaluator) report() {
	for _, d := range e.p.edges {
		if d.kind == toPattern {
			got, _ := e.expression(d.from, 0)
			e.reporting = true
			e.pattern(d.to, got, 0)
			e.reporting = false
		}
	}
	e.inArguments = true
	for _, c := range e.p.calls {
		e.call(c)
	}
	e.inArguments = false
	for i := range e.p.tokens {
		e.visit(int32(i))
	}
}

// visit notes the uses of what begins at a token. What is inside of it is visited
// by itself.
func (e *evaluator) visit(i int32) {
	t := e.p.tokens[i]
	next := i + 1
	var got set
	switch {
	case t.ref != noRef:
		got = e.names[t.ref]
	case t.kind == js.ThisToken:
		got = e.this(i)
	case t.kind == js.OpenParenToken && t.match >= 0 && e.continues(t.match+1) && (i == 0 || !e.p.operand(i-1)):
		got, next = e.primary(i, 0)
		if next != t.match+1 { // a function begins here, and what is behind it is no member
			return
		}
	default:
		return
	}
	if before := e.kind(i - 1); before == js.TypeofToken || before == js.DeleteToken {
		// Whether it is there may be asked.
		if _, end := e.chain(got, next, 0, -1); e.kind(end-1) != js.CloseParenToken {
			return
		}
	}
	e.reporting = true
	if t.ref != noRef && e.platform[t.ref] {
		for _, v := range got {
			e.use(v.id, i, e.kind(next) == js.EqToken)
		}
	}
	e.chain(got, next, 0, -1)
	e.reporting = false
}

// continues tells whether a member or a call is behind an operand.
func (e *evaluator) continues(i int32) bool {
	switch e.kind(i) {
	case js.DotToken, js.OptChainToken, js.OpenBracketToken, js.OpenParenToken:
		return true
	default:
		return false
	}
}
