package policy

import (
	"strings"
	"unicode/utf8"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// anyFolders is a part of a pattern that stands for any number of folders.
const anyFolders = "**"

// matchesAny tells whether one of the patterns stands for path.
func matchesAny(patterns []v1alpha1.FilePattern, path string) bool {
	for _, p := range patterns {
		if matchesFile(p, path) {
			return true
		}
	}
	return false
}

// matchesFile tells whether pattern stands for path, as ReviewPolicy
// spec.quality.forbiddenFiles says. Case is not compared: a bundle that may not
// hold x.map may not hold X.MAP.
func matchesFile(pattern v1alpha1.FilePattern, path string) bool {
	want, got := strings.ToLower(string(pattern)), strings.ToLower(path)
	if !strings.Contains(want, "/") {
		return matchesName(want, got[strings.LastIndexByte(got, '/')+1:])
	}
	return matchesPath(strings.Split(want, "/"), strings.Split(got, "/"))
}

// matchesPath compares part by part. Where it fails, only the last "**" has to
// take in one folder more: what an earlier one could take in, that one can too.
func matchesPath(pattern, path []string) bool {
	p, n, after, mark := 0, 0, -1, 0
	for n < len(path) {
		switch {
		case p < len(pattern) && pattern[p] == anyFolders:
			p++
			after, mark = p, n
		case p < len(pattern) && matchesName(pattern[p], path[n]):
			p, n = p+1, n+1
		case after >= 0:
			mark++
			p, n = after, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == anyFolders {
		p++
	}
	return p == len(pattern)
}

// matchesName does the same for the characters of one name, of which "*" takes in
// any number and "?" one.
func matchesName(pattern, name string) bool {
	p, n, after, mark := 0, 0, -1, 0
	for n < len(name) {
		_, wide := utf8.DecodeRuneInString(name[n:])
		switch {
		case p < len(pattern) && pattern[p] == '*':
			p++
			after, mark = p, n
		case p < len(pattern) && pattern[p] == '?':
			p, n = p+1, n+wide
		case strings.HasPrefix(pattern[p:], name[n:n+wide]):
			p, n = p+wide, n+wide
		case after >= 0:
			_, wide = utf8.DecodeRuneInString(name[mark:])
			mark += wide
			p, n = after, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
