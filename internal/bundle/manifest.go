package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	kjson "sigs.k8s.io/json"
)

// maxNameLength bounds names that are shown to people, in code points. No
// specification does, but they go into statuses and annotations.
const maxNameLength = 256

// manifestCheck checks what one manifest says against the bundle and the objects.
type manifestCheck struct {
	bundle *Bundle
	want   Expect
	limits Limits
	found  *findings
	path   string // of the manifest
}

// load reads the manifest at path as strict JSON. ok is false when that failed
// and was reported.
func (c *manifestCheck) load(path string) (obj object, ok bool, err error) {
	c.path = path
	obj = object{check: c}
	if size := c.bundle.Files[c.bundle.byPath[path]].Size; size > c.limits.ManifestBytes {
		c.found.fail(ruleManifestJSON, path, "the manifest has %s, allowed are %s; move data into files of their own", showBytes(size), showBytes(c.limits.ManifestBytes))
		return obj, false, nil
	}
	r, err := c.bundle.Open(path)
	if err != nil {
		return obj, false, err
	}
	data, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return obj, false, fmt.Errorf("reading %s: %w", path, err)
	}
	value, ok := c.parse(data)
	if !ok {
		return obj, false, nil
	}
	if obj.members, ok = value.(map[string]any); !ok {
		c.found.fail(ruleManifestJSON, path, "the manifest is %s, but must be a JSON object ({…})", kind(value))
	}
	return obj, ok, nil
}

// parse reads strict JSON: UTF-8, with an optional byte order mark as the
// Encoding Standard's decoder has it, and without duplicate keys.
func (c *manifestCheck) parse(data []byte) (any, bool) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		c.found.fail(ruleManifestJSON, c.path, "the manifest is not UTF-8; save it in that encoding")
		return nil, false
	}
	var value any
	duplicates, err := kjson.UnmarshalStrict(data, &value, kjson.DisallowDuplicateFields)
	if err != nil {
		where := ""
		if ok, offset := kjson.SyntaxErrorOffset(err); ok {
			// The offset counts the byte that does not fit.
			before := data[:min(max(offset-1, 0), int64(len(data)))]
			line := bytes.Count(before, []byte("\n")) + 1
			where = fmt.Sprintf("line %d, column %d: ", line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])+1)
		}
		c.found.fail(ruleManifestJSON, c.path, "the manifest is not JSON: %s%s", where, cut(err.Error(), 200))
		return nil, false
	}
	for _, d := range duplicates {
		name := d.Error()
		var field kjson.FieldError
		if errors.As(d, &field) {
			name = field.FieldPath()
		}
		c.found.fail(ruleManifestJSON, c.path, "the member %s stands twice in its object, so that readers may see either value; keep one", quote(name))
	}
	return value, len(duplicates) == 0
}

// field reports a member by its JSON pointer (RFC 6901).
func (c *manifestCheck) field(pointer, format string, args ...any) {
	c.found.fail(ruleManifestField, c.path, "%s %s", pointer, fmt.Sprintf(format, args...))
}

// object is a JSON object and where it stands in the manifest. Its methods
// return zero values for what is not there or of another type; the latter, and
// what is required and missing, they report.
type object struct {
	check   *manifestCheck
	pointer string // of the object itself: "" for the whole document
	members map[string]any
}

const (
	required = true
	optional = false
)

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// at returns the JSON pointer of a member.
func (o object) at(key string) string {
	return o.pointer + "/" + pointerEscapes.Replace(cut(key, 80))
}

// get returns a member of type T; what is T in words a developer knows.
func get[T any](o object, key, what string, need bool) (T, bool) {
	var zero T
	value, ok := o.members[key]
	if !ok {
		if need {
			o.check.field(o.at(key), "is missing; add %s", what)
		}
		return zero, false
	}
	typed, ok := value.(T)
	if !ok {
		o.check.field(o.at(key), "is %s, but must be %s", kind(value), what)
		return zero, false
	}
	return typed, true
}

// text returns a string; a required one must not be empty.
func (o object) text(key string, need bool) string {
	s, ok := get[string](o, key, "a string", need)
	if ok && need && s == "" {
		o.check.field(o.at(key), "is empty; give it a value")
	}
	return s
}

// title returns a string of limited length that is shown to people.
func (o object) title(key string, need bool) string {
	s := o.text(key, need)
	if n := utf8.RuneCountInString(s); n > maxNameLength {
		o.check.field(o.at(key), "has %d characters, allowed are %d; shorten it", n, maxNameLength)
		return ""
	}
	return s
}

// choice checks that an optional string is one of the allowed.
func (o object) choice(key string, allowed ...string) {
	s, ok := get[string](o, key, "a string", optional)
	if ok && !slices.Contains(allowed, s) {
		o.check.field(o.at(key), "is %s, but must be one of %s", quote(s), strings.Join(allowed, ", "))
	}
}

func (o object) boolean(key string) {
	get[bool](o, key, "true or false", optional)
}

// whole returns a whole number of at least low. Numbers beyond 2^53-1 are not
// the same in every JSON reader.
func (o object) whole(key string, low int64, need bool) int64 {
	const high = 1<<53 - 1
	what := fmt.Sprintf("a whole number from %d to %d", low, int64(high))
	value, ok := o.members[key]
	n, isInt := value.(int64)
	switch {
	case !ok:
		if need {
			o.check.field(o.at(key), "is missing; add %s", what)
		}
		return 0
	case !isInt || n < low || n > high:
		o.check.field(o.at(key), "is %s, but must be %s", kind(value), what)
		return 0
	}
	return n
}

// code checks an optional platform code, which the drafts write as number and as text.
func (o object) code(key string) {
	if _, isText := o.members[key].(string); isText {
		o.text(key, optional)
		return
	}
	o.whole(key, 0, optional)
}

// child returns the object at key.
func (o object) child(key string, need bool) (object, bool) {
	members, ok := get[map[string]any](o, key, "an object", need)
	return object{o.check, o.at(key), members}, ok
}

// list returns the list at key; a required one must not be empty. Its users stop
// when findings are full.
func (o object) list(key string, need bool) []any {
	l, ok := get[[]any](o, key, "a list", need)
	if ok && need && len(l) == 0 {
		o.check.field(o.at(key), "is empty; list at least one")
	}
	return l
}

// objects returns the objects of the list at key.
func (o object) objects(key string, need bool) []object {
	var all []object
	for i, value := range o.list(key, need) {
		if o.check.found.full() {
			break
		}
		pointer := fmt.Sprintf("%s/%d", o.at(key), i)
		if members, ok := value.(map[string]any); ok {
			all = append(all, object{o.check, pointer, members})
		} else {
			o.check.field(pointer, "is %s, but must be an object", kind(value))
		}
	}
	return all
}

// each yields objects until findings are full.
func (c *manifestCheck) each(objects []object) iter.Seq[object] {
	return func(yield func(object) bool) {
		for _, o := range objects {
			if c.found.full() || !yield(o) {
				return
			}
		}
	}
}

// member is a string of a list and where it stands.
type member struct{ pointer, value string }

// texts returns the strings of the list at key.
func (o object) texts(key string, need bool) []member {
	var all []member
	for i, value := range o.list(key, need) {
		if o.check.found.full() {
			break
		}
		pointer := fmt.Sprintf("%s/%d", o.at(key), i)
		if s, ok := value.(string); !ok {
			o.check.field(pointer, "is %s, but must be a string", kind(value))
		} else if s == "" {
			o.check.field(pointer, "is empty; give it a value or remove it")
		} else {
			all = append(all, member{pointer, s})
		}
	}
	return all
}

// kind describes a JSON value for a message.
func kind(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case int64, float64:
		return fmt.Sprintf("the number %v", v)
	case string:
		return "the string " + quote(v)
	case []any:
		return "a list"
	default:
		return "an object"
	}
}
