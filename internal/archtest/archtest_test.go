package archtest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheRepositoryKeepsItsRules(t *testing.T) {
	sources, err := readTree(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) < 20 {
		t.Fatalf("only %d files were found", len(sources))
	}
	for name, check := range map[string]func(source) []string{
		"imports": checkImports,
		"sizes":   checkSizes,
		"skips":   checkSkips,
		"words":   checkWords,
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range sources {
				for _, complaint := range check(s) {
					t.Error(complaint)
				}
			}
		})
	}
	t.Run("package comments", func(t *testing.T) {
		for _, complaint := range checkPackageComments(sources) {
			t.Error(complaint)
		}
	})
}

func TestImports(t *testing.T) {
	const gate = "internal/gate/gate.go"
	imports := func(path string) string { return "package p\n\nimport _ \"" + path + "\"\n" }
	for name, test := range map[string]struct {
		path, text string
		want       string
	}{
		"the core may import the API":             {path: gate, text: imports(module + "api/v1alpha1")},
		"the core may not import a client":        {path: gate, text: imports("k8s.io/client-go/kubernetes"), want: gate + ":3: imports k8s.io/client-go/kubernetes: the core is pure: hand it values"},
		"the core may not import the network":     {path: gate, text: imports("net/http"), want: gate + ":3: imports net/http: the core is pure: hand it values"},
		"the core may take an address apart":      {path: gate, text: imports("net/url")},
		"the core's tests may":                    {path: "internal/gate/gate_test.go", text: imports("net/http")},
		"the core may read":                       {path: gate, text: imports("io")},
		"the core may not import the shell":       {path: gate, text: imports(module + "internal/task"), want: gate + ":3: imports " + module + "internal/task: imports point from cmd to the core, never up or sideways"},
		"core packages do not know each other":    {path: gate, text: imports(module + "internal/bundle"), want: gate + ":3: imports " + module + "internal/bundle: imports point from cmd to the core, never up or sideways"},
		"but policy knows bundles":                {path: "internal/policy/p.go", text: imports(module + "internal/bundle")},
		"and rollout knows delivery":              {path: "internal/rollout/p.go", text: imports(module + "internal/delivery")},
		"a folder knows its subfolders":           {path: "internal/bundle/p.go", text: imports(module + "internal/bundle/zip")},
		"the core has no clock":                   {path: gate, text: "package p\n\nvar x = time.Now()\n", want: gate + ":3: uses time.Now: the core is pure, time arrives as a value"},
		"the shell has one":                       {path: "internal/task/p.go", text: "package p\n\nvar x = time.Now()\n"},
		"the controller imports the shell":        {path: "internal/controller/p.go", text: imports(module + "internal/registry")},
		"the controller does not know the server": {path: "internal/controller/p.go", text: imports(module + "internal/manifest"), want: "internal/controller/p.go:3: imports " + module + "internal/manifest: imports point from cmd to the core, never up or sideways"},
		"the product has no test tools":           {path: "cmd/manager/p.go", text: imports(module + "internal/controlplane"), want: "cmd/manager/p.go:3: imports " + module + "internal/controlplane: it is for tests and the demo only"},
		"the demo has":                            {path: "hack/demo/p.go", text: imports(module + "internal/controlplane/child")},
		"the API imports apimachinery":            {path: "api/v1alpha1/p.go", text: imports("k8s.io/apimachinery/pkg/apis/meta/v1")},
		"and nothing else":                        {path: "api/v1alpha1/p.go", text: imports("k8s.io/api/core/v1"), want: "api/v1alpha1/p.go:3: imports k8s.io/api/core/v1: the API's types import apimachinery only"},
		"the SDK imports nothing of ours":         {path: "sdk/go/p.go", text: imports(module + "api/v1alpha1"), want: "sdk/go/p.go:3: imports " + module + "api/v1alpha1: imports point from cmd to the core, never up or sideways"},
		"but itself":                              {path: "sdk/go/p.go", text: imports(module + "sdk/go/bucket")},
		"and no Kubernetes":                       {path: "sdk/go/p.go", text: imports("k8s.io/apimachinery/pkg/types"), want: "sdk/go/p.go:3: imports k8s.io/apimachinery/pkg/types: the SDK is free of Kubernetes"},
		"only tests import testing":               {path: "internal/source/p.go", text: imports("testing"), want: "internal/source/p.go:3: imports testing: only tests do"},
		"no package without a place":              {path: "pkg/utils/p.go", text: "package p\n", want: "pkg/utils/p.go:1: package in no known folder: give it a place in the layers"},
		"nor an import of one":                    {path: "cmd/x/p.go", text: imports(module + "pkg/utils"), want: "cmd/x/p.go:3: imports " + module + "pkg/utils: it is in no known folder"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, checkImports, test.path, test.text, test.want) })
	}
}

func TestSizes(t *testing.T) {
	function := func(name string, lines int) string {
		return "package p\nfunc " + name + "() {" + strings.Repeat("\n", lines-1) + "}\n"
	}
	const generated = "// Code generated by hand. DO NOT EDIT.\n\n"
	for name, test := range map[string]struct {
		path, text string
		want       string
	}{
		"a file of 400 lines":            {path: "p.go", text: "package p\n" + strings.Repeat("\n", 399)},
		"a file of 401 lines":            {path: "p.go", text: "package p\n" + strings.Repeat("\n", 400), want: "p.go: 401 lines, at most 400: split it by decision"},
		"a test may be long":             {path: "p_test.go", text: "package p\n" + strings.Repeat("\n", 400)},
		"what is generated too":          {path: "p.go", text: generated + "package p\n" + strings.Repeat("\n", 400)},
		"a main of 149 lines":            {path: "cmd/manager/main.go", text: "package main\n" + strings.Repeat("\n", 148)},
		"a main of 150 lines":            {path: "cmd/manager/main.go", text: "package main\n" + strings.Repeat("\n", 149), want: "cmd/manager/main.go: 150 lines, at most 149: split it by decision"},
		"a function of 60 lines":         {path: "p.go", text: function("f", 60)},
		"a function of 61 lines":         {path: "p.go", text: function("f", 61), want: "p.go:2: f has 61 lines, at most 60"},
		"a Reconcile of 40 lines":        {path: "p.go", text: function("Reconcile", 40)},
		"a Reconcile of 41 lines":        {path: "p.go", text: function("Reconcile", 41), want: "p.go:2: Reconcile has 41 lines, at most 40"},
		"what is no Go has no such size": {path: "p.md", text: strings.Repeat("\n", 1000)},
	} {
		t.Run(name, func(t *testing.T) { expect(t, checkSizes, test.path, test.text, test.want) })
	}
}

func TestSkips(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a skip": {
			text: "package p\nfunc f() { t.Skip() }\n",
			want: "p_test.go:2: Skip without a look at REQUIRE_TOOLS in the same function",
		},
		"a skip that looks first": {
			text: "package p\nfunc f() {\n\tif os.Getenv(\"REQUIRE_TOOLS\") == \"\" { t.Skipf(\"no npm\") }\n}\n",
		},
		"a look elsewhere": {
			text: "package p\nfunc f() { t.SkipNow() }\nfunc g() { os.Getenv(\"REQUIRE_TOOLS\") }\n",
			want: "p_test.go:2: SkipNow without a look at REQUIRE_TOOLS in the same function",
		},
	} {
		t.Run(name, func(t *testing.T) { expect(t, checkSkips, "p_test.go", test.text, test.want) })
	}
}

func TestWords(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"left for later":          {text: "# TO" + "DO: more\n", want: `x.yaml:1: "TO` + `DO": do it or drop it`},
		"a silenced linter":       {text: "\nx() //no" + "lint:errcheck\n", want: `x.yaml:2: "//no` + `lint": mend what the linter found, or say in .golangci.yml why it is wrong`},
		"a path of one machine":   {text: "cd /wo" + "rk/main\n", want: `x.yaml:1: "/wo` + `rk/": a path of one machine`},
		"a path in a container":   {text: "WORKDIR /src\n"},
		"a path below another":    {text: "dir: api/wo" + "rk/x\n"},
		"deprecated requeueing":   {text: "return ctrl.Result{Re" + "queue: true}, nil", want: `x.yaml:1: "Result{Re` + `queue:": deprecated in controller-runtime`},
		"requeueing after a time": {text: "return ctrl.Result{RequeueAfter: d}, nil"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, checkWords, "x.yaml", test.text, test.want) })
	}
}

func TestPackageComments(t *testing.T) {
	var sources []source
	for path, text := range map[string]string{
		"a/doc.go":    "// Package a does.\npackage a\n",
		"a/more.go":   "package a\n",
		"b/b.go":      "package b\n",
		"c/c.go":      "// This is c.\npackage c\n",
		"d/main.go":   "// Command d runs.\npackage main\n",
		"e/e_test.go": "package e\n",
	} {
		sources = append(sources, mustParse(t, path, text))
	}
	want := []string{"b: no comment says what the package is for", "c: no comment says what the package is for"}
	if diff := cmp.Diff(want, checkPackageComments(sources)); diff != "" {
		t.Errorf("complaints (-want +got):\n%s", diff)
	}
}

func expect(t *testing.T, check func(source) []string, path, text, want string) {
	t.Helper()
	got := strings.Join(slices.Compact(check(mustParse(t, path, text))), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("complaint (-want +got):\n%s", diff)
	}
}

func mustParse(t *testing.T, path, text string) source {
	t.Helper()
	s, err := parse(path, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
