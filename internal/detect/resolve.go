package detect

import (
	"cmp"
	"slices"
)

// resolver finds out which declaration each name means.
type resolver struct {
	p        *parser
	order    []int32 // scopes from the outermost on, in order of their beginning
	bound    []int32 // what a name means here, by its number, or -1
	bindings int32
	globals  []int32 // binding of a name that is declared nowhere, by its number, or -1
	open     []opened
	shadowed []shadow
}

type opened struct{ scope, shadows int32 }

type shadow struct{ name, was int32 }

// resolve makes ref of every name the number of what it means: a declaration, or
// a global. It takes one walk over the tokens.
func resolve(p *parser) *resolver {
	r := &resolver{p: p, order: make([]int32, len(p.scopes)), bound: filled(len(p.names)), globals: filled(len(p.names))}
	for i := range r.order {
		r.order[i] = int32(i)
	}
	slices.SortFunc(r.order, func(a, b int32) int {
		x, y := p.scopes[a], p.scopes[b]
		return cmp.Or(cmp.Compare(x.start, y.start), cmp.Compare(y.end, x.end), cmp.Compare(a, b))
	})
	slices.SortStableFunc(p.decls, func(a, b decl) int { return cmp.Compare(a.scope, b.scope) })
	r.walk()
	return r
}

func filled(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = -1
	}
	return out
}

func (r *resolver) walk() {
	next := 0
	for i := range r.p.tokens {
		at := int32(i)
		for len(r.open) > 0 && r.p.scopes[r.open[len(r.open)-1].scope].end < at {
			r.leave()
		}
		for ; next < len(r.order) && r.p.scopes[r.order[next]].start <= at; next++ {
			r.enter(r.order[next])
		}
		t := &r.p.tokens[i]
		if t.ref == noRef {
			continue
		}
		if b := r.bound[t.ref]; b >= 0 {
			t.ref = b
			continue
		}
		if r.globals[t.ref] < 0 {
			r.globals[t.ref] = r.bindings
			r.bindings++
		}
		t.ref = r.globals[t.ref]
	}
}

func (r *resolver) enter(s int32) {
	r.open = append(r.open, opened{s, int32(len(r.shadowed))})
	first, _ := slices.BinarySearchFunc(r.p.decls, s, func(d decl, s int32) int { return cmp.Compare(d.scope, s) })
	mine := r.bindings
	for _, d := range r.p.decls[first:] {
		if d.scope != s {
			break
		}
		if r.bound[d.name] >= mine {
			continue // declared twice
		}
		r.shadowed = append(r.shadowed, shadow{d.name, r.bound[d.name]})
		r.bound[d.name] = r.bindings
		r.bindings++
	}
}

func (r *resolver) leave() {
	last := r.open[len(r.open)-1]
	r.open = r.open[:len(r.open)-1]
	for i := len(r.shadowed) - 1; i >= int(last.shadows); i-- {
		r.bound[r.shadowed[i].name] = r.shadowed[i].was
	}
	r.shadowed = r.shadowed[:last.shadows]
}
