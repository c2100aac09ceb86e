package main

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"unicode/utf8"
)

// object is a part of a CRD as YAML has it.
type object map[string]any

func (o object) child(name string) object {
	switch c := o[name].(type) {
	case map[string]any:
		return c
	case object:
		return c
	}
	return nil
}

func (o object) text(name string) string {
	s, _ := o[name].(string)
	return s
}

// objects are the items of a list that are objects.
func (o object) objects(name string) []object {
	var all []object
	items, _ := o[name].([]any)
	for _, item := range items {
		if m, is := item.(map[string]any); is {
			all = append(all, m)
		}
	}
	return all
}

// strings are the items of a list as text.
func (o object) strings(name string) []string {
	var all []string
	items, _ := o[name].([]any)
	for _, item := range items {
		all = append(all, fmt.Sprint(item))
	}
	return all
}

// compare returns in words what the present kinds take from the earlier ones.
func compare(before, now map[string]object) []string {
	var c comparison
	for _, name := range slices.Sorted(maps.Keys(before)) {
		old, present := before[name].child("spec"), now[name].child("spec")
		if present == nil {
			c.find(name, "the kind is gone")
			continue
		}
		for _, field := range []string{"group", "scope", "names"} {
			if field != "names" && old.text(field) != present.text(field) || old.child(field).text("kind") != present.child(field).text("kind") {
				c.find(name, "%s changed", field)
			}
		}
		c.versions(name, old.objects("versions"), present.objects("versions"))
	}
	return c.findings
}

type comparison struct{ findings []string }

func (c *comparison) find(where, format string, args ...any) {
	c.findings = append(c.findings, where+": "+fmt.Sprintf(format, args...))
}

func (c *comparison) versions(kind string, before, now []object) {
	for _, old := range before {
		version := old.text("name")
		i := slices.IndexFunc(now, func(o object) bool { return o.text("name") == version })
		if i < 0 {
			// Also where it is stored no more: objects may be in it as long as nobody wrote them anew.
			c.find(kind, "version %s is gone", version)
			continue
		}
		if old["served"] == true && now[i]["served"] != true {
			c.find(kind, "version %s is not served", version)
		}
		c.schema(kind+" "+version, "", old.child("schema").child("openAPIV3Schema"), now[i].child("schema").child("openAPIV3Schema"))
	}
}

// schema compares what stands at one path, and below. What is new there bound nobody
// before, but for what is required.
func (c *comparison) schema(kind, path string, old, now object) {
	where := kind + " " + path
	if !enumFits(old, now) {
		c.texts(where, old, now)
		c.bounds(where, old, now)
	}
	c.values(where, old, now)
	c.rules(where, old, now)
	properties, present := old.child("properties"), now.child("properties")
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		at := path + "." + name
		if present.child(name) == nil {
			c.find(kind+" "+at, "the field is gone")
			continue
		}
		c.schema(kind, at, properties.child(name), present.child(name))
	}
	for _, name := range now.strings("required") {
		if !slices.Contains(old.strings("required"), name) && present.child(name)["default"] == nil {
			c.find(kind+" "+path+"."+name, "is required")
		}
	}
	for field, at := range map[string]string{"items": path + "[]", "additionalProperties": path + "{}"} {
		below, still := old.child(field), now.child(field)
		switch {
		case below != nil && still != nil:
			c.schema(kind, at, below, still)
		case old[field] != nil && now[field] == nil:
			c.find(where, "%s is gone", field)
		}
	}
}

// values is about what a value may be. What tools make of a list or map counts too:
// who owns which item of what is stored would change.
func (c *comparison) values(where string, old, now object) {
	for _, field := range []string{
		"type", "x-kubernetes-list-type", "x-kubernetes-map-type", "x-kubernetes-list-map-keys", "x-kubernetes-int-or-string",
		"x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "nullable", "allOf", "anyOf", "oneOf", "not",
	} {
		loosened := old[field] == nil && (field == "nullable" || field == "x-kubernetes-preserve-unknown-fields") ||
			now[field] == nil && slices.Contains([]string{"allOf", "anyOf", "oneOf", "not"}, field)
		if !loosened && !reflect.DeepEqual(old[field], now[field]) {
			c.find(where, "%s was %v and is %v", field, old[field], now[field])
		}
	}
	if old["default"] != nil && !reflect.DeepEqual(old["default"], now["default"]) {
		c.find(where, "default was %v and is %v", old["default"], now["default"])
	}
	if now["enum"] == nil {
		return
	}
	if old["enum"] == nil {
		c.find(where, "only %v are allowed", now.strings("enum"))
	}
	for _, value := range old.strings("enum") {
		if !slices.Contains(now.strings("enum"), value) {
			c.find(where, "%q is not allowed", value)
		}
	}
}

// enumFits tells whether what had to be one of a few words may be any of them still,
// now that a pattern or a length bounds it.
func enumFits(old, now object) bool {
	words := old.strings("enum")
	pattern, err := regexp.Compile(now.text("pattern"))
	if len(words) == 0 || err != nil || now["format"] != nil {
		return false
	}
	shortest, _ := number(now["minLength"])
	longest, bounded := number(now["maxLength"])
	return !slices.ContainsFunc(words, func(word string) bool {
		length := float64(utf8.RuneCountInString(word))
		return !pattern.MatchString(word) || length < shortest || bounded && length > longest
	})
}

func (c *comparison) texts(where string, old, now object) {
	for _, field := range []string{"pattern", "format"} {
		if now[field] != nil && old[field] != now[field] {
			c.find(where, "%s was %v and is %v", field, old[field], now[field])
		}
	}
}

// bounds finds what is narrower.
func (c *comparison) bounds(where string, old, now object) {
	for field, direction := range map[string]float64{
		"maximum": 1, "maxLength": 1, "maxItems": 1, "maxProperties": 1, "minimum": -1, "minLength": -1, "minItems": -1, "minProperties": -1,
	} {
		was, bounded := number(old[field])
		is, bounds := number(now[field])
		if bounds && (!bounded || direction*is < direction*was) && (is != 0 || direction > 0 || field == "minimum") {
			c.find(where, "%s was %v and is %v", field, old[field], now[field])
		}
	}
	for _, field := range []string{"exclusiveMaximum", "exclusiveMinimum", "uniqueItems", "multipleOf"} {
		if now[field] != nil && now[field] != false && !reflect.DeepEqual(old[field], now[field]) {
			c.find(where, "%s was %v and is %v", field, old[field], now[field])
		}
	}
}

// rules finds each rule of CEL that was not there word for word. The API server spares
// what an update leaves as it was, but what is applied from Git to a new cluster is
// held to it.
func (c *comparison) rules(where string, old, now object) {
	const field = "x-kubernetes-validations"
	had := map[string]bool{}
	for _, rule := range old.objects(field) {
		had[rule.text("rule")] = true
	}
	for _, rule := range now.objects(field) {
		if !had[rule.text("rule")] {
			c.find(where, "must fulfil %s", rule.text("rule"))
		}
	}
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int64:
		return float64(n), true
	}
	return 0, false
}
