package decide_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

func TestWhatIsExplainedIsWhatIsDecided(t *testing.T) {
	file, documents := readVectors(t)
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			doc := documents[c.Document]
			want, wantErr := decide.Decide(doc, c.Request.request())
			got, tried, err := decide.Explain(doc, c.Request.request())
			if got != want || err != wantErr {
				t.Errorf("explained is %+v and %v, decided %+v and %v", got, err, want, wantErr)
			}
			if len(tried) == 0 {
				t.Fatal("no rule was tried")
			}
			last := tried[len(tried)-1]
			refused := want.Cohort == decide.CohortNone && want.Bucket < 0 && len(tried) <= 2
			if err == nil && !refused && (last.Rule != decide.RuleInstalled || !strings.HasSuffix(last.Why, ": "+string(want.Action))) {
				t.Errorf("the last rule is %+v, and the action %s", last, want.Action)
			}
			if decides := map[string]decide.Rule{
				decide.ReasonHostBlocked: decide.RuleHostBlock, decide.ReasonBlocked: decide.RuleAvailability, decide.ReasonSuspended: decide.RuleAvailability,
				decide.ReasonWithdrawn: decide.RuleAvailability, decide.ReasonRemoved: decide.RuleAvailability, decide.ReasonRetained: decide.RuleRetained,
				decide.ReasonNoTarget: decide.RuleTarget, decide.ReasonExcluded: decide.RuleExclude, decide.ReasonRuleNotMatched: decide.RuleAudience,
				decide.ReasonWindowClosed: decide.RuleWindow, decide.ReasonNoKey: decide.RuleKey, decide.ReasonOutsideShare: decide.RuleBucket,
				decide.ReasonIncluded: decide.RuleInclude, decide.ReasonBucketed: decide.RuleBucket, decide.ReasonFallback: decide.RuleFallback,
				decide.ReasonRecalled: decide.RuleRecall, decide.ReasonTargetIncompatible: decide.RuleStableFits,
			}[want.Reason]; decides != "" && !slices.ContainsFunc(tried, func(r decide.Tried) bool { return r.Rule == decides && r.Outcome == decide.OutcomeDecided }) {
				t.Errorf("the reason is %s, and rule %s did not decide: %+v", want.Reason, decides, tried)
			}
		})
	}
}

func TestAnExplanationHasNoWordOfTheRequest(t *testing.T) {
	file, documents := readVectors(t)
	for _, c := range file.Cases {
		req := c.Request.request()
		secrets := []string{"secret-user", "secret-device"}
		req.User, req.Device = secrets[0], secrets[1]
		attributes := map[string]string{}
		for name := range req.Attributes {
			attributes[name] = "secret-" + name
			secrets = append(secrets, attributes[name])
		}
		req.Attributes = attributes
		_, tried, _ := decide.Explain(documents[c.Document], req)
		for _, r := range tried {
			for _, secret := range secrets {
				if strings.Contains(r.Why, secret) {
					t.Errorf("%s: %s repeats what the request says: %s", c.Name, r.Rule, r.Why)
				}
			}
		}
	}
}

func TestEveryRuleSaysWhy(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	stable := &document.Variant{Version: "1.0.0", Digest: "s", Delivery: 1}
	target := &document.Variant{Version: "1.1.0", Digest: "t", Delivery: 2, Compatibility: document.Compatibility{
		Platforms:           []document.Platform{{OS: "ios", MinHostVersion: "7.2"}, {OS: "android", MinHostVersion: "8.0", MaxHostVersion: "9"}},
		MinContainerVersion: "2",
	}}
	doc := func(change ...func(*document.Release)) *document.Release {
		r := &document.Release{Availability: document.Listed, Stable: stable, Target: target,
			Split: &document.Split{By: "user", Seed: "seed", BasisPoints: 9999}}
		for _, c := range change {
			c(r)
		}
		return r
	}
	audience := func(r *document.Release) {
		r.Window = &document.Window{Start: document.At(at), End: document.At(at.Add(time.Hour))}
		r.Audience = &document.Audience{Seed: "a", Rules: []document.Rule{
			{Attribute: "city", Operator: document.In, Values: []string{"Paris", "Rome"}}, {Attribute: "language", Operator: document.In, Values: []string{"fr"}},
		}}
	}
	const (
		listed, free  = "the program is Listed", "the host app does not block the program"
		out           = "1.1.0 is being rolled out to 99.99%"
		unexcluded    = "the user is not excluded by name"
		unincluded    = "the user is not included by name"
		runs          = "1.0.0 runs in every host app"
		installs      = "nothing is installed: install"
		passed        = decide.OutcomePassed
		decided       = decide.OutcomeDecided
		bothPlatforms = "ios from 7.2 or android from 8.0 to 9, and container 2 or later"
	)
	for name, test := range map[string]struct {
		doc  *document.Release
		req  decide.Request
		want []decide.Tried
	}{
		"a host app that is too old": {doc(), decide.Request{User: "u", Attributes: map[string]string{"platform": "ios"}}, []decide.Tried{
			{decide.RuleAvailability, passed, listed}, {decide.RuleHostBlock, passed, free}, {decide.RuleTarget, passed, out},
			{decide.RuleKey, passed, "the share is drawn by user, which the request says"},
			{decide.RuleBucket, decided, "bucket 4976 is below 9999 (99.99%)"},
			{decide.RuleTargetFits, passed, "the host app cannot run 1.1.0, which needs " + bothPlatforms + "; the request says its platform"},
			{decide.RuleStableFits, decided, runs}, {decide.RuleInstalled, decided, installs},
		}},
		"an attribute that lacks": {doc(audience), decide.Request{User: "u", Now: at, Attributes: map[string]string{"city": "Rome"}}, []decide.Tried{
			{decide.RuleAvailability, passed, listed}, {decide.RuleHostBlock, passed, free}, {decide.RuleTarget, passed, out},
			{decide.RuleExclude, passed, unexcluded}, {decide.RuleInclude, passed, unincluded},
			{decide.RuleAudience, passed, "rule 0 holds: city In Paris, Rome"},
			{decide.RuleAudience, decided, "rule 1 does not hold, for the request does not say its language: language In fr"},
			{decide.RuleStableFits, decided, runs}, {decide.RuleInstalled, decided, installs},
		}},
		"a window that is closed": {doc(audience), decide.Request{User: "u", Now: at.Add(time.Hour), InstalledDigest: "s", Attributes: map[string]string{"city": "Rome", "language": "fr"}}, []decide.Tried{
			{decide.RuleAvailability, passed, listed}, {decide.RuleHostBlock, passed, free}, {decide.RuleTarget, passed, out},
			{decide.RuleExclude, passed, unexcluded}, {decide.RuleInclude, passed, unincluded},
			{decide.RuleAudience, passed, "rule 0 holds: city In Paris, Rome"}, {decide.RuleAudience, passed, "rule 1 holds: language In fr"},
			{decide.RuleWindow, decided, "the window is closed: from 2026-11-20T12:00:00Z until 2026-11-20T13:00:00Z"},
			{decide.RuleStableFits, decided, runs}, {decide.RuleInstalled, decided, "1.0.0 is installed: none"},
		}},
		"a block": {doc(), decide.Request{User: "u", Blocked: true}, []decide.Tried{
			{decide.RuleAvailability, passed, listed},
			{decide.RuleHostBlock, decided, "the host app blocks the program: nothing is handed out, and nothing changes on the device"},
		}},
		"a suspension": {doc(func(r *document.Release) { r.Availability = document.Suspended }), decide.Request{User: "u"}, []decide.Tried{
			{decide.RuleAvailability, decided, "the program is Suspended: nothing is handed out, and what is installed goes"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, got, err := decide.Explain(test.doc, test.req)
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%v\n got %+v\nwant %+v", err, got, test.want)
			}
		})
	}
}
