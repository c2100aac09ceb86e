package policy

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// maxInstructions bounds a compiled pattern. RE2 takes time in proportion to the
// text and to this, so a pattern cannot stop the packaging of a large bundle.
const maxInstructions = 1000

// Patterns are what policies search the text of files for. They may be used by
// many at once. The nil value searches for nothing.
type Patterns struct {
	list []*pattern // sorted by key
}

// pattern is one text that is searched for.
type pattern struct {
	key    string
	policy string
	field  string
	re     *regexp.Regexp
	files  []v1alpha1.FilePattern
}

// Match is one place in a file that holds the text of a pattern.
type Match struct {
	// Policy and Field name the pattern: the first that has it, where several do.
	Policy string `json:"policy"`
	Field  string `json:"field"`
	// Pattern is its key: the same for the same text in the same files, in whatever policy.
	Pattern string `json:"pattern"`
	File    string `json:"file"`
	// Line and Column begin at 1; columns count characters.
	Line   int `json:"line"`
	Column int `json:"column"`
}

// PatternsOf returns what the policies search text for, or nil when none does.
// The error is the first that CheckSpec has about such a text.
func PatternsOf(policies []v1alpha1.ReviewPolicy) (*Patterns, error) {
	byKey := map[string]*pattern{}
	sorted := slices.SortedFunc(slices.Values(policies), func(a, b v1alpha1.ReviewPolicy) int { return cmp.Compare(a.Name, b.Name) })
	for i := range sorted {
		for _, t := range textsOf(&sorted[i]) {
			re, err := t.compile()
			if err != nil {
				return nil, fmt.Errorf("ReviewPolicy %s: reading %s: %w", sorted[i].Name, t.field, err)
			}
			if byKey[t.key()] == nil {
				byKey[t.key()] = &pattern{key: t.key(), policy: sorted[i].Name, field: t.field, re: re, files: t.files}
			}
		}
	}
	if len(byKey) == 0 {
		return nil, nil
	}
	p := &Patterns{}
	for _, one := range byKey {
		p.list = append(p.list, one)
	}
	slices.SortFunc(p.list, func(a, b *pattern) int { return cmp.Compare(a.key, b.key) })
	return p, nil
}

// Keys are those of all patterns, sorted, for Facts.Searched.
func (p *Patterns) Keys() []string {
	if p == nil {
		return nil
	}
	keys := make([]string, len(p.list))
	for i, one := range p.list {
		keys[i] = one.key
	}
	return keys
}

// Fingerprint is the same for the same patterns, whatever their order and the
// policies that they stand in; empty when there are none.
func (p *Patterns) Fingerprint() string {
	if p == nil {
		return ""
	}
	return digest(p.Keys()...)
}

// SearchedIn tells whether f already answers for every pattern.
func (p *Patterns) SearchedIn(f Facts) bool {
	return !slices.ContainsFunc(p.Keys(), func(key string) bool { return !slices.Contains(f.Searched, key) })
}

// Match returns where the content of a file holds what is searched for, in order
// of patterns and places; of each pattern the first MaxPlaces. Files that are no
// text hold nothing.
func (p *Patterns) Match(file string, content []byte) []Match {
	if p == nil || !isText(file, content) {
		return nil
	}
	var found []Match
	for _, one := range p.list {
		if len(one.files) > 0 && !matchesAny(one.files, file) {
			continue
		}
		line, begin := 1, 0 // of the place before
		for _, place := range one.re.FindAllIndex(content, MaxPlaces) {
			before := content[begin:place[0]]
			if n := bytes.Count(before, []byte{'\n'}); n > 0 {
				line += n
				begin += bytes.LastIndexByte(before, '\n') + 1
			}
			found = append(found, Match{
				Policy: one.policy, Field: one.field, Pattern: one.key, File: file,
				Line: line, Column: 1 + utf8.RuneCount(content[begin:place[0]]),
			})
		}
	}
	return found
}

// textFiles are read as text whatever is in them: a single zero byte must not
// hide a script.
var textFiles = map[string]bool{
	".js": true, ".mjs": true, ".cjs": true, ".ts": true, ".wxs": true, ".sjs": true, ".json": true, ".webmanifest": true,
	".html": true, ".htm": true, ".xml": true, ".wxml": true, ".ttml": true, ".axml": true, ".svg": true, ".ux": true, ".vue": true,
	".css": true, ".wxss": true, ".ttss": true, ".acss": true, ".txt": true, ".md": true, ".map": true,
}

// isText tells by the name, else by the first bytes as git does.
func isText(file string, content []byte) bool {
	const looked = 8000
	return textFiles[strings.ToLower(path.Ext(file))] || bytes.IndexByte(content[:min(len(content), looked)], 0) < 0
}

// text is a pattern as a policy has it.
type text struct {
	field   string
	pattern v1alpha1.TextPattern
	files   []v1alpha1.FilePattern
}

// textsOf returns all patterns of p, in the order of its fields.
func textsOf(p *v1alpha1.ReviewPolicy) []text {
	var texts []text
	if q := p.Spec.Quality; q != nil {
		for i, t := range q.ForbiddenText {
			texts = append(texts, forbidden(i, t))
		}
	}
	if privacy := p.Spec.Privacy; privacy != nil {
		for i, d := range privacy.Detect {
			texts = append(texts, detected(i, d)...)
		}
	}
	return texts
}

func forbidden(i int, t v1alpha1.ForbiddenText) text {
	return text{fmt.Sprintf("spec.quality.forbiddenText[%d].pattern", i), t.Pattern, t.Files}
}

func detected(i int, d v1alpha1.DetectRule) []text {
	texts := make([]text, len(d.Patterns))
	for j, pattern := range d.Patterns {
		texts[j] = text{field: fmt.Sprintf("spec.privacy.detect[%d].patterns[%d]", i, j), pattern: pattern}
	}
	return texts
}

// key is that of Match.Pattern.
func (t text) key() string {
	parts := []string{string(t.pattern)}
	for _, f := range t.files {
		parts = append(parts, string(f))
	}
	return digest(parts...)[:16]
}

// digest is of the parts and of where each ends.
func digest(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

type compiledText struct {
	re  *regexp.Regexp
	err error
}

var knownTexts memo[compiledText]

func (t text) compile() (*regexp.Regexp, error) {
	c := knownTexts.of(string(t.pattern), func(s string) compiledText {
		re, err := compileText(s)
		return compiledText{re, err}
	})
	return c.re, c.err
}

func compileText(pattern string) (*regexp.Regexp, error) {
	if err := boundedText(pattern); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(pattern)
	if err == nil && re.MatchString("") {
		return nil, errors.New("the pattern matches where there is nothing, and so in every file: let it ask for at least one character")
	}
	return re, err
}

// boundedText returns an error for what is no regular expression, or a very dear one.
func boundedText(pattern string) error {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return err
	}
	if n := len(program.Inst); n > maxInstructions {
		return fmt.Errorf("the pattern compiles to %d instructions, allowed are %d: repeat less in it, or divide it", n, maxInstructions)
	}
	return nil
}
