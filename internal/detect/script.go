package detect

import "github.com/tdewolff/parse/v2/js"

// maxRounds bounds how often values are handed on: every other round goes
// backwards, so that a chain of any length in either order takes two.
const maxRounds = 6

// scanScript returns the places in a script. A script that is too long to be held
// is read part by part; what the names around a part's end mean is carried on.
func scanScript(src []byte) []place {
	p := newParser(src)
	e := &evaluator{p: p, t: loaded(), properties: values{}, carried: values{}, textIDs: map[string]int32{}, words: map[string]string{}}
	for more := true; more; p.reset() {
		more = p.read()
		r := resolve(p)
		e.start(r)
		e.flow()
		e.report()
		e.carry(r)
	}
	return e.found
}

// start tells what is known before a part was read: what the globals are.
func (e *evaluator) start(r *resolver) {
	e.names, e.returns, e.functions = map[int32]set{}, map[int32]set{}, nil
	e.platform = make([]bool, r.bindings)
	for name, n := range e.p.names {
		if r.globals[n] < 0 {
			continue
		}
		if at, ok := e.t.nodes[globalNode].children[name]; ok {
			e.names[r.globals[n]] = set{{kind: anObject, id: at}}
			e.platform[r.globals[n]] = true
		} else if was, ok := e.carried[name]; ok {
			e.names[r.globals[n]] = was
		}
	}
}

// carry keeps what the names that are visible at the end of a part may be, for
// the next one. Functions are not kept: they are ranges of this part.
func (e *evaluator) carry(r *resolver) {
	for name, n := range e.p.names {
		b := r.bound[n]
		if b < 0 {
			b = r.globals[n]
		}
		if got := e.names[b].lasting(); len(got) > 0 && b >= 0 && !e.platform[b] {
			e.carried.add(name, got)
		}
	}
	for name, got := range e.properties {
		e.properties[name] = got.lasting()
	}
}

// values are what names or properties may be, by their text.
type values map[string]set

// flow hands values on until nothing changes.
func (e *evaluator) flow() {
	for round := range maxRounds {
		e.changed = false
		if round%2 == 0 {
			for _, d := range e.p.edges {
				e.edge(d)
			}
			for _, c := range e.p.calls {
				e.call(c)
			}
		} else {
			for i := len(e.p.edges) - 1; i >= 0; i-- {
				e.edge(e.p.edges[i])
			}
			for i := len(e.p.calls) - 1; i >= 0; i-- {
				e.call(e.p.calls[i])
			}
		}
		if !e.changed {
			return
		}
	}
}

// edge hands on a value at one place.
func (e *evaluator) edge(d edge) {
	switch d.kind {
	case toMethod:
		e.property(d.to, set{{kind: aFunction, id: d.from}})
		return
	case toIndexed:
		e.copied(d.to, d.from)
		return
	default:
	}
	got, _ := e.expression(d.from, 0)
	switch d.kind {
	case toName:
		e.give(e.p.tokens[d.to].ref, got)
	case toPattern:
		e.pattern(d.to, got, 0)
	case toProperty:
		e.property(d.to, got)
	case toEach:
		e.give(e.p.tokens[d.to].ref, e.elements(got))
	case toCaller:
		was := e.returns[d.to]
		if now := was.with(got); len(now) != len(was) {
			e.returns[d.to], e.changed = now, true
		}
	default:
	}
}

// property adds to what a property may be. What a function without parameters
// returns may be it too: bundlers export by getters.
func (e *evaluator) property(name int32, got set) {
	if len(got) == 0 {
		return
	}
	for _, v := range got {
		if v.kind == aFunction && e.p.scopes[v.id].params == 0 {
			got = got.with(e.returns[v.id])
		}
	}
	if e.properties.add(e.text(name), got) {
		e.changed = true
	}
}

// give adds to what a name may be. A global of the platform stays what it is.
func (e *evaluator) give(binding int32, got set) {
	if len(got) == 0 || binding < 0 || e.platform[binding] {
		return
	}
	was := e.names[binding]
	if now := was.with(got); len(now) != len(was) {
		e.names[binding], e.changed = now, true
	}
}

func (v values) add(name string, got set) bool {
	was, ok := v[name]
	if !ok && len(v) >= maxProperties {
		return false
	}
	now := was.with(got)
	v[name] = now
	return len(now) != len(was)
}

// maxProperties bounds the names of properties that are remembered.
const maxProperties = 1 << 16

// call hands the arguments of a call to the parameters of its function.
func (e *evaluator) call(c call) {
	e.define(c.open)
	for _, f := range e.callee(c) {
		switch {
		case f.kind == aFunction:
			e.arguments(f, c.open)
		case f.shift == byEach:
			e.each(f, c.open)
		}
	}
}

// callee is what is called at c.
func (e *evaluator) callee(c call) set {
	was := e.reporting
	e.reporting = false
	defer func() { e.reporting = was }()
	got, next := e.primary(c.callee, 0)
	if next > c.open {
		return nil
	}
	if got, next = e.chain(got, next, 0, c.open); next != c.open {
		return nil
	}
	return got
}

// each hands the elements of a list to the first parameter of a function.
func (e *evaluator) each(list value, open int32) {
	functions, _ := e.expression(open+1, 0)
	for _, f := range functions {
		if f.kind != aFunction || e.p.scopes[f.id].params == 0 {
			continue
		}
		if param := e.p.params[e.p.scopes[f.id].firstParam]; param >= 0 {
			e.give(e.p.tokens[param].ref, e.elements(set{list}))
		}
	}
}

// arguments hands the arguments behind an open parenthesis to a function's parameters.
func (e *evaluator) arguments(f value, open int32) {
	at, end := e.argument(f.shift, open)
	if at < 0 {
		return
	}
	s := e.p.scopes[f.id]
	for n := int32(0); n < min(s.params, maxArguments) && at < end; n++ {
		if param := e.p.params[s.firstParam+n]; param >= 0 {
			e.parameter(param, at)
		}
		at = e.p.skip(at, end) + 1
	}
}

// maxArguments bounds the arguments of a call that are looked at.
const maxArguments = 16

func (e *evaluator) parameter(param, at int32) {
	got, _ := e.expression(at, 0)
	if len(got) == 0 {
		return
	}
	if e.p.tokens[param].match >= 0 {
		e.reporting = e.inArguments
		e.pattern(param, got, 0)
		e.reporting = false
		return
	}
	e.give(e.p.tokens[param].ref, got)
}

// pattern hands the members of a value to the names of { } in a declaration, an
// assignment or parameters.
func (e *evaluator) pattern(open int32, of set, depth int) {
	end := e.p.tokens[open].match
	if end < 0 || depth > maxDepth || e.p.tokens[open].kind != js.OpenBraceToken {
		return
	}
	for at := open + 1; at < end; at = e.p.skip(at, end) + 1 {
		t := e.p.tokens[at]
		switch {
		case t.kind == js.EllipsisToken:
			e.give(e.p.tokens[at+1].ref, of)
		case t.kind == js.OpenBracketToken && t.match > at && e.p.tokens[t.match+1].kind == js.ColonToken:
			e.target(t.match+2, e.index(of, at), depth)
		case e.p.tokens[at+1].kind == js.ColonToken:
			if e.isName(at) {
				e.target(at+2, e.member(of, e.text(at), at, false), depth)
			}
		case js.IsIdentifierName(t.kind):
			e.give(t.ref, e.member(of, e.text(at), at, false))
		}
	}
}

// target hands a value to what stands behind a key of a pattern.
func (e *evaluator) target(at int32, got set, depth int) {
	t := e.p.tokens[min(at, int32(len(e.p.tokens))-1)]
	switch {
	case t.kind == js.OpenBraceToken:
		e.pattern(at, got, depth+1)
	case t.ref != noRef && len(got) > 0:
		e.give(t.ref, got)
	}
}
