package detect

import "github.com/tdewolff/parse/v2/js"

// list is a literal whose first element, at a token, is something that matters.
func (e *evaluator) list(open, first int32) set {
	if e.p.tokens[open].match <= first || e.kind(open) == js.OpenBraceToken && e.kind(first-1) != js.ColonToken {
		return nil
	}
	if len(e.element(first)) == 0 {
		return nil
	}
	return set{{kind: aList, id: open}}
}

// element is an element that is one word: a text, or a name.
func (e *evaluator) element(i int32) set {
	switch next := e.kind(i + 1); {
	case next != js.CommaToken && next != js.CloseBracketToken && next != js.CloseBraceToken:
		return nil
	case e.kind(i) == js.StringToken, e.kind(i) == js.TemplateToken:
		return e.textValue(e.text(i))
	case e.p.tokens[i].ref != noRef:
		return e.names[e.p.tokens[i].ref]
	}
	return nil
}

// elements are what the elements of the lists in a set may be, whichever.
func (e *evaluator) elements(of set) set {
	var out set
	for _, v := range of {
		if v.kind != aList {
			continue
		}
		end := e.p.tokens[v.id].match
		at := v.id + 1
		for n := 0; at < end && n < maxOperands; n++ {
			if e.kind(at+1) == js.ColonToken {
				at += 2
			}
			out = out.with(e.element(at))
			at = e.p.skip(at, end) + 1
		}
	}
	return out
}

// class is the constructor of the class that begins at a token.
func (e *evaluator) class(i int32) (set, int32) {
	at := i + 1
	for n := 0; e.kind(at) != js.OpenBraceToken; n++ {
		if n > maxOperands || int(at) >= len(e.p.tokens) {
			return nil, i + 1
		}
		if e.kind(at) == js.OpenParenToken {
			at = e.after(at)
		} else {
			at++
		}
	}
	end := e.after(at)
	if n, ok := e.p.constructors[at]; ok {
		return set{{kind: aFunction, id: n}}, end
	}
	return nil, end
}

// callers are the ways to call a function by a member of it.
var callers = map[string]int32{"call": byCall, "apply": byApply, "bind": byBind}

// iterators are the members of a list that hand each element to a function.
var iterators = map[string]bool{"forEach": true, "map": true, "filter": true, "some": true, "every": true, "find": true, "flatMap": true}

// calling is what f.call and the like are, or a list's forEach.
func (v value) calling(name string) set {
	how, ok := callers[name]
	switch {
	case v.kind == aList && iterators[name]:
		return set{{kind: aList, id: v.id, shift: byEach}}
	case ok && (v.kind == aFunction || v.kind == anObject):
		return set{{kind: v.kind, id: v.id, shift: how}}
	}
	return nil
}

// argument is where the first argument of a call begins, and where the arguments
// end. Of those that cannot be seen, it is -1.
func (e *evaluator) argument(how, open int32) (at, end int32) {
	end = e.p.tokens[open].match
	at = open + 1
	if how == 0 || end < 0 {
		return at, end
	}
	at = e.p.skip(at, end) + 1
	if how != byApply {
		return at, end
	}
	if at < end && e.kind(at) == js.OpenBracketToken && e.p.tokens[at].match > at {
		return at + 1, e.p.tokens[at].match
	}
	return -1, end
}

// template is what a template with expressions in it may say.
func (e *evaluator) template(i int32, depth int) set {
	said := e.textValue(e.text(i))
	for range maxOperands {
		got, next := e.expression(i+1, depth+1)
		if next != e.p.tokens[i].match || len(said) == 0 {
			return nil
		}
		said = e.joined(e.joined(said, got), e.textValue(e.text(next)))
		if i = next; e.kind(i) != js.TemplateMiddleToken {
			return said
		}
	}
	return nil
}

// define takes a call of the form f(object, "name", value), as bundlers define
// what a module exports: the value is a getter, or says itself what it is.
func (e *evaluator) define(open int32) {
	if e.kind(open+2) != js.CommaToken || e.kind(open+3) != js.StringToken || e.kind(open+4) != js.CommaToken {
		return
	}
	at := open + 5
	if e.kind(at) != js.OpenBraceToken {
		if got, _ := e.expression(at, 0); len(got) > 0 {
			e.property(open+3, got)
		}
		return
	}
	end := e.p.tokens[at].match
	for at, n := at+1, 0; at < end && n < maxArguments; at, n = e.p.skip(at, end)+1, n+1 {
		if !e.isName(at) {
			continue
		}
		value := at + 2
		switch e.text(at) {
		case "get":
			if e.kind(at+1) == js.OpenParenToken { // a method
				continue
			}
		case "value":
		default:
			continue
		}
		if got, _ := e.expression(value, 0); len(got) > 0 {
			e.property(open+3, got)
		}
	}
}

// copied hands an object on where its members are copied one by one: a[k] = b[k].
func (e *evaluator) copied(to, from int32) {
	if int(from) >= len(e.p.tokens) || e.p.tokens[from].ref == noRef || e.kind(from+1) != js.OpenBracketToken {
		return
	}
	for _, v := range e.names[e.p.tokens[from].ref] {
		if v.kind == anObject {
			e.give(e.p.tokens[to].ref, set{v})
		}
	}
}
