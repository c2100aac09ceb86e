package detect

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"
)

//go:embed table.yaml
var tableYAML []byte

// Table is what is known of sensitive APIs: the vocabulary of permissions, and
// which API needs which.
type Table struct {
	Permissions []Permission `json:"permissions"`
	Objects     []Object     `json:"objects"`
	APIs        []API        `json:"apis"`
}

// Permission is a word of the vocabulary.
type Permission struct {
	Name  string `json:"name"`
	Means string `json:"means"`
}

// Object is another name of a global object, or with "*." before it a member of
// any object that is one.
type Object struct {
	Name string `json:"name"`
	// Is says of which object; "global" is the global object itself.
	Is string `json:"is"`
}

// API is one sensitive API. Its name is the way to it from the global object. A
// first part "*" stands for any object. Parentheses at the end stand for a call:
// (text) with that text as first argument, ({member}) with an object that may
// have that member.
type API struct {
	API        string `json:"api"`
	Permission string `json:"permission"`
	// Written is true of an API that is used by writing it: a handler.
	Written bool `json:"written,omitempty"`
	// Source is where the platform documents it.
	Source string `json:"source"`
}

// Known returns the table. It is not to be changed.
func Known() Table { return loaded().Table }

// node is an object or function on the way to APIs.
type node struct {
	children map[string]int32
	api      int32 // index into APIs, or -1
	copies   bool  // it is a function that returns what it is given
}

// table is Table as the scanner walks it.
type table struct {
	Table
	nodes []node
}

// copiers are the functions of Object that return what they are given.
var copiers = []string{"assign", "create", "freeze", "seal"}

const (
	globalNode int32 = 0
	anyNode    int32 = 1 // any object at all
)

var loaded = sync.OnceValue(func() *table {
	t, err := parseTable(tableYAML)
	if err != nil {
		panic(err) // a test reads the same bytes
	}
	return t
})

func parseTable(data []byte) (*table, error) {
	t := &table{nodes: []node{globalNode: {api: -1, children: map[string]int32{}}, anyNode: {api: -1, children: map[string]int32{}}}}
	if err := yaml.UnmarshalStrict(data, &t.Table); err != nil {
		return nil, fmt.Errorf("table of sensitive APIs: %w", err)
	}
	for i, a := range t.APIs {
		at := globalNode
		for _, part := range parts(a.API) {
			at = t.child(at, part)
		}
		t.nodes[at].api = int32(i)
	}
	for _, o := range t.Objects {
		is := globalNode
		if o.Is != "global" {
			is = t.child(globalNode, o.Is)
		}
		of, name := globalNode, o.Name
		if member, ok := strings.CutPrefix(name, "*."); ok {
			of, name = anyNode, member
		}
		t.nodes[of].children[name] = is
	}
	for _, name := range copiers {
		t.nodes[t.child(t.child(globalNode, "Object"), name)].copies = true
	}
	return t, nil
}

// parts splits the name of an API at its dots, and at the parenthesis of an argument.
func parts(api string) []string {
	path, argument, ok := strings.Cut(api, "(")
	out := strings.Split(path, ".")
	if ok {
		out = append(out, "("+argument)
	}
	return out
}

// child returns the node of a member, which it makes if there is none.
func (t *table) child(of int32, name string) int32 {
	if of == globalNode && name == "*" {
		return anyNode
	}
	if n, ok := t.nodes[of].children[name]; ok {
		return n
	}
	n := int32(len(t.nodes))
	t.nodes = append(t.nodes, node{api: -1, children: map[string]int32{}})
	t.nodes[of].children[name] = n
	return n
}

// Vocabulary returns the names of all permissions of the table, sorted.
func Vocabulary() []string {
	var out []string
	for _, p := range loaded().Permissions {
		out = append(out, p.Name)
	}
	slices.Sort(out)
	return out
}
