package admissiontest

import (
	"fmt"
	"maps"
	"strings"
)

func newAudience(fields string) request {
	return create("Rollout", "new", rollout+"\n  audience: {"+fields+"}")
}

func newRule(fields string) request { return newAudience("rules: [{" + fields + "}]") }

func newWindow(fields string) request {
	return create("Rollout", "new", rollout+"\n  window: {"+fields+"}")
}

func newBucketing(fields string) request {
	return create("Rollout", "new", rollout+"\n  bucketing: {"+fields+"}")
}

func newTrial(fields string) request {
	return create("Rollout", "new", rollout+"\n  channel: trial\n"+"  "+strings.Join(strings.SplitN(fields, ", steps", 2), "\n  steps"))
}

// users is a list of n users in YAML.
func users(n int) string {
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("user-%d", i))
	}
	return "users: [" + strings.Join(keys, ", ") + "]"
}

// cities is a rule with n values of a length.
func cities(n, length int) string {
	var values []string
	for range n {
		values = append(values, strings.Repeat("c", length))
	}
	return "{attribute: city, operator: In, values: [" + strings.Join(values, ", ") + "]}"
}

const listDigest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// inList is a list in a ConfigMap, and inLists are n of them.
func inList(sha256 string) string {
	return "{configMap: {name: testers, key: keys, sha256: '" + sha256 + "'}}"
}

func inLists(n int) string { return strings.Repeat(inList(listDigest)+", ", n) }

func rules(n int) string {
	return "rules: [" + strings.Repeat("{attribute: city, operator: In, values: [Shanghai]}, ", n) + "]"
}

const (
	trialHasNoPlan   = "spec: spec.channel trial has no plan beside spec.hostApps and spec.versionRef: it is for spec.testers of the MiniProgram"
	trialNeedsTokens = "spec: spec.channels has trial only with spec.access.type Token: who asks in a tester's name must be the host app"

	atRules   = "spec.audience.rules"
	oneValue  = atRules + "[0]: AtLeast and AtMost take one value"
	twoValues = atRules + "[0]: Between takes two values, the lower first"
	noVersion = atRules + "[0]: AtLeast, AtMost and Between compare versions: write values such as 8.0.10 or 8.1.0-rc.1"
	allValues = atRules + ": audience.rules: the values of all rules together have 16384 characters at most"
	notBefore = "spec.window: window.start must be before window.end"
)

var audienceFields = map[string]field{
	"an audience of users and rules": {who: olga, do: newAudience("include: {users: [ada]}, exclude: {users: [eve]}, completion: Automatic, rules: [" +
		"{attribute: city, operator: In, values: [Shanghai, Beijing]}, {attribute: deviceModel, operator: StartsWith, values: [Pixel]}, {attribute: network, operator: NotIn, values: [2g]}]")},
	"an audience of everybody":         {who: olga, do: newAudience("")},
	"a thousand users":                 {who: olga, do: newAudience("include: {" + users(1000) + "}, exclude: {" + users(1000) + "}")},
	"more than a thousand users":       {who: olga, do: newAudience("include: {" + users(1001) + "}"), want: []string{"spec.audience.include.users: Too many: 1001: must have at most 1000 items", unchecked}},
	"a list of nobody":                 {who: olga, do: newAudience("exclude: {users: []}"), want: []string{"spec.audience.exclude.users: Invalid value: 0: spec.audience.exclude.users in body should have at least 1 items"}},
	"no list":                          {who: olga, do: newAudience("exclude: {}"), want: []string{"spec.audience.exclude: exactly one of the fields in [users from] must be set"}},
	"users and lists":                  {who: olga, do: newAudience("include: {users: [ada], from: [" + inList(listDigest) + "]}"), want: []string{"spec.audience.include: exactly one of the fields in [users from] must be set"}},
	"sixteen lists":                    {who: olga, do: newAudience("include: {from: [" + inLists(10) + "]}, exclude: {from: [" + inLists(6) + "]}")},
	"seventeen lists in both":          {who: olga, do: newAudience("include: {from: [" + inLists(10) + "]}, exclude: {from: [" + inLists(7) + "]}"), want: []string{"spec.audience: audience: include.from and exclude.from have 16 entries together at most"}},
	"seventeen lists in one":           {who: olga, do: newAudience("include: {from: [" + inLists(17) + "]}"), want: []string{"spec.audience.include.from: Too many: 17: must have at most 16 items", unchecked}},
	"an empty list of lists":           {who: olga, do: newAudience("include: {from: []}"), want: []string{"spec.audience.include.from: Invalid value: 0: spec.audience.include.from in body should have at least 1 items"}},
	"a list of nothing":                {who: olga, do: newAudience("include: {from: [{}]}"), want: []string{"spec.audience.include.from[0].configMap: Required value", unchecked}},
	"a list without a digest":          {who: olga, do: newAudience("include: {from: [{configMap: {name: testers, key: keys}}]}"), want: []string{"spec.audience.include.from[0].configMap.sha256: Required value", unchecked}},
	"a list without a name":            {who: olga, do: newAudience("include: {from: [{configMap: {key: keys, sha256: '" + listDigest + "'}}]}"), want: []string{"spec.audience.include.from[0].configMap.name: Required value", unchecked}},
	"a list without a key":             {who: olga, do: newAudience("include: {from: [{configMap: {name: testers, sha256: '" + listDigest + "'}}]}"), want: []string{"spec.audience.include.from[0].configMap.key: Required value", unchecked}},
	"a list with what is no digest":    {who: olga, do: newAudience("include: {from: [" + inList("sha256") + "]}"), want: []string{`spec.audience.include.from[0].configMap.sha256: Invalid value: "sha256": spec.audience.include.from[0].configMap.sha256 in body should match '^[0-9a-f]{64}$'`}},
	"a user without a key":             {who: olga, do: newAudience(`include: {users: [""]}`), want: []string{`spec.audience.include.users[0]: Invalid value: "": spec.audience.include.users[0] in body should be at least 1 chars long`}},
	"a user with a long key":           {who: olga, do: newAudience("include: {users: [" + strings.Repeat("u", 128) + "]}")},
	"a user with too long a key":       {who: olga, do: newAudience("include: {users: [" + strings.Repeat("u", 129) + "]}"), want: []string{"spec.audience.include.users[0]: Too long: may not be more than 128 bytes", unchecked}},
	"a user twice":                     {who: olga, do: newAudience("include: {users: [ada, ada]}"), want: []string{`spec.audience.include.users[1]: Duplicate value: "ada"`}},
	"an audience that ends some day":   {who: olga, do: newAudience("completion: Someday"), want: []string{`spec.audience.completion: Unsupported value: "Someday": supported values: "Manual", "Automatic"`, unchecked}},
	"twenty rules":                     {who: olga, do: newAudience(rules(20))},
	"more than twenty rules":           {who: olga, do: newAudience(rules(21)), want: []string{"spec.audience.rules: Too many: 21: must have at most 20 items", unchecked}},
	"a hundred values":                 {who: olga, do: newAudience("rules: [" + cities(100, 128) + ", " + cities(28, 128) + "]")},
	"too many characters in all rules": {who: olga, do: newAudience("rules: [" + cities(100, 128) + ", " + cities(28, 128) + ", " + cities(1, 1) + "]"), want: []string{allValues}},
	"more than a hundred values":       {who: olga, do: newAudience("rules: [" + cities(101, 8) + "]"), want: []string{"spec.audience.rules[0].values: Too many: 101: must have at most 100 items", unchecked}},
	"too long a value":                 {who: olga, do: newAudience("rules: [" + cities(1, 129) + "]"), want: []string{"spec.audience.rules[0].values[0]: Too long: may not be more than 128 bytes", unchecked}},
	"a rule of versions":               {who: olga, do: newAudience("rules: [{attribute: hostAppVersion, operator: AtLeast, values: [8.0.10]}, {attribute: osVersion, operator: AtMost, values: ['17']}, {attribute: sdk, operator: Between, values: ['8.1.0-rc.1', '9']}]")},
	"at least two values":              {who: olga, do: newRule("attribute: sdk, operator: AtLeast, values: ['8', '9']"), want: []string{oneValue}},
	"at most two values":               {who: olga, do: newRule("attribute: sdk, operator: AtMost, values: ['8', '9']"), want: []string{oneValue}},
	"between one value":                {who: olga, do: newRule("attribute: sdk, operator: Between, values: ['8']"), want: []string{twoValues}},
	"between three values":             {who: olga, do: newRule("attribute: sdk, operator: Between, values: ['7', '8', '9']"), want: []string{twoValues}},
	"at least a word":                  {who: olga, do: newRule("attribute: sdk, operator: AtLeast, values: [latest]"), want: []string{noVersion}},
	"between versions with a v":        {who: olga, do: newRule("attribute: sdk, operator: Between, values: [v8, v9]"), want: []string{noVersion}},
	"a rule without values":            {who: olga, do: newRule("attribute: city, operator: In, values: []"), want: []string{"spec.audience.rules[0].values: Invalid value: 0: spec.audience.rules[0].values in body should have at least 1 items"}},
	"a rule with an unknown operator":  {who: olga, do: newRule("attribute: city, operator: Like, values: [a]"), want: []string{`spec.audience.rules[0].operator: Unsupported value: "Like": supported values: "In", "NotIn", "AtLeast", "AtMost", "Between", "StartsWith"`, unchecked}},
	"a rule on what is no attribute":   {who: olga, do: newRule("attribute: 1st, operator: In, values: [a]"), want: []string{"spec.audience.rules[0].attribute: Invalid value: \"1st\": spec.audience.rules[0].attribute in body should match '^[A-Za-z][A-Za-z0-9._-]*$'"}},

	"a window":                                     {who: olga, do: newWindow(`start: "2027-01-01T00:00:00Z", end: "2027-01-01T01:00:00+00:30", afterWindow: Abort`)},
	"a window without an end":                      {who: olga, do: newWindow(`start: "2027-01-01T00:00:00Z"`)},
	"a window that ends as it starts":              {who: olga, do: newWindow(`start: "2027-01-01T00:00:00Z", end: "2027-01-01T00:00:00Z"`), want: []string{notBefore}},
	"a window that ends before, in another offset": {who: olga, do: newWindow(`start: "2027-01-01T00:00:00Z", end: "2027-01-01T01:00:00+02:00"`), want: []string{notBefore}},
	"a window of nothing":                          {who: olga, do: newWindow(""), want: []string{"spec.window: Invalid value: 0: spec.window in body should have at least 1 properties"}},
	"a window at no time":                          {who: olga, do: newWindow(`end: tomorrow`), want: []string{`spec.window.end: Invalid value: "tomorrow": spec.window.end in body must be of type date-time: "tomorrow"`, unchecked}},
	"a window for a number of users":               {who: olga, do: newWindow(`users: 1000000000, afterWindow: Abort`)},
	"a window for nobody":                          {who: olga, do: newWindow(`users: 0`), want: []string{"spec.window.users: Invalid value: 0: spec.window.users in body should be greater than or equal to 1"}},
	"a window for too many":                        {who: olga, do: newWindow(`users: 1000000001`), want: []string{"spec.window.users: Invalid value: 1000000001: spec.window.users in body should be less than or equal to 1000000000"}},
	"a window that ends otherwise":                 {who: olga, do: newWindow(`end: "2027-01-01T00:00:00Z", afterWindow: Continue`), want: []string{`spec.window.afterWindow: Unsupported value: "Continue": supported values: "Hold", "Abort"`, unchecked}},

	"a trial":                         {who: olga, do: newTrial("hostApps: [wallet], steps: []")},
	"a trial with steps":              {who: olga, do: newTrial("steps: [{setPercent: 5}]"), want: []string{trialHasNoPlan}},
	"a trial with an audience":        {who: olga, do: newTrial("audience: {}"), want: []string{trialHasNoPlan}},
	"a trial with a window":           {who: olga, do: newTrial(`window: {end: "2027-01-01T00:00:00Z"}`), want: []string{trialHasNoPlan}},
	"a trial by another key":          {who: olga, do: newTrial("bucketing: {by: device}"), want: []string{trialHasNoPlan}},
	"a release does not become one":   {who: olga, do: patch("Rollout", "shop", "spec: {channel: trial, steps: null}"), want: []string{"spec: spec.channel may not change; create another Rollout instead"}},
	"another channel":                 {who: olga, do: create("Rollout", "new", rollout+"\n  channel: beta"), want: []string{`spec.channel: Unsupported value: "beta": supported values: "release", "trial"`, unchecked}},
	"a program with testers":          {who: adam, do: patch("MiniProgram", "shop", "spec: {testers: "+strings.TrimPrefix(users(500), "users: ")+"}")},
	"a program with too many testers": {who: adam, do: patch("MiniProgram", "shop", "spec: {testers: "+strings.TrimPrefix(users(501), "users: ")+"}"), want: []string{"spec.testers: Too many: 501: must have at most 500 items", unchecked}},
	"a host app that takes trials":    {who: adam, do: host("channels: [release, trial], access: {type: Token, secretRef: {name: wallet-tokens}}")},
	"trials for whoever asks":         {who: adam, do: host("channels: [trial]"), want: []string{trialNeedsTokens}},
	"trials for whoever may ask":      {who: adam, do: host("channels: [trial], access: {type: Public}"), want: []string{trialNeedsTokens}},
	"a host app for releases":         {who: adam, do: host("channels: [release]")},
	"a host app for nothing":          {who: adam, do: host("channels: []"), want: []string{"spec.channels: Invalid value: 0: spec.channels in body should have at least 1 items"}},

	"users by an attribute, with a seed": {who: olga, do: newBucketing("by: city, seed: spring-2027/a@b:c, stickiness: Program")},
	"users by what is no attribute":      {who: olga, do: newBucketing("by: 2nd"), want: []string{"spec.bucketing.by: Invalid value: \"2nd\": spec.bucketing.by in body should match '^[A-Za-z][A-Za-z0-9._-]*$'"}},
	"users by chance":                    {who: olga, do: newBucketing("stickiness: Never"), want: []string{`spec.bucketing.stickiness: Unsupported value: "Never": supported values: "Version", "Program"`, unchecked}},
	"a seed with a space":                {who: olga, do: newBucketing("seed: a b"), want: []string{"spec.bucketing.seed: Invalid value: \"a b\": spec.bucketing.seed in body should match '^[A-Za-z0-9][A-Za-z0-9._@:/-]*$'"}},
	"too long a seed":                    {who: olga, do: newBucketing("seed: " + strings.Repeat("s", 129)), want: []string{"spec.bucketing.seed: Too long: may not be more than 128 bytes", unchecked}},
}

func init() { maps.Copy(fields, audienceFields) }
