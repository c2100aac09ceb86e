package admissiontest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
)

// guarded is a Rollout with one guardrail of host reports, whose fields are replaced or
// added to; a field that is empty is left out.
func guarded(change map[string]string) request {
	return guardedBy(guardrailOf(change))
}

func guardedBy(guardrails string, steps ...string) request {
	return create("Rollout", "new", rollout+"\n  guardrails: ["+guardrails+"]\n  steps: ["+strings.Join(append([]string{"{setPercent: 5}"}, steps...), ", ")+"]")
}

func guardrailOf(change map[string]string) string {
	fields := map[string]string{"name": "white", "failureAbove": `"2%"`, "hostReports": "{outcome: WhiteScreen}"}
	for name, value := range change {
		fields[name] = value
	}
	var text []string
	for name, value := range fields {
		if value != "" {
			text = append(text, name+": "+value)
		}
	}
	slices.Sort(text)
	return "{" + strings.Join(text, ", ") + "}"
}

// with is a guardrail with one field changed.
func with(field, value string) request { return guarded(map[string]string{field: value}) }

// asking is a guardrail of Prometheus instead.
func asking(prometheus string) request {
	return guarded(map[string]string{"hostReports": "", "prometheus": "{" + prometheus + "}"})
}

// refused is what the API server says of a field of the guardrail, by its bounds.
func refused(field, value, why string) []string {
	path := "spec.guardrails[0]." + field
	return []string{fmt.Sprintf("%s: Invalid value: %s: %s in body should %s", path, value, path, why)}
}

func tooLong(field string, most int) []string {
	return []string{unchecked, fmt.Sprintf("spec.guardrails[0].%s: Too long: may not be more than %d bytes", field, most)}
}

func noneOf(field, value, known string) []string {
	return []string{unchecked, fmt.Sprintf("spec.guardrails[0].%s: Unsupported value: %q: supported values: %s", field, value, known)}
}

func missing(field string) []string {
	return []string{unchecked, "spec.guardrails[0]." + field + ": Required value"}
}

const (
	oneMeasure = "spec.guardrails[0]: exactly one of the fields in [prometheus hostReports] must be set"
	unnamed    = "spec: spec.steps: analysis.guardrails must be names of spec.guardrails"
	dns        = `match '^[a-z]([a-z0-9-]*[a-z0-9])?$'`
)

func analysisOf(guardrails, seconds string) string {
	return "{analysis: {guardrails: [" + guardrails + "], seconds: " + seconds + "}}"
}

// several makes n items that differ by a number.
func several(n int, item string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(item, i)
	}
	return strings.Join(items, ", ")
}

// guardrailFields has what the API server takes and refuses of guardrails and analyses.
var guardrailFields = map[string]field{
	"a guardrail of host reports": {who: olga, do: guarded(map[string]string{
		"compare": "ToStable", "minSamples": "1", "intervalSeconds": "10", "onFailure": "Abort", "onNoData": "Abort",
	})},
	"a guardrail at its other bounds": {who: olga, do: guarded(map[string]string{
		"name": strings.Repeat("a", 63), "compare": "Absolute", "minSamples": "1000000000", "intervalSeconds": "86400", "onFailure": "Pause", "onNoData": "Hold", "failureAbove": `"123456789.1234%"`,
	})},
	"a guardrail of Prometheus": {who: olga, do: asking(`template: errors, args: [{name: service, value: 'any "value"'}]`)},
	"a guardrail of a policy":   {who: installer, do: newPolicy("rollout: {guardrails: [" + guardrailOf(nil) + "]}")},
	"ten guardrails":            {who: olga, do: guardedBy(several(10, `{name: g%d, failureAbove: "1", hostReports: {outcome: Crashed}}`))},
	"eleven guardrails": {who: olga, do: guardedBy(several(11, `{name: g%d, failureAbove: "1", hostReports: {outcome: Crashed}}`)),
		want: []string{unchecked, "spec.guardrails: Too many: 11: must have at most 10 items"}},
	"two guardrails of one name": {who: olga, do: guardedBy(guardrailOf(nil) + ", " + guardrailOf(nil)),
		want: []string{`spec.guardrails[1]: Duplicate value: {"name":"white"}`}},
	"a guardrail that measures nothing":   {who: olga, do: with("hostReports", ""), want: []string{oneMeasure}},
	"a guardrail that measures two ways":  {who: olga, do: with("prometheus", "{template: errors}"), want: []string{oneMeasure}},
	"a guardrail without a name":          {who: olga, do: with("name", ""), want: missing("name")},
	"a guardrail of an empty name":        {who: olga, do: with("name", `""`), want: refused("name", `""`, "be at least 1 chars long")},
	"a guardrail's name in capitals":      {who: olga, do: with("name", "White"), want: refused("name", `"White"`, dns)},
	"a guardrail's name with a slash":     {who: olga, do: with("name", "strict/white"), want: refused("name", `"strict/white"`, dns)},
	"a guardrail's name that is too long": {who: olga, do: with("name", strings.Repeat("a", 64)), want: tooLong("name", 63)},
	"a guardrail without a limit":         {who: olga, do: with("failureAbove", ""), want: missing("failureAbove")},
	"an empty limit":                      {who: olga, do: with("failureAbove", `""`), want: refused("failureAbove", `""`, "be at least 1 chars long")},
	"a negative limit":                    {who: olga, do: with("failureAbove", `"-1%"`), want: refused("failureAbove", `"-1%"`, `match '^[0-9]{1,9}([.][0-9]{1,4})?%?$'`)},
	"a limit with an exponent":            {who: olga, do: with("failureAbove", `"1e3"`), want: refused("failureAbove", `"1e3"`, `match '^[0-9]{1,9}([.][0-9]{1,4})?%?$'`)},
	"a limit with five decimals":          {who: olga, do: with("failureAbove", `"0.12345"`), want: refused("failureAbove", `"0.12345"`, `match '^[0-9]{1,9}([.][0-9]{1,4})?%?$'`)},
	"a limit that is too long":            {who: olga, do: with("failureAbove", `"12345678901234567"`), want: tooLong("failureAbove", 16)},
	"another comparison":                  {who: olga, do: with("compare", "ToTarget"), want: noneOf("compare", "ToTarget", `"Absolute", "ToStable"`)},
	"no samples":                          {who: olga, do: with("minSamples", "0"), want: refused("minSamples", "0", "be greater than or equal to 1")},
	"more samples than there can be":      {who: olga, do: with("minSamples", "1000000001"), want: refused("minSamples", "1000000001", "be less than or equal to 1000000000")},
	"an interval that is too short":       {who: olga, do: with("intervalSeconds", "9"), want: refused("intervalSeconds", "9", "be greater than or equal to 10")},
	"an interval that is too long":        {who: olga, do: with("intervalSeconds", "86401"), want: refused("intervalSeconds", "86401", "be less than or equal to 86400")},
	"another end of a failure":            {who: olga, do: with("onFailure", "Continue"), want: noneOf("onFailure", "Continue", `"Pause", "Abort"`)},
	"another end of no data":              {who: olga, do: with("onNoData", "Pass"), want: noneOf("onNoData", "Pass", `"Hold", "Abort"`)},
	"another outcome": {who: olga, do: with("hostReports", "{outcome: Slow}"), want: noneOf("hostReports.outcome", "Slow",
		`"LaunchFailed", "WhiteScreen", "Crashed", "Unresponsive", "ScriptError", "PackageFailed", "PrematureExit"`)},
	"no outcome":                 {who: olga, do: with("hostReports", "{}"), want: missing("hostReports.outcome")},
	"no template":                {who: olga, do: asking(""), want: missing("prometheus.template")},
	"an empty template":          {who: olga, do: asking(`template: ""`), want: refused("prometheus.template", `""`, "be at least 1 chars long")},
	"a query for a template":     {who: olga, do: asking(`template: "sum(up)"`), want: refused("prometheus.template", `"sum(up)"`, dns)},
	"a template's name too long": {who: olga, do: asking("template: " + strings.Repeat("a", 64)), want: tooLong("prometheus.template", 63)},
	"ten arguments":              {who: olga, do: asking("template: errors, args: [" + several(10, "{name: a%d, value: b}") + "]")},
	"eleven arguments": {who: olga, do: asking("template: errors, args: [" + several(11, "{name: a%d, value: b}") + "]"),
		want: []string{unchecked, "spec.guardrails[0].prometheus.args: Too many: 11: must have at most 10 items"}},
	"two arguments of one name": {who: olga, do: asking("template: errors, args: [{name: a, value: b}, {name: a, value: c}]"),
		want: []string{`spec.guardrails[0].prometheus.args[1]: Duplicate value: {"name":"a"}`}},
	"an argument without a name": {who: olga, do: asking("template: errors, args: [{value: b}]"), want: missing("prometheus.args[0].name")},
	"an argument's empty name":   {who: olga, do: asking(`template: errors, args: [{name: "", value: b}]`), want: refused("prometheus.args[0].name", `""`, "be at least 1 chars long")},
	"an argument's name with a blank": {who: olga, do: asking(`template: errors, args: [{name: "a b", value: b}]`),
		want: refused("prometheus.args[0].name", `"a b"`, `match '^[a-zA-Z][a-zA-Z0-9_]*$'`)},
	"an argument's name too long":  {who: olga, do: asking("template: errors, args: [{name: " + strings.Repeat("a", 64) + ", value: b}]"), want: tooLong("prometheus.args[0].name", 63)},
	"an argument without a value":  {who: olga, do: asking("template: errors, args: [{name: a}]"), want: missing("prometheus.args[0].value")},
	"an argument's empty value":    {who: olga, do: asking(`template: errors, args: [{name: a, value: ""}]`), want: refused("prometheus.args[0].value", `""`, "be at least 1 chars long")},
	"an argument's value at most":  {who: olga, do: asking("template: errors, args: [{name: a, value: " + strings.Repeat("b", 128) + "}]")},
	"an argument's value too long": {who: olga, do: asking("template: errors, args: [{name: a, value: " + strings.Repeat("b", 129) + "}]"), want: tooLong("prometheus.args[0].value", 128)},

	"an analysis":                       {who: olga, do: guardedBy(guardrailOf(nil), analysisOf("white", "1"), "{setPercent: 25}", analysisOf("white", "31536000"))},
	"an analysis of what is not there":  {who: olga, do: guardedBy(guardrailOf(nil), analysisOf("white, black", "60")), want: []string{unnamed}},
	"an analysis without any guardrail": {who: olga, do: newRollout("{setPercent: 5}, " + analysisOf("white", "60")), want: []string{unnamed}},
	"an analysis of nothing": {who: olga, do: guardedBy(guardrailOf(nil), analysisOf("", "60")),
		want: []string{"spec.steps[1].analysis.guardrails: Invalid value: 0: spec.steps[1].analysis.guardrails in body should have at least 1 items"}},
	"an analysis of eleven": {who: olga, do: guardedBy(guardrailOf(nil), analysisOf(several(11, "g%d"), "60")),
		want: []string{unchecked, "spec.steps[1].analysis.guardrails: Too many: 11: must have at most 10 items"}},
	"an analysis of one twice": {who: olga, do: guardedBy(guardrailOf(nil), analysisOf("white, white", "60")),
		want: []string{`spec.steps[1].analysis.guardrails[1]: Duplicate value: "white"`}},
	"an analysis of an empty name": {who: olga, do: guardedBy(guardrailOf(nil), analysisOf(`""`, "60")),
		want: []string{`spec.steps[1].analysis.guardrails[0]: Invalid value: "": spec.steps[1].analysis.guardrails[0] in body should be at least 1 chars long`, unnamed}},
	"an analysis of a long name": {who: olga, do: guardedBy(guardrailOf(nil), analysisOf(strings.Repeat("a", 64), "60")),
		want: []string{unchecked, "spec.steps[1].analysis.guardrails[0]: Too long: may not be more than 63 bytes"}},
	"an analysis of no time": {who: olga, do: guardedBy(guardrailOf(nil), analysisOf("white", "0")),
		want: []string{"spec.steps[1].analysis.seconds: Invalid value: 0: spec.steps[1].analysis.seconds in body should be greater than or equal to 1"}},
	"an analysis of more than a year": {who: olga, do: guardedBy(guardrailOf(nil), analysisOf("white", "31536001")),
		want: []string{"spec.steps[1].analysis.seconds: Invalid value: 31536001: spec.steps[1].analysis.seconds in body should be less than or equal to 31536000"}},
	"an analysis that is a pause too": {who: olga, do: guardedBy(guardrailOf(nil), "{pause: {}, analysis: {guardrails: [white], seconds: 60}}"), want: oneThing(1)},
}

func TestTheRulesOfGuardrails(t *testing.T) {
	w := theWorld(t)
	for name, f := range guardrailFields {
		t.Run(name, func(t *testing.T) {
			_, err := w.try(t.Context(), f.who, f.do)
			got, other := problems(err)
			if other != nil {
				t.Fatalf("%s: %v", f.who, other)
			}
			want := slices.Sorted(slices.Values(f.want))
			slices.Sort(got) // the API server names them in any order
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTheSampleOfGuardrailsIsTaken(t *testing.T) {
	w := theWorld(t)
	root, err := controlplane.RepositoryDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"rollout.yaml", "policy.yaml", "query-templates.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, "config", "samples", "guardrails", file))
		if err != nil {
			t.Fatal(err)
		}
		var o unstructured.Unstructured
		if err := yaml.Unmarshal(text, &o.Object); err != nil {
			t.Fatal(err)
		}
		if o.GetNamespace() != "" {
			o.SetNamespace(team)
		}
		o.SetName("sample")
		if err := w.as(installer).Create(t.Context(), &o, client.DryRunAll); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
