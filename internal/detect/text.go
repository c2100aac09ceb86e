package detect

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// simpleEscapes are those of one character.
var simpleEscapes = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", 'b': "\b", 'f': "\f", 'v': "\v", '0': "\x00", '\n': ""}

// unescaped returns a name or the inside of a string as it is meant. What is no
// escape stays as it is.
func unescaped(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	var b strings.Builder
	for len(raw) > 0 {
		if raw[0] != '\\' || len(raw) == 1 {
			b.WriteByte(raw[0])
			raw = raw[1:]
			continue
		}
		r, size := codePoint(raw[1:])
		switch simple, ok := simpleEscapes[raw[1]]; {
		case size > 0:
			b.WriteRune(r)
			raw = raw[1+size:]
		case ok:
			b.WriteString(simple)
			raw = raw[2:]
		case raw[1] == '\r':
			raw = bytes.TrimPrefix(raw[2:], []byte("\n"))
		default:
			b.WriteByte(raw[1])
			raw = raw[2:]
		}
	}
	return b.String()
}

// codePoint reads x41, u0041 or u{41}, and says how long it is, or 0.
func codePoint(s []byte) (rune, int) {
	var digits []byte
	size := 0
	switch {
	case s[0] == 'x' && len(s) >= 3:
		digits, size = s[1:3], 3
	case bytes.HasPrefix(s, []byte("u{")):
		end := bytes.IndexByte(s[:min(len(s), 16)], '}')
		if end < 0 {
			return 0, 0
		}
		digits, size = s[2:end], end+1
	case s[0] == 'u' && len(s) >= 5:
		digits, size = s[1:5], 5
	}
	n, err := strconv.ParseUint(string(digits), 16, 32)
	if err != nil || n > utf8.MaxRune {
		return 0, 0
	}
	return rune(n), size
}
