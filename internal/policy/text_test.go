package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// forbids is a policy that searches for the texts.
func forbids(name string, texts ...v1alpha1.ForbiddenText) v1alpha1.ReviewPolicy {
	return reviewPolicy(name, qualityRules(v1alpha1.QualityRules{ForbiddenText: texts}))
}

func TestMatch(t *testing.T) {
	place := func(line, column int) Match {
		return Match{Policy: "base", Field: "spec.quality.forbiddenText[0].pattern", Line: line, Column: column}
	}
	var firstTen []Match
	for line := 1; line <= MaxPlaces; line++ {
		firstTen = append(firstTen, place(line, 1))
	}
	tests := map[string]struct {
		pattern v1alpha1.TextPattern
		files   []v1alpha1.FilePattern
		file    string
		content string
		want    []Match
	}{
		"the first character is line 1, column 1":  {pattern: "x", file: "a.js", content: "x", want: []Match{place(1, 1)}},
		"columns count characters and not bytes":   {pattern: "x", file: "a.js", content: "é漢😀x", want: []Match{place(1, 4)}},
		"a line ends behind its newline":           {pattern: "x", file: "a.js", content: "\n\n x", want: []Match{place(3, 2)}},
		"a carriage return is part of its line":    {pattern: "x", file: "a.js", content: "\r\n\rx", want: []Match{place(2, 2)}},
		"two places in one line":                   {pattern: "x", file: "a.js", content: "a\nxbx", want: []Match{place(2, 1), place(2, 3)}},
		"a place that spans lines has its first":   {pattern: "x\ny", file: "a.js", content: "a\nbx\ny", want: []Match{place(2, 2)}},
		"a place behind one that spans lines":      {pattern: "x\n|y", file: "a.js", content: "x\nay", want: []Match{place(1, 1), place(2, 2)}},
		"of many places the first ten":             {pattern: "x", file: "a.js", content: strings.Repeat("x\n", MaxPlaces+1), want: firstTen},
		"bytes that are no text hold a place":      {pattern: "x", file: "a.js", content: "\xff\xfex", want: []Match{place(1, 3)}},
		"a zero byte does not hide a script":       {pattern: "x", file: "a.JS", content: "\x00x", want: []Match{place(1, 2)}},
		"a binary file holds nothing":              {pattern: "x", file: "a.png", content: "\x00x"},
		"a binary file is told by its beginning":   {pattern: "x", file: "a.bin", content: strings.Repeat(" ", 7999) + "\x00x"},
		"a zero byte behind it makes none":         {pattern: "x", file: "a.bin", content: strings.Repeat(" ", 8000) + "\x00x", want: []Match{place(1, 8002)}},
		"a file of no known kind may be text":      {pattern: "x", file: "LICENSE", content: "x", want: []Match{place(1, 1)}},
		"an empty file holds nothing":              {pattern: "x", file: "a.js"},
		"files that the pattern does not name":     {pattern: "x", files: []v1alpha1.FilePattern{"*.css"}, file: "a.js", content: "x"},
		"one of the files that the pattern names":  {pattern: "x", files: []v1alpha1.FilePattern{"*.css", "js/*.js"}, file: "js/a.js", content: "x", want: []Match{place(1, 1)}},
		"a file that is below what a pattern says": {pattern: "x", files: []v1alpha1.FilePattern{"js/*.js"}, file: "js/b/a.js", content: "x"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			patterns, err := PatternsOf([]v1alpha1.ReviewPolicy{forbids("base", v1alpha1.ForbiddenText{Pattern: tc.pattern, Files: tc.files})})
			if err != nil {
				t.Fatal(err)
			}
			for i := range tc.want {
				tc.want[i].File, tc.want[i].Pattern = tc.file, patterns.Keys()[0]
			}
			if diff := cmp.Diff(tc.want, patterns.Match(tc.file, []byte(tc.content))); diff != "" {
				t.Errorf("Match (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPatternThatManyPoliciesHaveIsSearchedOnce(t *testing.T) {
	eval, evalInJS := v1alpha1.ForbiddenText{Pattern: "eval", Message: "no"}, v1alpha1.ForbiddenText{Pattern: "eval", Files: []v1alpha1.FilePattern{"*.js"}}
	first, second := forbids("b", eval, evalInJS), forbids("a", v1alpha1.ForbiddenText{Pattern: "x"}, v1alpha1.ForbiddenText{Pattern: "eval", Message: "never"})
	patterns, err := PatternsOf([]v1alpha1.ReviewPolicy{first, second})
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{}
	for _, m := range patterns.Match("a.js", []byte("eval")) {
		places[m.Policy+" "+m.Field] = m.Pattern
	}
	want := map[string]string{
		"a spec.quality.forbiddenText[1].pattern": forbidden(0, eval).key(),
		"b spec.quality.forbiddenText[1].pattern": forbidden(0, evalInJS).key(),
	}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("where eval stands, by policy and field (-want +got):\n%s", diff)
	}
	if got := len(patterns.Keys()); got != 3 {
		t.Errorf("%d keys, want 3: %v", got, patterns.Keys())
	}

	turned, err := PatternsOf([]v1alpha1.ReviewPolicy{second, first})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := turned.Fingerprint(), patterns.Fingerprint(); got != want {
		t.Errorf("Fingerprint = %s in another order, want %s", got, want)
	}
	one, err := PatternsOf([]v1alpha1.ReviewPolicy{second})
	if err != nil {
		t.Fatal(err)
	}
	if one.Fingerprint() == patterns.Fingerprint() {
		t.Error("Fingerprint is the same for fewer patterns")
	}
	known := Facts{Searched: one.Keys()}
	if !one.SearchedIn(known) || patterns.SearchedIn(known) {
		t.Errorf("SearchedIn = %t for what was searched for and %t for more, want true and false", one.SearchedIn(known), patterns.SearchedIn(known))
	}
}

func TestWithoutPatternsNothingIsSearched(t *testing.T) {
	patterns, err := PatternsOf([]v1alpha1.ReviewPolicy{reviewPolicy("base", v1alpha1.ReviewPolicySpec{})})
	if err != nil {
		t.Fatal(err)
	}
	if patterns != nil || patterns.Keys() != nil || patterns.Fingerprint() != "" || !patterns.SearchedIn(Facts{}) || patterns.Match("a.js", []byte("x")) != nil {
		t.Errorf("PatternsOf = %v, want nil, which has no key and no match, and which everything answers for", patterns)
	}
}
