// Package strictjson decodes JSON that other languages must read the same way.
//
// encoding/json takes the last of two equal members, matches names without
// regard to case and leaves a field alone when it finds null. A reader in
// another language does none of this, and two readers of one signed text must
// not disagree. Here a repeated name, a name that differs from a known one only
// in case, null or a wrong type for a known member, text that is not UTF-8, and
// anything after the value are errors. Unknown members are ignored, so that a
// document may gain some.
package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// MaxDepth bounds how deeply objects and lists may nest.
const MaxDepth = 64

// Error says what is wrong where.
type Error struct {
	// Pointer is the place, as an RFC 6901 JSON pointer; empty is the whole text.
	Pointer string
	// Problem is a phrase about that place: "must be a string".
	Problem string
}

func (e *Error) Error() string {
	if e.Pointer == "" {
		return e.Problem
	}
	return e.Pointer + ": " + e.Problem
}

// Decode reads data into the value that into points to: a struct of structs,
// slices, pointers, strings, whole numbers, bools and encoding.TextUnmarshalers.
// Its error is an *Error.
func Decode(data []byte, into any) error {
	if !utf8.Valid(data) {
		return &Error{Problem: "is not UTF-8"}
	}
	if !json.Valid(data) {
		return &Error{Problem: "is not JSON"}
	}
	w := walker{decoder: json.NewDecoder(bytes.NewReader(data))}
	w.decoder.UseNumber()
	if err := w.value(reflect.TypeOf(into).Elem(), 0); err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return &Error{Problem: "cannot be read: " + err.Error()}
	}
	return nil
}

// walker compares a text with a type. Its methods return nil or an error whose
// pointer begins at the value that they read; who called them puts the rest in
// front, so that only an error pays for its pointer.
type walker struct{ decoder *json.Decoder }

// value reads one value and compares it with the type that it is for; a nil
// type is an unknown member, where only repeated names matter.
func (w *walker) value(t reflect.Type, depth int) *Error {
	if depth > MaxDepth {
		return &Error{Problem: fmt.Sprintf("nests deeper than %d", MaxDepth)}
	}
	token, err := w.decoder.Token()
	if err != nil {
		return unreadable(err)
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil {
		if problem := mismatch(token, t); problem != "" {
			return &Error{Problem: problem}
		}
	}
	switch token {
	case json.Delim('{'):
		return w.object(t, depth)
	case json.Delim('['):
		return w.list(t, depth)
	}
	return nil
}

func (w *walker) object(t reflect.Type, depth int) *Error {
	known := fieldsOf(t)
	seen := map[string]bool{}
	for w.decoder.More() {
		token, err := w.decoder.Token()
		if err != nil {
			return unreadable(err)
		}
		name, _ := token.(string)
		if err := w.member(name, known, seen, depth); err != nil {
			return err.within(escape(name))
		}
	}
	return w.end()
}

func (w *walker) member(name string, known fields, seen map[string]bool, depth int) *Error {
	if seen[name] {
		return &Error{Problem: "stands there twice"}
	}
	seen[name] = true
	field, exact := known.types[name]
	if !exact {
		if other, alike := known.folded[fold(name)]; alike {
			return &Error{Problem: fmt.Sprintf("differs from %q only in case", other)}
		}
	}
	return w.value(field, depth+1)
}

func (w *walker) list(t reflect.Type, depth int) *Error {
	var element reflect.Type
	if t != nil {
		element = t.Elem()
	}
	for i := 0; w.decoder.More(); i++ {
		if err := w.value(element, depth+1); err != nil {
			return err.within(strconv.Itoa(i))
		}
	}
	return w.end()
}

// end reads what closes an object or a list.
func (w *walker) end() *Error {
	if _, err := w.decoder.Token(); err != nil {
		return unreadable(err)
	}
	return nil
}

// within puts a part in front of the error's pointer.
func (e *Error) within(part string) *Error {
	e.Pointer = "/" + part + e.Pointer
	return e
}

func unreadable(err error) *Error {
	return &Error{Problem: "cannot be read: " + err.Error()}
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// mismatch says how a token is not the beginning of a value of type t; empty
// when it is.
func mismatch(token json.Token, t reflect.Type) string {
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		text, ok := token.(string)
		if !ok {
			return "must be a string"
		}
		reader, ok := reflect.New(t).Interface().(encoding.TextUnmarshaler)
		if !ok {
			return "" // cannot be: its type was just asked
		}
		if err := reader.UnmarshalText([]byte(text)); err != nil {
			return err.Error()
		}
		return ""
	}
	switch t.Kind() {
	case reflect.Struct:
		return unless(token == json.Delim('{'), "must be an object")
	case reflect.Slice:
		return unless(token == json.Delim('['), "must be a list")
	case reflect.String:
		_, ok := token.(string)
		return unless(ok, "must be a string")
	case reflect.Bool:
		_, ok := token.(bool)
		return unless(ok, "must be true or false")
	case reflect.Int, reflect.Int32, reflect.Int64:
		number, _ := token.(json.Number)
		_, err := strconv.ParseInt(number.String(), 10, t.Bits())
		return unless(err == nil, "must be a whole number of at most "+strconv.Itoa(t.Bits())+" bits")
	default:
		return "has a type that cannot be read"
	}
}

func unless(ok bool, problem string) string {
	if ok {
		return ""
	}
	return problem
}

// fields are the members that a struct knows.
type fields struct {
	types  map[string]reflect.Type
	folded map[string]string // name without case → name
}

var fieldCache sync.Map // reflect.Type → fields

func fieldsOf(t reflect.Type) fields {
	if t == nil {
		return fields{}
	}
	if cached, ok := fieldCache.Load(t); ok {
		if f, ok := cached.(fields); ok {
			return f
		}
	}
	f := fields{types: map[string]reflect.Type{}, folded: map[string]string{}}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		f.types[name] = field.Type
		f.folded[fold(name)] = name
	}
	fieldCache.Store(t, f)
	return f
}

// fold maps names that encoding/json takes for one another to the same text.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		smallest := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			smallest = min(smallest, other)
		}
		return smallest
	}, name)
}

func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
