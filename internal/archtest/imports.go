package archtest

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
)

// layers tell which of our folders may import which: one of a higher
// number those of a lower one, never the other way nor sideways.
var layers = map[string]int{
	"api":                0,
	"sdk/go":             0,
	"internal/bundle":    1,
	"internal/policy":    1,
	"internal/gate":      1,
	"internal/rollout":   1,
	"internal/guardrail": 1,
	"internal/delivery":  1,
	"internal/detect":    1,
	"internal/schedule":  1,
	"internal/journal":   1,
	// Go embeds only what lies beside or below it, so policies and kinds are packages where they stand.
	"config/admission":    2,
	"config/crd":          2,
	"config/argocd":       2,
	"internal/task":       2,
	"internal/buildinfo":  2,
	"internal/source":     2,
	"internal/registry":   2,
	"internal/signing":    2,
	"internal/ledger":     2,
	"internal/analysis":   2,
	"internal/inspection": 3,
	"internal/controller": 4,
	"internal/manifest":   4,
	"cmd":                 5,
	// For tests and the demo only; below they are kept out of the product.
	"internal/controlplane":  6,
	"internal/argocdtest":    6,
	"internal/registrytest":  7,
	"internal/admissiontest": 7,
	"internal/charttest":     7,
	"internal/archtest":      8,
	"hack":                   9,
}

const (
	coreLayer = 1
	firstTool = 6
)

// sideways are the imports within a layer that are meant.
var sideways = map[string][]string{
	"internal/policy":  {"internal/bundle", "internal/schedule"},
	"internal/rollout": {"internal/delivery", "internal/schedule"},
}

// impure are packages by which a core package could see or change the world, as
// import paths with all below them but for the ones in pure. io and io/fs count
// as values.
var impure = []string{
	"context", "os", "net", "log", "syscall", "math/rand", "math/rand/v2", "crypto/rand", "testing", "unsafe", "runtime",
	"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "github.com/go-logr", "github.com/prometheus", "oras.land", "golang.org/x/time",
}

// pure are packages below impure ones that only work on values.
var pure = map[string]bool{"net/netip": true, "net/url": true, "net/textproto": true}

// impureCalls are functions of otherwise pure packages.
var impureCalls = map[string]bool{
	"time.Now": true, "time.Since": true, "time.Until": true, "time.Sleep": true, "time.After": true, "time.AfterFunc": true,
	"time.Tick": true, "time.NewTimer": true, "time.NewTicker": true, "metav1.Now": true,
}

// folder returns the entry of layers that a package's folder belongs to, or an
// empty string.
func folder(dir string) string {
	for name := range layers {
		if within(dir, name) {
			return name
		}
	}
	return ""
}

// within tells whether a path is the given one or below it.
func within(path, parent string) bool { return path == parent || strings.HasPrefix(path, parent+"/") }

// checkImports is about the direction of imports and the purity of the core.
// Tests may import what they need.
func checkImports(s source) []string {
	if s.file == nil || s.isTest() {
		return nil
	}
	from := folder(s.dir())
	if from == "" {
		return []string{s.complain(s.file.Package, "package in no known folder: give it a place in the layers")}
	}
	var complaints []string
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the compiler says so
		}
		if why := forbidden(from, imported); why != "" {
			complaints = append(complaints, s.complain(spec.Pos(), "imports %s: %s", imported, why))
		}
	}
	if layers[from] == coreLayer || from == "api" {
		complaints = append(complaints, checkCalls(s)...)
	}
	return complaints
}

// forbidden says why a folder may not import a package, or nothing.
func forbidden(from, imported string) string {
	if ours, is := strings.CutPrefix(imported, module); is {
		return forbiddenOurs(from, folder(ours))
	}
	switch {
	case from == "api" && isExternal(imported) && !within(imported, "k8s.io/apimachinery"):
		return "the API's types import apimachinery only"
	case from == "sdk/go" && (strings.HasPrefix(imported, "k8s.io/") || strings.HasPrefix(imported, "sigs.k8s.io/controller")):
		return "the SDK is free of Kubernetes"
	case layers[from] < firstTool && imported == "testing":
		return "only tests do"
	case layers[from] == coreLayer:
		for _, p := range impure {
			if within(imported, p) && !pure[imported] {
				return "the core is pure: hand it values"
			}
		}
	}
	return ""
}

func forbiddenOurs(from, to string) string {
	switch {
	case to == "":
		return "it is in no known folder"
	case from == to, slices.Contains(sideways[from], to):
		return ""
	case layers[to] >= firstTool && layers[from] < firstTool:
		return "it is for tests and the demo only"
	case layers[to] >= layers[from]:
		return "imports point from cmd to the core, never up or sideways"
	}
	return ""
}

// isExternal tells whether a package is not of the standard library.
func isExternal(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return strings.Contains(first, ".")
}

func checkCalls(s source) []string {
	var complaints []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		selector, is := n.(*ast.SelectorExpr)
		if !is {
			return true
		}
		if pkg, is := selector.X.(*ast.Ident); is && impureCalls[pkg.Name+"."+selector.Sel.Name] {
			complaints = append(complaints, s.complain(n.Pos(), "uses %s.%s: the core is pure, time arrives as a value", pkg.Name, selector.Sel.Name))
		}
		return true
	})
	return complaints
}
