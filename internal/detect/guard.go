package detect

import (
	"bytes"
	"unicode/utf8"

	"github.com/tdewolff/parse/v2/js"
)

// guard takes what the library's lexer would call an error, which costs it a look
// at the whole script each time, and what it would read to the end of the script.
// Such a byte is left out, so that it hides nothing behind it. Numbers are read
// here too: to the library those of old scripts are errors.
func (l *lexer) guard() (kind js.TokenType, known bool) {
	at := l.in.Offset()
	if at >= len(l.src) {
		return 0, false
	}
	rest := l.src[at:]
	switch c := rest[0]; {
	case c == '#' && at == 0 && bytes.HasPrefix(rest, []byte("#!")):
		return l.take(max(bytes.IndexByte(rest, '\n'), 1), js.WhitespaceToken)
	case c == '#':
		return l.unless(js.IsIdentifierStart(rest[1:]))
	case c == '\\':
		_, size := codePoint(append(rest[1:min(len(rest), 16):min(len(rest), 16)], 0))
		return l.unless(size > 0)
	case c >= utf8.RuneSelf:
		r, size := utf8.DecodeRune(rest)
		if r == '\u2028' || r == '\u2029' {
			return l.take(size, js.LineTerminatorToken)
		}
		if !js.IsIdentifierStart(rest) {
			return l.take(size, js.WhitespaceToken)
		}
	case c == '\'' || c == '"':
		return l.unless(l.finds(rest, func(s []byte) bool { return endsString(s, c) }))
	case c == '`', c == '}' && l.endsTemplate():
		if l.noTemplate = l.noTemplate || !endsTemplate(rest[1:]); l.noTemplate {
			if c == '}' {
				return l.take(1, js.CloseBraceToken)
			}
			return l.take(1, js.WhitespaceToken)
		}
	case c == '/' && len(rest) > 1 && rest[1] == '*':
		if l.noComment = l.noComment || !bytes.Contains(rest[2:], []byte("*/")); l.noComment {
			return l.take(2, js.WhitespaceToken)
		}
	case c >= '0' && c <= '9', c == '.' && len(rest) > 1 && isDigit(rest[1]):
		return l.take(numberSize(rest), js.DecimalToken)
	case c < ' ' && (c < '\t' || c > '\r'), c == '@', c == 0x7f:
		return l.take(1, js.WhitespaceToken)
	}
	return 0, false
}

// take takes bytes as a token of a kind.
func (l *lexer) take(n int, kind js.TokenType) (js.TokenType, bool) {
	l.in.Move(n)
	l.in.Shift()
	return kind, true
}

// unless leaves a byte out unless it begins a token.
func (l *lexer) unless(ok bool) (js.TokenType, bool) {
	if ok {
		return 0, false
	}
	return l.take(1, js.WhitespaceToken)
}

// finds looks for an end on this line. Looking for one that is not there, over and
// over, would take quadratic time, so there is a limit to it.
func (l *lexer) finds(rest []byte, ends func([]byte) bool) bool {
	if l.wasted > len(l.src) {
		return false
	}
	if ends(rest) {
		return true
	}
	end := bytes.IndexByte(rest, '\n')
	if end < 0 {
		end = len(rest)
	}
	l.wasted += end
	return false
}

// findsRegExp tells whether a regular expression begins at a slash.
func (l *lexer) findsRegExp(start int) bool {
	return l.finds(l.src[start:], endsRegExp)
}

// endsString tells whether a string ends on its line.
func endsString(s []byte, quote byte) bool {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case quote:
			return true
		case '\\':
			if i++; i+1 < len(s) && s[i] == '\r' && s[i+1] == '\n' {
				i++
			}
		case '\n', '\r':
			return false
		}
	}
	return false
}

// endsTemplate tells whether the text of a template ends.
func endsTemplate(s []byte) bool {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '`', s[i] == '$' && i+1 < len(s) && s[i+1] == '{':
			return true
		case s[i] == '\\':
			i++
		}
	}
	return false
}

// endsRegExp tells whether a regular expression ends on its line.
func endsRegExp(s []byte) bool {
	class := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '/':
			if !class {
				return true
			}
		case '[':
			class = true
		case ']':
			class = false
		case '\\':
			if i++; i < len(s) && (s[i] == '\n' || s[i] == '\r') {
				return false
			}
		case '\n', '\r':
			return false
		case 0xe2: // of a line or paragraph separator
			if r, _ := utf8.DecodeRune(s[i:]); r == '\u2028' || r == '\u2029' {
				return false
			}
		}
	}
	return false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// numberSize is how long the number is that s begins with.
func numberSize(s []byte) int {
	i := 0
	digits := func() {
		for i < len(s) && (isDigit(s[i]) || s[i] == '_') {
			i++
		}
	}
	if len(s) > 1 && s[0] == '0' && bytes.IndexByte([]byte("xXbBoO"), s[1]) >= 0 {
		for i = 2; i < len(s) && (isDigit(s[i]) || s[i] == '_' || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'f'); {
			i++
		}
	} else {
		digits()
		if i < len(s) && s[i] == '.' {
			i++
			digits()
		}
		if exponent := i; i < len(s) && s[i]|0x20 == 'e' {
			if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
				i++
			}
			if i < len(s) && isDigit(s[i]) {
				digits()
			} else {
				i = exponent
			}
		}
	}
	if i < len(s) && s[i] == 'n' {
		i++
	}
	return i
}
