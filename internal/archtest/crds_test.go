package archtest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// maxCRD is far below what etcd and a client-side apply take.
const maxCRD = 200 << 10

func TestTheCRDsAreBoundedAndDescribed(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "crd", "bases", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 6 {
		t.Fatalf("%d CRDs, want those of six kinds", len(files))
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > maxCRD {
			t.Errorf("%s has %d bytes, at most %d", filepath.Base(file), len(data), maxCRD)
		}
		for _, complaint := range checkCRD(t, data) {
			t.Errorf("%s: %s", filepath.Base(file), complaint)
		}
	}
}

// checkCRD lists what is unbounded or undocumented in the schemas of a CRD.
func checkCRD(t *testing.T, data []byte) []string {
	t.Helper()
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					Root map[string]any `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(data, &crd); err != nil {
		t.Fatal(err)
	}
	var complaints []string
	for _, version := range crd.Spec.Versions {
		properties, _ := version.Schema.Root["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			// These belong to the API machinery, which describes and bounds them itself.
			if name != "apiVersion" && name != "kind" && name != "metadata" {
				complaints = append(complaints, checkProperty(name, properties[name])...)
			}
		}
	}
	return complaints
}

func checkProperty(path string, value any) []string {
	schema, _ := value.(map[string]any)
	var complaints []string
	if text, _ := schema["description"].(string); text == "" {
		complaints = append(complaints, path+" has no description")
	}
	return append(complaints, checkSchema(path, schema)...)
}

// bounds are what the values of each type must have. Metadata that a schema of
// ours holds beside them (patterns, rules) narrows them further.
var bounds = map[string][]string{
	"string":  {"maxLength"},
	"array":   {"maxItems"},
	"integer": {"minimum", "maximum"},
	"number":  {"minimum", "maximum"},
	"object":  nil,
}

func checkSchema(path string, schema map[string]any) []string {
	var complaints []string
	kind, _ := schema["type"].(string)
	needed, known := bounds[kind]
	switch {
	case schema["x-kubernetes-int-or-string"] == true:
		// A number has no bounds of its own there; the rule gives them.
		needed, known = []string{"maxLength", "x-kubernetes-validations"}, true
	case schema["enum"] != nil, schema["format"] == "date-time":
		needed = nil // the words, or the form, are the bounds
	}
	if !known {
		complaints = append(complaints, path+" has no type that can be bounded")
	}
	for _, bound := range needed {
		if schema[bound] == nil {
			complaints = append(complaints, path+" has no "+bound)
		}
	}
	if items, is := schema["items"].(map[string]any); is {
		complaints = append(complaints, checkSchema(path+"[]", items)...)
	}
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		complaints = append(complaints, checkProperty(path+"."+name, properties[name])...)
	}
	switch values, open := schema["additionalProperties"].(map[string]any); {
	case open:
		if schema["maxProperties"] == nil {
			complaints = append(complaints, path+" has no maxProperties")
		}
		complaints = append(complaints, checkSchema(path+"{}", values)...)
	case kind == "object" && properties == nil, schema["x-kubernetes-preserve-unknown-fields"] != nil:
		complaints = append(complaints, path+" takes anything")
	}
	return complaints
}

func TestCheckCRD(t *testing.T) {
	for name, test := range map[string]struct {
		spec string
		want []string
	}{
		"bounded": {spec: `{description: d, type: object, properties: {
			a: {description: d, type: string, maxLength: 1}, b: {description: d, type: string, enum: [x]},
			c: {description: d, type: string, format: date-time}, d: {description: d, type: integer, minimum: 0, maximum: 1},
			e: {description: d, type: array, maxItems: 1, items: {type: string, maxLength: 1}},
			f: {description: d, type: object, maxProperties: 1, additionalProperties: {type: string, maxLength: 1}},
			g: {description: d, x-kubernetes-int-or-string: true, maxLength: 1, x-kubernetes-validations: [{rule: r}]}}}`},
		"not described":              {`{type: string, maxLength: 1}`, []string{"spec has no description"}},
		"a string":                   {`{description: d, type: string}`, []string{"spec has no maxLength"}},
		"a string of another form":   {`{description: d, type: string, format: byte}`, []string{"spec has no maxLength"}},
		"a number":                   {`{description: d, type: integer, minimum: 0}`, []string{"spec has no maximum"}},
		"a number with no range":     {`{description: d, type: number}`, []string{"spec has no minimum", "spec has no maximum"}},
		"an int or string":           {`{description: d, x-kubernetes-int-or-string: true}`, []string{"spec has no maxLength", "spec has no x-kubernetes-validations"}},
		"a list":                     {`{description: d, type: array, items: {type: string}}`, []string{"spec has no maxItems", "spec[] has no maxLength"}},
		"a map":                      {`{description: d, type: object, additionalProperties: {type: string}}`, []string{"spec has no maxProperties", "spec{} has no maxLength"}},
		"an object that is anything": {`{description: d, type: object}`, []string{"spec takes anything"}},
		"unknown fields":             {`{description: d, type: object, properties: {}, x-kubernetes-preserve-unknown-fields: true}`, []string{"spec takes anything"}},
		"no schema":                  {`{description: d}`, []string{"spec has no type that can be bounded"}},
		"deep down": {`{description: d, type: object, properties: {a: {description: d, type: array, maxItems: 1, items: {type: object, properties: {b: {type: string}}}}}}`,
			[]string{"spec.a[].b has no description", "spec.a[].b has no maxLength"}},
	} {
		t.Run(name, func(t *testing.T) {
			crd := "spec: {versions: [{schema: {openAPIV3Schema: {properties: {kind: {type: string}, spec: " + test.spec + "}}}}]}"
			if diff := cmp.Diff(test.want, checkCRD(t, []byte(crd))); diff != "" {
				t.Errorf("complaints (-want +got):\n%s", diff)
			}
		})
	}
}
