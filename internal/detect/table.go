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

// Object is a global object: other names of it, or one whose members are asked
// for by names that cannot be read are worth to be told.
type Object struct {
	Name string `json:"name"`
	// Is says of which object it is another name; "global" is the global object.
	Is string `json:"is,omitempty"`
	// Container is true of an object that offers a container's own APIs.
	Container bool `json:"container,omitempty"`
}

// API is one sensitive API. Its name is the way to it from the global object. A
// first part "*" stands for any object, and a last one in parentheses for a
// call with that text as first argument.
type API struct {
	API        string `json:"api"`
	Permission string `json:"permission"`
	Source     string `json:"source"`
}

// Known returns the table. It is not to be changed.
func Known() Table { return loaded().Table }

// node is an object or function on the way to APIs.
type node struct {
	children  map[string]int32
	name      string
	api       int32 // index into APIs, or -1
	container bool
}

// table is Table as the scanner walks it.
type table struct {
	Table
	nodes []node
}

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
	t := &table{nodes: []node{{name: "global", api: -1, children: map[string]int32{}}, {name: "*", api: -1, children: map[string]int32{}}}}
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
		if o.Is != "" {
			is := globalNode
			if o.Is != "global" {
				is = t.child(globalNode, o.Is)
			}
			t.nodes[globalNode].children[o.Name] = is
			continue
		}
		t.nodes[t.child(globalNode, o.Name)].container = o.Container
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
	t.nodes = append(t.nodes, node{name: name, api: -1, children: map[string]int32{}})
	t.nodes[of].children[name] = n
	return n
}

// name returns what a use says: the API and its permission, or an object of
// which a member was used whose name cannot be read.
func (t *table) name(api int32) (string, string) {
	if api >= 0 {
		return t.APIs[api].API, t.APIs[api].Permission
	}
	return t.nodes[-1-api].name + "[…]", ""
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
