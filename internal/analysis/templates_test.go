package analysis

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func templatesFile(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "templates.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTemplatesThatCannotBeUsed(t *testing.T) {
	const always = "namespace, appID, version, digest, cohort, interval"
	one := func(query string) string {
		return "templates:\n- name: errors\n  samples: x\n  args: [service]\n  query: |\n    " + query
	}
	for name, test := range map[string]struct{ text, want string }{
		"no YAML":                    {"a: [", "error converting YAML to JSON: yaml: line 1: did not find expected node content"},
		"an unknown field":           {"templates:\n- name: errors\n  querry: x", `error unmarshaling JSON: while decoding JSON: json: unknown field "querry"`},
		"no name":                    {"templates: [{query: x}]", "templates[0]: name must be like white-screens"},
		"a name in capitals":         {"templates: [{name: Errors}]", "templates[0]: name must be like white-screens"},
		"two of one name":            {"templates: [{name: a, query: x, samples: y}, {name: a, query: x, samples: y}]", "template a is there twice"},
		"no query":                   {"templates: [{name: a, samples: y}]", "template a: query is missing"},
		"no samples":                 {"templates: [{name: a, query: x}]", "template a: samples is missing"},
		"an argument of ours":        {"templates: [{name: a, query: x, samples: y, args: [digest]}]", `template a: args: "digest" must begin with a letter, have letters, digits and _ only, and be none of ` + always},
		"an argument with a blank":   {`templates: [{name: a, query: x, samples: y, args: ["a b"]}]`, `template a: args: "a b" must begin with a letter, have letters, digits and _ only, and be none of ` + always},
		"a place for nothing":        {one(`x{a=$(team)}`), "template errors: query: $(team) is neither in args nor one of " + always},
		"a place that is none":       {one(`x{a=$(a b)}`), "template errors: query: what begins with $( at byte 4 is no place for an argument, such as $(digest)"},
		"a place that does not end":  {one(`x{a=$(service}`), "template errors: query: what begins with $( at byte 4 is no place for an argument, such as $(digest)"},
		"a place within a string":    {one(`x{a="s-$(service)"}`), "template errors: query: $(service) stands within a string or a comment: it is quoted already, so write label=$(service)"},
		"within single quotes":       {one(`x{a='$(service)'}`), "template errors: query: $(service) stands within a string or a comment: it is quoted already, so write label=$(service)"},
		"within backquotes":          {one("x{a=`$(service)`}"), "template errors: query: $(service) stands within a string or a comment: it is quoted already, so write label=$(service)"},
		"after an escaped quote":     {one(`x{a="\"$(service)"}`), "template errors: query: $(service) stands within a string or a comment: it is quoted already, so write label=$(service)"},
		"in a comment":               {one(`x # $(service)`), "template errors: query: $(service) stands within a string or a comment: it is quoted already, so write label=$(service)"},
		"a string that does not end": {one(`x{a="b}`), `template errors: query: a string that begins with " does not end`},
	} {
		t.Run(name, func(t *testing.T) {
			file := templatesFile(t, test.text)
			if _, err := ReadTemplates(file); err == nil || !strings.HasPrefix(err.Error(), file+": "+test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
	if _, err := ReadTemplates("/nowhere/templates.yaml"); err == nil || err.Error() != "open /nowhere/templates.yaml: no such file or directory" {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestArgumentsAreQuoted(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		args map[string]string
		want string
	}{
		"a plain value":       {`x{a=$(a)}`, map[string]string{"a": "b"}, `x{a="b"}`},
		"a quote":             {`x{a=$(a)}`, map[string]string{"a": `"} or vector(0) #`}, `x{a="\"} or vector(0) #"}`},
		"a backslash":         {`x{a=$(a)}`, map[string]string{"a": `\`}, `x{a="\\"}`},
		"a line":              {`x{a=$(a)}`, map[string]string{"a": "b\nc"}, `x{a="b\nc"}`},
		"a place in a value":  {`x{a=$(a),b=$(b)}`, map[string]string{"a": "$(b)", "b": "c"}, `x{a="$(b)",b="c"}`},
		"the interval":        {`rate(x[$(interval)])`, nil, `rate(x[60s])`},
		"strings stay":        {`x{a=~"$",b='#',c=$(a)} # it's so`, map[string]string{"a": "b"}, `x{a=~"$",b='#',c="b"} # it's so`},
		"a comment ends":      {"x # don't\n{a=$(a)}", map[string]string{"a": "b"}, "x # don't\n{a=\"b\"}"},
		"a dollar by itself":  {`x{a=$(a)} $`, map[string]string{"a": "b"}, `x{a="b"} $`},
		"what is no language": {`x{a=$(a)}`, map[string]string{"a": "\xff界"}, `x{a="\xff界"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fill(test.text, test.args, 60)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if _, err := fill("x{a=$(a)}", nil, 60); err == nil || err.Error() != "argument a is missing: add it to prometheus.args" {
		t.Errorf("without the argument: %v", err)
	}
}

// Whatever a guardrail gives stays one string: read back, it is the value.
func TestNoArgumentEndsItsString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "value")
		got, err := fill("x{a=$(a)}", map[string]string{"a": value}, 60)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSuffix(strings.TrimPrefix(got, "x{a="), "}")
		if back, err := strconv.Unquote(text); err != nil || back != value || text[0] != '"' {
			t.Errorf("%q became %s", value, text)
		}
	})
}

func TestArgumentsAreThoseOfTheTemplate(t *testing.T) {
	template := &Template{Name: "errors", Args: []string{"service"}}
	measure := func(name string) *v1alpha1.PrometheusMeasure {
		return &v1alpha1.PrometheusMeasure{Template: "errors", Args: []v1alpha1.TemplateArg{{Name: name, Value: "mine"}}}
	}
	got, err := template.argsOf(measure("service"), map[string]string{"digest": "sha256:1"})
	if diff := cmp.Diff(map[string]string{"service": "mine", "digest": "sha256:1"}, got); diff != "" || err != nil {
		t.Errorf("%v -want +got:\n%s", err, diff)
	}
	for _, name := range []string{"digest", "other"} {
		if _, err := template.argsOf(measure(name), map[string]string{"digest": "sha256:1"}); err == nil ||
			err.Error() != "template errors takes no argument "+name+": remove it from prometheus.args" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSampleTemplatesCanBeUsed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "samples", "guardrails", "query-templates.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var sample corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &sample); err != nil {
		t.Fatal(err)
	}
	templates, err := ReadTemplates(templatesFile(t, sample.Data["templates.yaml"]))
	if err != nil {
		t.Fatal(err)
	}
	always := map[string]string{"appID": "com.example.shop", "digest": "sha256:1", "outcome": "js_error"}
	got, err := fill(templates["share-of-launches"].Samples, always, 60)
	want := `sum(increase(miniapp_events_total{app="com.example.shop", digest="sha256:1", event="launch"}[60s]))`
	if diff := cmp.Diff(want, strings.TrimSpace(got)); diff != "" || err != nil {
		t.Errorf("%v -want +got:\n%s", err, diff)
	}
}
