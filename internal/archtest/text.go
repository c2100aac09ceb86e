package archtest

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

// Sizes that still can be read in one go.
const (
	maxFileLines      = 400
	maxFunctionLines  = 60
	maxReconcileLines = 40
	maxMainLines      = 149
)

// checkSizes is about the length of files and functions that are neither tests
// nor generated.
func checkSizes(s source) []string {
	if s.file == nil || s.isTest() || s.isGenerated() {
		return nil
	}
	var complaints []string
	limit := maxFileLines
	if s.path == "cmd/manager/main.go" {
		limit = maxMainLines
	}
	if lines := strings.Count(s.text, "\n"); lines > limit {
		complaints = append(complaints, fmt.Sprintf("%s: %d lines, at most %d: split it by decision", s.path, lines, limit))
	}
	for _, d := range s.file.Decls {
		f, is := d.(*ast.FuncDecl)
		if !is {
			continue
		}
		limit := maxFunctionLines
		if f.Name.Name == "Reconcile" {
			limit = maxReconcileLines
		}
		if lines := s.line(f.End()) - s.line(f.Pos()) + 1; lines > limit {
			complaints = append(complaints, s.complain(f.Pos(), "%s has %d lines, at most %d", f.Name.Name, lines, limit))
		}
	}
	return complaints
}

// checkSkips wants every skipped test to look at REQUIRE_TOOLS, under which none
// may be skipped.
func checkSkips(s source) []string {
	if s.file == nil {
		return nil
	}
	var complaints []string
	for _, d := range s.file.Decls {
		f, is := d.(*ast.FuncDecl)
		if !is || mentionsRequireTools(f) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, is := n.(*ast.CallExpr)
			if !is {
				return true
			}
			selector, is := call.Fun.(*ast.SelectorExpr)
			if is && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, selector.Sel.Name) {
				complaints = append(complaints, s.complain(n.Pos(), "%s without a look at REQUIRE_TOOLS in the same function", selector.Sel.Name))
			}
			return true
		})
	}
	return complaints
}

func mentionsRequireTools(f *ast.FuncDecl) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		literal, is := n.(*ast.BasicLit)
		found = found || is && literal.Value == `"REQUIRE_TOOLS"`
		return !found
	})
	return found
}

// unwanted are words that do not belong into the repository, in pieces, so that
// they do not find themselves.
var unwanted = map[*regexp.Regexp]string{
	regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`):                                 "do it or drop it",
	regexp.MustCompile(`//\s*no` + `lint|#no` + `sec`):                                        "mend what the linter found, or say in .golangci.yml why it is wrong",
	regexp.MustCompile(`(^|[\s"'=(` + "`" + `])/(wo` + `rk|ro` + `ot|home)/`):                 "a path of one machine",
	regexp.MustCompile(`GetEvent` + `RecorderFor|Result\{Re` + `queue:|scheme\.Bui` + `lder`): "deprecated in controller-runtime",
}

// checkWords looks for unwanted words in any text.
func checkWords(s source) []string {
	var complaints []string
	for i, line := range strings.Split(s.text, "\n") {
		for pattern, why := range unwanted {
			if found := pattern.FindString(line); found != "" {
				complaints = append(complaints, fmt.Sprintf("%s:%d: %q: %s", s.path, i+1, strings.TrimSpace(found), why))
			}
		}
	}
	return complaints
}

// checkPackageComments wants one comment for each package, that begins as Go's
// tools expect it. A package of tests only needs none.
func checkPackageComments(sources []source) []string {
	described := map[string]bool{}
	for _, s := range sources {
		if s.file == nil || s.isTest() {
			continue
		}
		want := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			want = "Command "
		}
		described[s.dir()] = described[s.dir()] || strings.HasPrefix(s.file.Doc.Text(), want)
	}
	var complaints []string
	for dir, is := range described {
		if !is {
			complaints = append(complaints, dir+": no comment says what the package is for")
		}
	}
	slices.Sort(complaints)
	return complaints
}
