// Package version compares versions the way every evaluator of the published
// document must: numbers separated by dots, each compared as a number, however
// many there are, so that 8.0.10 comes after 8.0.9 and 8 equals 8.0.0.
//
// A pre-release after a hyphen comes before the version without it and is
// ordered as in Semantic Versioning 2.0.0, section 11; build metadata after a
// plus sign counts for nothing. Anything else is no version and compares with
// nothing.
package version

import (
	"cmp"
	"strings"
)

// MaxLength is the longest version that is read, in bytes.
const MaxLength = 128

// Valid reports whether text is a version.
func Valid(text string) bool {
	_, ok := parse(text)
	return ok
}

// Compare returns -1, 0 or 1 as a is before, equal to or after b. When either
// is no version, ok is false: the two cannot be compared.
func Compare(a, b string) (order int, ok bool) {
	left, okLeft := parse(a)
	right, okRight := parse(b)
	if !okLeft || !okRight {
		return 0, false
	}
	if order := compareCore(left.core, right.core); order != 0 {
		return order, true
	}
	return comparePreRelease(left.pre, right.pre), true
}

type parts struct{ core, pre string }

func parse(text string) (parts, bool) {
	if len(text) > MaxLength {
		return parts{}, false
	}
	text, build, hasBuild := strings.Cut(text, "+")
	core, pre, hasPre := strings.Cut(text, "-")
	ok := identifiers(core, isDigit) &&
		(!hasPre || identifiers(pre, isIdentifier)) &&
		(!hasBuild || identifiers(build, isIdentifier))
	return parts{core: core, pre: pre}, ok
}

// identifiers reports whether text is one or more non-empty parts separated by
// dots, every byte of which is allowed.
func identifiers(text string, allowed func(byte) bool) bool {
	for {
		part, rest, more := strings.Cut(text, ".")
		if part == "" {
			return false
		}
		for i := range len(part) {
			if !allowed(part[i]) {
				return false
			}
		}
		if !more {
			return true
		}
		text = rest
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isIdentifier(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-'
}

func compareCore(a, b string) int {
	for a != "" || b != "" {
		var left, right string
		left, a, _ = strings.Cut(a, ".")
		right, b, _ = strings.Cut(b, ".")
		if order := compareNumbers(left, right); order != 0 {
			return order
		}
	}
	return 0
}

// compareNumbers compares digits of any length; no digits count as zero.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if order := cmp.Compare(len(a), len(b)); order != 0 {
		return order
	}
	return strings.Compare(a, b)
}

func comparePreRelease(a, b string) int {
	if a == "" || b == "" {
		return -cmp.Compare(len(a), len(b)) // the one without comes later
	}
	for a != "" && b != "" {
		var left, right string
		left, a, _ = strings.Cut(a, ".")
		right, b, _ = strings.Cut(b, ".")
		if order := compareIdentifiers(left, right); order != 0 {
			return order
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareIdentifiers(a, b string) int {
	switch left, right := identifiers(a, isDigit), identifiers(b, isDigit); {
	case left && right:
		return compareNumbers(a, b)
	case left:
		return -1
	case right:
		return 1
	default:
		return strings.Compare(a, b)
	}
}
