package admissiontest

import (
	"fmt"
	"maps"
)

func newPlan(spec string) request { return create("Rollout", "new", rollout+"\n  "+spec) }

func linear(fields string) request {
	return newPlan("preset: {type: Linear, linear: {" + fields + "}}")
}

func exponential(fields string) request {
	return newPlan("preset: {type: Exponential, exponential: {" + fields + "}}")
}

func calendar(fields string) request { return newPlan("calendar: [{" + fields + "}]") }

func startPercent() string {
	return "spec.preset.exponential.startPercent: startPercent must be a whole number from 1 to 100, or a string such as \"0.25%\" with at most two decimals that is not 0"
}

func from(field string, value, least int) string {
	return fmt.Sprintf("%s: Invalid value: %d: %s in body should be greater than or equal to %d", field, value, field, least)
}

func upTo(field string, value, most int) string {
	return fmt.Sprintf("%s: Invalid value: %d: %s in body should be less than or equal to %d", field, value, field, most)
}

// planFields has what the API server takes and refuses of plans: presets, the bake, the
// deadline and calendars.
var planFields = map[string]field{
	"everybody at once":                      {who: olga, do: newPlan("preset: {type: Immediate}")},
	"a preset that bakes":                    {who: olga, do: newPlan("preset: {type: Immediate}\n  bakeSeconds: 3600")},
	"a preset of tenths":                     {who: olga, do: linear("percent: 10, everySeconds: 3600")},
	"a preset by a factor":                   {who: olga, do: exponential(`startPercent: "0.25%", factor: 4, everySeconds: 60`)},
	"a preset by a factor from one":          {who: olga, do: exponential("startPercent: 1, everySeconds: 60")},
	"a preset beside steps":                  {who: olga, do: newPlan("preset: {type: Immediate}\n  steps: [{setPercent: 5}]"), want: []string{"spec: spec has steps or a preset, not both"}},
	"a linear preset without its field":      {who: olga, do: newPlan("preset: {type: Linear}"), want: []string{"spec.preset: preset.linear and type Linear go together"}},
	"an immediate preset with a linear one":  {who: olga, do: newPlan("preset: {type: Immediate, linear: {percent: 10, everySeconds: 60}}"), want: []string{"spec.preset: preset.linear and type Linear go together"}},
	"an exponential preset without its own":  {who: olga, do: newPlan("preset: {type: Exponential}"), want: []string{"spec.preset: preset.exponential and type Exponential go together"}},
	"a linear preset of nobody":              {who: olga, do: linear("percent: 0, everySeconds: 60"), want: []string{from("spec.preset.linear.percent", 0, 1)}},
	"a linear preset of more than everybody": {who: olga, do: linear("percent: 101, everySeconds: 60"), want: []string{upTo("spec.preset.linear.percent", 101, 100)}},
	"a preset without time":                  {who: olga, do: linear("percent: 10, everySeconds: 0"), want: []string{from("spec.preset.linear.everySeconds", 0, 1)}},
	"a preset by a factor of one":            {who: olga, do: exponential("startPercent: 1, factor: 1, everySeconds: 60"), want: []string{from("spec.preset.exponential.factor", 1, 2)}},
	"a preset that starts with nobody":       {who: olga, do: exponential(`startPercent: "0%", everySeconds: 60`), want: []string{startPercent()}},
	"a preset that starts with three parts":  {who: olga, do: exponential(`startPercent: "0.255%", everySeconds: 60`), want: []string{startPercent()}},
	"a bake of no time":                      {who: olga, do: newPlan("bakeSeconds: 0"), want: []string{from("spec.bakeSeconds", 0, 1)}},
	"a deadline":                             {who: olga, do: newPlan("progressDeadlineSeconds: 600")},
	"a deadline of no time":                  {who: olga, do: newPlan("progressDeadlineSeconds: 0"), want: []string{from("spec.progressDeadlineSeconds", 0, 1)}},
	"a deadline of more than a year":         {who: olga, do: newPlan("progressDeadlineSeconds: 31536001"), want: []string{upTo("spec.progressDeadlineSeconds", 31536001, 31536000)}},
	"office hours":                           {who: olga, do: calendar(`schedule: "0 9 * * 1-5", durationSeconds: 28800, timeZone: Asia/Shanghai, effect: Allow`)},
	"a freeze":                               {who: olga, do: calendar(`schedule: "0 0 24 12 *", durationSeconds: 604800, effect: Deny`)},
	"a calendar that may or may not":         {who: olga, do: calendar(`schedule: "0 9 * * *", durationSeconds: 60, effect: Maybe`), want: []string{`spec.calendar[0].effect: Unsupported value: "Maybe": supported values: "Allow", "Deny"`, unchecked}},
	"a calendar of seconds":                  {who: olga, do: calendar(`schedule: "0 9 * * *", durationSeconds: 59, effect: Deny`), want: []string{from("spec.calendar[0].durationSeconds", 59, 60)}},
	"a calendar of a policy":                 {who: installer, do: newPolicy(`rollout: {calendar: [{schedule: "0 0 24 12 *", durationSeconds: 604800, effect: Deny}]}`)},
}

func init() { maps.Copy(fields, planFields) }
