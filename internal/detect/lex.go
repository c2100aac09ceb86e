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
const maxTokens = 2 << 20

// lexer gives the tokens of a script. What the library's lexer cannot tell is
// whether a slash begins a regular expression; that follows from what stands
// before it, which frames know.
type lexer struct {
	in     *parse.Input
	lex    *js.Lexer
	src    []byte
	wasted int // bytes that were read as a regular expression and were none
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
		kind, data := l.lex.Next()
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
		}
		start := l.in.Offset() - len(data)
		if regexp && (kind == js.DivToken || kind == js.DivEqToken) {
			kind = l.regexp(kind)
		}
		end := l.in.Offset()
		return token{kind: kind, newline: newline, start: int32(start), end: int32(end), match: -1, ref: noRef}, true
	}
}

// regexp reads on from a slash as a regular expression, or goes back when none
// ends on this line. Going back often would take quadratic time, so there is a
// limit to it.
func (l *lexer) regexp(kind js.TokenType) js.TokenType {
	if l.wasted > len(l.src) {
		return kind
	}
	after := l.in.Offset()
	if got, _ := l.lex.RegExp(); got == js.RegExpToken {
		return got
	}
	back := l.in.Offset() - after
	l.wasted += back
	l.in.Move(-back)
	l.in.Shift()
	return kind
}
