package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// kind is a CRD with one field, spec.
func kind(t *testing.T, schema string) map[string]object {
	t.Helper()
	text := `
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing}
  versions:
  - name: v1alpha1
    served: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: ` + schema + `}}}
`
	var crd object
	if err := yaml.Unmarshal([]byte(text), &crd); err != nil {
		t.Fatal(err)
	}
	return map[string]object{"things.example.com": crd}
}

func TestCompareSchemas(t *testing.T) {
	for name, test := range map[string]struct{ before, now, want string }{
		"the same":                    {"{type: string, maxLength: 5}", "{type: string, maxLength: 5}", ""},
		"a field that is gone":        {"{properties: {a: {type: string}}}", "{properties: {b: {type: string}}}", ".spec.a: the field is gone"},
		"a new field":                 {"{type: object}", "{type: object, properties: {a: {type: string, maxLength: 1}}}", ""},
		"a new field that must be":    {"{type: object}", "{type: object, required: [a], properties: {a: {type: string}}}", ".spec.a: is required"},
		"but that has a default":      {"{type: object}", "{type: object, required: [a], properties: {a: {type: string, default: x}}}", ""},
		"another type":                {"{type: string}", "{type: integer}", ".spec: type was string and is integer"},
		"an enum with less":           {"{enum: [A, B]}", "{enum: [A]}", `.spec: "B" is not allowed`},
		"an enum with more":           {"{enum: [A]}", "{enum: [A, B]}", ""},
		"an enum where was none":      {"{type: string}", "{type: string, enum: [A]}", ".spec: only [A] are allowed"},
		"an enum that goes":           {"{type: string, enum: [A]}", "{type: string}", ""},
		"words that fit a pattern":    {"{enum: [user, device]}", "{pattern: '^[a-z]+$', maxLength: 6}", ""},
		"words that are too long":     {"{enum: [user, device]}", "{pattern: '^[a-z]+$', maxLength: 5}", ".spec: maxLength was <nil> and is 5|.spec: pattern was <nil> and is ^[a-z]+$"},
		"words that fit no pattern":   {"{enum: [user, a1]}", "{pattern: '^[a-z]+$'}", ".spec: pattern was <nil> and is ^[a-z]+$"},
		"a lower maximum":             {"{maximum: 5}", "{maximum: 4}", ".spec: maximum was 5 and is 4"},
		"a higher maximum":            {"{maximum: 5}", "{maximum: 6}", ""},
		"a maximum where was none":    {"{type: array}", "{type: array, maxItems: 5}", ".spec: maxItems was <nil> and is 5"},
		"a minimum of nothing":        {"{type: string}", "{type: string, minLength: 0}", ""},
		"a minimum of zero":           {"{type: integer}", "{type: integer, minimum: 0}", ".spec: minimum was <nil> and is 0"},
		"a higher minimum":            {"{minLength: 1}", "{minLength: 2}", ".spec: minLength was 1 and is 2"},
		"a bound within a list":       {"{items: {properties: {a: {maxLength: 5}}}}", "{items: {properties: {a: {maxLength: 3}}}}", ".spec[].a: maxLength was 5 and is 3"},
		"a bound within a map":        {"{additionalProperties: {maxLength: 5}}", "{additionalProperties: {maxLength: 3}}", ".spec{}: maxLength was 5 and is 3"},
		"a map that is none":          {"{additionalProperties: {type: string}}", "{type: object}", ".spec: additionalProperties is gone|.spec: type was <nil> and is object"},
		"another pattern":             {"{pattern: a}", "{pattern: b}", ".spec: pattern was a and is b"},
		"a pattern that goes":         {"{pattern: a}", "{}", ""},
		"another default":             {"{default: a}", "{default: b}", ".spec: default was a and is b"},
		"a new default":               {"{type: string}", "{type: string, default: b}", ""},
		"another kind of list":        {"{x-kubernetes-list-type: set}", "{x-kubernetes-list-type: atomic}", ".spec: x-kubernetes-list-type was set and is atomic"},
		"a new rule":                  {"{x-kubernetes-validations: [{rule: a}]}", "{x-kubernetes-validations: [{rule: a}, {rule: b}]}", ".spec: must fulfil b"},
		"a rule with other words":     {"{x-kubernetes-validations: [{rule: a, message: m}]}", "{x-kubernetes-validations: [{rule: a, message: n}]}", ""},
		"a rule that goes":            {"{x-kubernetes-validations: [{rule: a}]}", "{}", ""},
		"a choice that is new":        {"{}", "{oneOf: [{required: [a]}]}", ".spec: oneOf was <nil> and is [map[required:[a]]]"},
		"a choice that goes":          {"{oneOf: [{required: [a]}]}", "{}", ""},
		"unknown fields are not kept": {"{x-kubernetes-preserve-unknown-fields: true}", "{}", ".spec: x-kubernetes-preserve-unknown-fields was true and is <nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for finding := range strings.SplitSeq(test.want, "|") {
				if finding != "" {
					want = append(want, "things.example.com v1alpha1 "+finding)
				}
			}
			got := compare(kind(t, test.before), kind(t, test.now))
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCompareKinds(t *testing.T) {
	const anything = "{type: object}"
	change := func(edit func(spec object)) map[string]object {
		kinds := kind(t, anything)
		edit(kinds["things.example.com"].child("spec"))
		return kinds
	}
	for name, test := range map[string]struct {
		now  map[string]object
		want string
	}{
		"the same":                     {kind(t, anything), ""},
		"no such kind":                 {nil, "things.example.com: the kind is gone"},
		"of the cluster":               {change(func(s object) { s["scope"] = "Cluster" }), "things.example.com: scope changed"},
		"of another name":              {change(func(s object) { s.child("names")["kind"] = "Stuff" }), "things.example.com: names changed"},
		"a version that is gone":       {change(func(s object) { s.objects("versions")[0]["name"] = "v1beta1" }), "things.example.com: version v1alpha1 is gone"},
		"a version that is not served": {change(func(s object) { s.objects("versions")[0]["served"] = false }), "things.example.com: version v1alpha1 is not served"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(compare(kind(t, anything), test.now), "|"); got != test.want {
				t.Errorf("compare = %q, want %q", got, test.want)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	for name, test := range map[string]struct {
		findings   []string
		exceptions []exception
		want       string
	}{
		"nothing":                      {},
		"a finding":                    {findings: []string{"a: b"}, want: "a: b"},
		"an exception":                 {findings: []string{"a: b"}, exceptions: []exception{{"a: b", "nobody had it"}}},
		"an exception of another":      {findings: []string{"a: b", "a: c"}, exceptions: []exception{{"a: b", "nobody had it"}}, want: "a: c"},
		"an exception without reason":  {findings: []string{"a: b"}, exceptions: []exception{{Finding: "a: b"}}, want: "an exception without a reason: a: b"},
		"an exception without finding": {exceptions: []exception{{"a: b", "nobody had it"}}, want: "an exception that excuses nothing, remove it: a: b"},
	} {
		t.Run(name, func(t *testing.T) {
			err := judge(test.findings, test.exceptions)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasSuffix(err.Error(), "\n  "+test.want)) {
				t.Errorf("judge = %v, want %q", err, test.want)
			}
		})
	}
}

// TestTheKindsTakeWhatEarlierOnesTook holds the kinds to those of each version that
// was recorded.
func TestTheKindsTakeWhatEarlierOnesTook(t *testing.T) {
	recorded, err := filepath.Glob("../../cmd/manager/testdata/upgrade/*/crds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(recorded) == 0 {
		t.Fatal("no version was recorded: make record-upgrade")
	}
	if err := run("../../config/crd/bases", "exceptions.yaml", recorded); err != nil {
		t.Error(err)
	}
}
