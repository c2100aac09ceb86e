// Package archtest checks the code itself: which packages may import which, that
// the core stays pure, that every package says what it is for, and that files and
// functions stay small enough to be read. Its checks are functions from a source file
// to complaints, tested on bad examples; one test runs them over the repository.
package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const module = "github.com/miniprogram-dev/miniprogram-operator/"

// source is one text file of the repository.
type source struct {
	path string // from the root, with slashes
	text string
	// Of Go files only:
	file      *ast.File
	positions *token.FileSet
}

// dir is the folder, which names a Go package.
func (s source) dir() string { return path.Dir(s.path) }

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) isGenerated() bool { return s.file != nil && ast.IsGenerated(s.file) }

func (s source) line(p token.Pos) int { return s.positions.Position(p).Line }

// complain is a complaint about one line.
func (s source) complain(p token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", s.path, s.line(p), fmt.Sprintf(format, args...))
}

// parse takes a text as the file of that path.
func parse(name, text string) (source, error) {
	s := source{path: name, text: text}
	if !strings.HasSuffix(name, ".go") {
		return s, nil
	}
	s.positions = token.NewFileSet()
	var err error
	s.file, err = parser.ParseFile(s.positions, name, text, parser.ParseComments)
	return s, err
}

// notOurs are folders with what was built, fetched or is input of tests.
var notOurs = map[string]bool{".git": true, "bin": true, ".demo": true, "node_modules": true, "testdata": true, "samples": true}

// written are the kinds of files that people write.
var written = map[string]bool{".go": true, ".sh": true, ".yaml": true, ".yml": true, ".md": true, ".mod": true, ".ts": true, ".mjs": true}

// readTree reads all files under the root that somebody wrote.
func readTree(root string) ([]source, error) {
	var sources []source
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if notOurs[entry.Name()] {
				return filepath.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if !written[path.Ext(name)] && name != "Makefile" && name != "Dockerfile" && name != ".ci/run" {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		s, err := parse(name, string(text))
		if err != nil {
			return err
		}
		sources = append(sources, s)
		return nil
	})
	return sources, err
}
