package detect

import (
	"bytes"
	stdhtml "html"
	"strings"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/html"
)

// scriptTypes are the types of a script element that browsers run.
var scriptTypes = map[string]bool{
	"": true, "module": true, "text/javascript": true, "application/javascript": true, "text/ecmascript": true, "application/ecmascript": true,
	"text/jscript": true, "application/x-javascript": true, "text/x-javascript": true,
}

// scanHTML returns the places in the scripts of a page, and in its handlers and
// javascript: addresses. A handler is read by itself: it sees no names of scripts.
func scanHTML(src []byte) []place {
	own := append(make([]byte, 0, len(src)+1), src...)
	in := parse.NewInputBytes(own)
	lex := html.NewLexer(in)
	var found []place
	var tag, kind string
	for {
		token, data := lex.Next()
		switch token {
		case html.ErrorToken:
			return found
		case html.StartTagToken:
			tag, kind = strings.ToLower(string(lex.Text())), ""
		case html.AttributeToken:
			key, value := strings.ToLower(strings.TrimSpace(string(lex.AttrKey()))), lex.AttrVal()
			start := in.Offset() - len(data) + attributeValue(data, value)
			value = unquoted(value)
			if len(value) < len(lex.AttrVal()) {
				start++
			}
			if key == "type" {
				kind = strings.ToLower(strings.TrimSpace(stdhtml.UnescapeString(string(value))))
			}
			found = append(found, attributePlaces(key, value, start)...)
		case html.TextToken:
			if tag == "script" && scriptTypes[kind] {
				start := in.Offset() - len(data)
				found = append(found, moved(scanScript(data), start)...)
			}
		case html.EndTagToken:
			tag = ""
		default:
		}
	}
}

// attributeValue returns where in an attribute its value begins.
func attributeValue(data, value []byte) int {
	return max(bytes.LastIndex(data, value), 0)
}

func unquoted(value []byte) []byte {
	if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
		return value[1 : len(value)-1]
	}
	return value
}

// attributePlaces returns the places in a handler or a javascript: address. With
// character references in it, they all stand where its value begins.
func attributePlaces(key string, value []byte, start int) []place {
	code := stdhtml.UnescapeString(string(value))
	if !strings.HasPrefix(key, "on") {
		trimmed := strings.TrimSpace(code)
		const scheme = "javascript:"
		if len(trimmed) < len(scheme) || !strings.EqualFold(trimmed[:len(scheme)], scheme) {
			return nil
		}
		// The scheme reads as a label.
	}
	found := scanScript([]byte(code))
	if code != string(value) {
		for i := range found {
			found[i].offset = 0
		}
	}
	return moved(found, start)
}

func moved(found []place, by int) []place {
	for i := range found {
		found[i].offset += by
	}
	return found
}
