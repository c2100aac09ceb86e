package detect

import (
	"bytes"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/js"
)

// token is a word of a script that counts: neither space nor comment.
type token struct {
	kind       js.TokenType
	newline    bool // a line ended before it
	start, end int32
	match      int32 // of a bracket: its partner, or -1
	ref        int32 // of a name that is looked up: its number, later what it means; or noRef
}

// noRef is the ref of a token that is no name to look up: a property, a key, a
// word of the language.
const noRef int32 = -1

// maxTokens bounds what is held of a script at once: longer ones are read part
// by part, at 20 bytes a token.
const maxTokens = 1 << 19

// lexer gives the tokens of a script. What the library's lexer cannot tell is
// whether a slash begins a regular expression; that follows from what stands
// before it, which frames know.
type lexer struct {
	in     *parse.Input
	lex    *js.Lexer
	src    []byte
	wasted int // bytes that were looked through for an end that was not there

	level     int
	templates []int
	// From here on no template ends, or no comment.
	noTemplate, noComment bool
}

func newLexer(src []byte) *lexer {
	// The library writes a zero behind its input, so it gets one of its own. There
	// the marks that begin a comment in old scripts and are code in modules are
	// spaced out: what is behind them must not be hidden.
	own := append(make([]byte, 0, len(src)+1), src...)
	for at := 0; ; {
		i := bytes.Index(own[at:], []byte("--"))
		if i < 0 {
			break
		}
		at += i
		if at >= 2 && own[at-1] == '!' && own[at-2] == '<' {
			own[at-1] = ' '
		}
		if at+2 < len(own) && own[at+2] == '>' {
			own[at+2] = ' '
		}
		at++
	}
	in := parse.NewInputBytes(own)
	return &lexer{in: in, lex: js.NewLexer(in), src: own}
}

// next returns the next token that counts. Bytes that are no token are left out:
// what comes after them still counts.
func (l *lexer) next(regexp bool) (t token, ok bool) {
	newline := false
	for {
		start := l.in.Offset()
		kind, known := l.guard()
		if !known {
			var data []byte
			kind, data = l.lex.Next()
			start = l.in.Offset() - len(data)
		}
		switch kind {
		case js.ErrorToken:
			if l.in.Offset() >= len(l.src) {
				return token{}, false
			}
			l.in.Shift()
			continue
		case js.WhitespaceToken:
			continue
		case js.LineTerminatorToken:
			newline = true
			continue
		case js.CommentToken, js.CommentLineTerminatorToken:
			newline = newline || kind == js.CommentLineTerminatorToken
			continue
		default:
		}
		if regexp && (kind == js.DivToken || kind == js.DivEqToken) && l.findsRegExp(start) {
			kind, _ = l.lex.RegExp()
		}
		l.follow(kind)
		return token{kind: kind, newline: newline, start: int32(start), end: int32(l.in.Offset()), match: -1, ref: noRef}, true
	}
}

// follow keeps count of the templates that are open, as the library does.
func (l *lexer) follow(kind js.TokenType) {
	switch kind {
	case js.OpenParenToken, js.OpenBraceToken:
		l.level++
	case js.CloseParenToken:
		l.level--
	case js.CloseBraceToken:
		if !l.endsTemplate() {
			l.level--
		}
	case js.TemplateStartToken:
		l.templates = append(l.templates, l.level)
		l.level++
	case js.TemplateEndToken:
		l.level--
		l.templates = l.templates[:len(l.templates)-1]
	default:
	}
}

// endsTemplate tells whether a brace goes on with the text of a template.
func (l *lexer) endsTemplate() bool {
	return len(l.templates) > 0 && l.level-1 == l.templates[len(l.templates)-1]
}
