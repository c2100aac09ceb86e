package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// salt is what keys are hashed with while 1.1.0 is the target.
var salt = appID + "@" + variant("1.1.0").Digest

func hashes(keys ...string) []string { return hashed(salt, keys) }

func inCity(cities ...string) []v1alpha1.AudienceRule {
	return []v1alpha1.AudienceRule{{Attribute: "city", Operator: "In", Values: cities}}
}

func withAudience(a Audience) func(*Plan) { return func(p *Plan) { p.Audience = a } }

func withWindow(start, end time.Time, after string) func(*Plan) {
	return func(p *Plan) { p.Window = Window{Start: start, End: end, After: after} }
}

func inWindow(w Window) func(*status) {
	return func(st *status) { st.Document.Window = w.facts() }
}

// forAudience is the record with an audience of the target under way.
func forAudience(a v1alpha1.AudienceFacts) func(*status) {
	return func(st *status) { a.Seed = salt; st.Document.Audience = &a }
}

// The examples of the package comment about audiences and windows, row by row.
func TestWorkedExamplesOfAudiences(t *testing.T) {
	limited := Audience{Rules: inCity("Shanghai")}
	limitedFacts := v1alpha1.AudienceFacts{Rules: inCity("Shanghai")}
	end := now.Add(time.Hour)
	served := changed(underWay(4, 10000, ago(time.Hour)), forAudience(limitedFacts), func(st *status) { st.Step.Kind = "" })
	at := func(verb Verb, reason string, step, basisPoints int32, began time.Time) outline {
		return outline{Verb: verb, Reason: reason, Stable: "1.0.0", Target: "1.1.0", Attempt: 2, Step: step, Began: began, BasisPoints: basisPoints, Availability: "Listed"}
	}
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		want     outline
		message  string
		recheck  time.Duration
	}{
		"after the last step it goes to all of its audience, and waits": {
			planTo("1.1.0").with(withAudience(limited)), changed(underWay(3, 2500, ago(time.Hour)), forAudience(limitedFacts)), seeing("1.1.0", asked("promote@2/3")),
			at(Wait, ReasonAudienceServed, 4, 10000, now),
			"1.1.0 has gone to all whom spec.audience and spec.window admit: annotate miniprogram.dev/action=promote-full@2 to make it stable for everybody, or abort@2", renewed,
		},
		"and stays there": {
			planTo("1.1.0").with(withAudience(limited)), served, seeing("1.1.0"), at(Wait, ReasonAudienceServed, 4, 10000, ago(time.Hour)),
			"1.1.0 has gone to all whom spec.audience and spec.window admit: annotate miniprogram.dev/action=promote-full@2 to make it stable for everybody, or abort@2", renewed - time.Hour,
		},
		"until a person goes on": {
			planTo("1.1.0").with(withAudience(limited)), served, seeing("1.1.0", asked("promote-full@2")),
			outline{Verb: Complete, Reason: "Complete", Stable: "1.1.0", Attempt: 2, BasisPoints: 10000, Outcome: "FastPromoted", Availability: "Listed"},
			"1.1.0 is stable for everybody", renewed,
		},
		"or nobody has to": {
			planTo("1.1.0").with(withAudience(Audience{Rules: inCity("Shanghai"), Completion: "Automatic"})), served, seeing("1.1.0"),
			outline{Verb: Complete, Reason: "Complete", Stable: "1.1.0", Attempt: 2, BasisPoints: 10000, Outcome: "Promoted", Availability: "Listed"},
			"1.1.0 is stable for everybody", renewed,
		},
		"who is included by name keeps nobody from it": {
			planTo("1.1.0").with(withAudience(Audience{Include: []string{"ada"}})), underWay(3, 2500, ago(time.Hour)), seeing("1.1.0", asked("promote@2/3")),
			outline{Verb: Complete, Reason: "Complete", Stable: "1.1.0", Attempt: 2, BasisPoints: 10000, Outcome: "Promoted", Availability: "Listed"},
			"1.1.0 is stable for everybody", renewed,
		},
		"without steps its audience has it at once": {
			planTo("1.1.0").with(noSteps).with(withAudience(Audience{Exclude: []string{"ada"}})), released(), seeing("1.1.0"), at(Wait, ReasonAudienceServed, 0, 10000, now),
			"1.1.0 has gone to all whom spec.audience and spec.window admit: annotate miniprogram.dev/action=promote-full@2 to make it stable for everybody, or abort@2", renewed,
		},
		"a later edit of the steps leaves it there": {
			planTo("1.1.0", percent(1), person(), percent(2), person(), percent(3), person()).with(withAudience(limited)), served, seeing("1.1.0"), at(Wait, ReasonAudienceServed, 6, 10000, now),
			"1.1.0 has gone to all whom spec.audience and spec.window admit: annotate miniprogram.dev/action=promote-full@2 to make it stable for everybody, or abort@2", renewed - time.Hour,
		},
		"an audience that is removed then makes it stable for nobody": {
			planTo("1.1.0"), served, seeing("1.1.0"), at(Wait, "ShareWouldFall", 4, 10000, ago(time.Hour)),
			"1.1.0 stays at its present share: no step of the edited plan reaches the present share of 100%, and a share never falls by itself: add such a step, or annotate miniprogram.dev/action=promote-full@2 or abort@2", renewed,
		},
		"before the window opens the plan waits at its first step": {
			planTo("1.1.0").with(withWindow(now.Add(time.Minute), end, "")), released(), seeing("1.1.0"), at(Advance, reasonWindowNotOpen, 0, 0, now.Add(time.Minute)),
			"1.1.0 goes out from 2026-11-22T12:01:00Z on (spec.window.start)", time.Minute,
		},
		"when it opens the first share is out": {
			planTo("1.1.0").with(withWindow(now, end, "")), changed(underWay(0, 0, now), inWindow(Window{Start: now, End: end})), seeing("1.1.0"), at(Advance, "Progressing", 1, 500, now),
			"1.1.0 is at 5% until 2026-11-22T12:01:00Z", time.Minute,
		},
		"a pause counts from when it opens": {
			planTo("1.1.0").with(withWindow(now.Add(30*time.Second), end, "")), underWay(1, 500, ago(time.Hour)), seeing("1.1.0"), at(Advance, reasonWindowNotOpen, 1, 500, now.Add(30*time.Second)),
			"1.1.0 goes out from 2026-11-22T12:00:30Z on (spec.window.start)", 30 * time.Second,
		},
		"the end is awaited": {
			planTo("1.1.0").with(withWindow(time.Time{}, now.Add(10*time.Second), "")), underWay(1, 500, now), seeing("1.1.0"), at(Advance, "Progressing", 1, 500, now),
			"1.1.0 is at 5% until 2026-11-22T12:01:00Z", 10 * time.Second,
		},
		"after it has closed a person says how it ends": {
			planTo("1.1.0").with(withWindow(time.Time{}, now, "")), changed(underWay(1, 500, ago(time.Hour)), inWindow(Window{End: now})), seeing("1.1.0"),
			at(Wait, ReasonWindowClosed, 1, 500, ago(time.Hour)),
			"the window of 1.1.0 closed at 2026-11-22T12:00:00Z, and only who is included by name has it: annotate miniprogram.dev/action=promote-full@2 to make it stable for everybody, or abort@2, or set a later spec.window.end", renewed - time.Hour,
		},
		"promote-full ends it": {
			planTo("1.1.0").with(withWindow(time.Time{}, now, "")), underWay(1, 500, ago(time.Hour)), seeing("1.1.0", asked("promote-full@2")),
			outline{Verb: Complete, Reason: "Complete", Stable: "1.1.0", Attempt: 2, BasisPoints: 10000, Outcome: "FastPromoted", Availability: "Listed"},
			"1.1.0 is stable for everybody", renewed,
		},
		"or the plan takes it back": {
			planTo("1.1.0").with(withWindow(time.Time{}, now, v1alpha1.AfterWindowAbort)), underWay(1, 500, ago(time.Hour)), seeing("1.1.0"),
			outline{Verb: TakeBack, Reason: "Aborted", Stable: "1.0.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"},
			"its window closed at 2026-11-22T12:00:00Z", 24 * time.Hour,
		},
		"also while it is paused": {
			planTo("1.1.0").with(withWindow(time.Time{}, now, v1alpha1.AfterWindowAbort)).with(func(p *Plan) { p.Paused = true }), underWay(1, 500, ago(time.Hour)), seeing("1.1.0"),
			outline{Verb: TakeBack, Reason: "Aborted", Stable: "1.0.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"},
			"its window closed at 2026-11-22T12:00:00Z", 24 * time.Hour,
		},
		"also while its version cannot be read": {
			planTo("1.1.0").with(withWindow(time.Time{}, now, v1alpha1.AfterWindowAbort)), underWay(1, 500, ago(time.Hour)), seeing("1.1.0", missing),
			outline{Verb: TakeBack, Reason: "Aborted", Stable: "1.0.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"},
			"its window closed at 2026-11-22T12:00:00Z", 24 * time.Hour,
		},
		"a later end that the spec has counts while the gate is shut": {
			planTo("1.1.0").with(withWindow(time.Time{}, end, v1alpha1.AfterWindowAbort)), changed(underWay(1, 500, ago(time.Hour)), inWindow(Window{End: now})), seeing("1.1.0", unapproved),
			at(Wait, "NotApproved", 1, 500, ago(time.Hour)), "1.1.0 stays at its present share: it waits for 1 approval of role quality", time.Hour,
		},
		"nothing starts after it has closed": {
			planTo("1.1.0").with(withWindow(time.Time{}, now, "")), released(), seeing("1.1.0"),
			outline{Verb: Wait, Reason: ReasonWindowClosed, Stable: "1.0.0", Attempt: 1, BasisPoints: 10000, Outcome: "Promoted", Availability: "Listed"},
			"the window closed at 2026-11-22T12:00:00Z: set a later spec.window.end, or remove it", renewed - time.Hour,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(test.plan, test.recorded, test.seen, now)
			if diff := cmp.Diff(test.want, outlineOf(got)); diff != "" || got.Message != test.message || got.Recheck != test.recheck {
				t.Errorf("recheck %s, want %s; %s\nwant %s\n-want +got:\n%s", got.Recheck, test.recheck, got.Message, test.message, diff)
			}
			rendered(t, got.Status)
			if again := Decide(test.plan, got.Status, test.seen, now); !cmp.Equal(got.Status, again.Status, cmpEmpty) {
				t.Errorf("asking again changes the record: %s", cmp.Diff(got.Status, again.Status))
			}
		})
	}
}

func TestUntilTellsWhenTheWindowOpens(t *testing.T) {
	opens := now.Add(time.Minute)
	p := planTo("1.1.0").with(withWindow(opens, time.Time{}, ""))
	waiting := Decide(p, released(), seeing("1.1.0"), now).Status
	if diff := cmp.Diff(stampAt(opens), waiting.Step.Until); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if open := Decide(p, waiting, seeing("1.1.0"), opens).Status; !open.Step.Until.Time.Equal(opens.Add(time.Minute)) || open.Percent != "5%" {
		t.Errorf("open since then, at %s until %s", open.Percent, open.Step.Until)
	}
}

// What is recorded of an edit while the target is under way, and whether it is a
// decision with a number of its own.
func TestAnEditOfTheAudience(t *testing.T) {
	was := v1alpha1.AudienceFacts{Include: hashes("ada", "ben"), Exclude: hashes("eve"), Rules: inCity("Shanghai")}
	edited := Audience{Include: []string{"ben", "cho"}, Exclude: []string{"ada", "dan"}, Rules: inCity("Beijing")}
	followed := v1alpha1.AudienceFacts{Seed: salt, Include: hashes("ben", "cho"), Exclude: hashes("ada", "dan"), Rules: inCity("Beijing"), Had: hashes("ada", "dan")}
	narrower := v1alpha1.AudienceFacts{Seed: salt, Include: hashes("ben"), Exclude: hashes("ada", "dan", "eve"), Rules: inCity("Shanghai"), Had: hashes("ada", "dan")}
	later, sooner := Window{End: now.Add(2 * time.Hour)}, Window{End: now.Add(time.Hour)}
	paused := func(p *Plan) { p.Paused = true }
	plan := planTo("1.1.0").with(withAudience(edited)).with(withWindow(time.Time{}, later.End, ""))
	same := func(a *v1alpha1.AudienceFacts) { *a = was; a.Seed = salt }
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		want     *v1alpha1.AudienceFacts
		window   Window
		decided  bool
	}{
		"is followed":                              {plan, underWay(3, 2500, now), seeing("1.1.0"), &followed, later, true},
		"also while it is paused":                  {plan.with(paused), underWay(3, 2500, now), seeing("1.1.0"), &followed, later, true},
		"while the gate is shut, for nobody new":   {plan, underWay(3, 2500, now), seeing("1.1.0", unapproved), &narrower, sooner, true},
		"while its version is gone, neither":       {plan, underWay(3, 2500, now), seeing("1.1.0", missing), &narrower, sooner, true},
		"while Git names another, neither":         {plan.with(func(p *Plan) { p.VersionRef = "shop-1.2.0" }), underWay(3, 2500, now), seeing("1.2.0", unapproved), &narrower, sooner, true},
		"before anybody had it, only names had it": {plan, underWay(0, 0, now), seeing("1.1.0", unapproved), func() *v1alpha1.AudienceFacts { n := narrower; n.Had = hashes("ada"); return &n }(), sooner, true},
		"none is no decision": {
			planTo("1.1.0").with(withAudience(Audience{Include: []string{"ben", "ada"}, Exclude: []string{"eve"}, Rules: inCity("Shanghai")})).with(withWindow(time.Time{}, sooner.End, "")),
			underWay(3, 2500, now), seeing("1.1.0"), func() *v1alpha1.AudienceFacts { var a v1alpha1.AudienceFacts; same(&a); return &a }(), sooner, false,
		},
		"a removed one leaves who had it": {planTo("1.1.0"), underWay(3, 2500, now), seeing("1.1.0"), &v1alpha1.AudienceFacts{Seed: salt, Had: hashes("ada", "ben")}, Window{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			recorded := changed(test.recorded, forAudience(was), inWindow(sooner))
			got := Decide(test.plan, recorded, test.seen, now).Status
			if diff := cmp.Diff(test.want, got.Document.Audience, cmpEmpty); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(test.window.facts(), got.Document.Window); diff != "" {
				t.Errorf("window: -want +got:\n%s", diff)
			}
			if decided := got.Sequence > recorded.Sequence; decided != test.decided {
				t.Errorf("sequence %d after %d", got.Sequence, recorded.Sequence)
			}
			rendered(t, got)
		})
	}
}

func TestNoKeyOfAUserIsRecorded(t *testing.T) {
	p := planTo("1.1.0").with(withAudience(Audience{Include: []string{"+86-138-0013-8000"}, Exclude: []string{"eve@example.com"}}))
	under := Decide(p, released(), seeing("1.1.0"), now)
	gone := Decide(p, under.Status, seeing("1.1.0", asked("abort@2")), now.Add(time.Hour))
	for _, m := range []Move{under, gone} {
		if text := fmt.Sprintf("%+v %s", m, rendered(t, m.Status)); strings.Contains(text, "0013-8000") || strings.Contains(text, "eve@") {
			t.Errorf("%s", text)
		}
	}
	if a := gone.Status.Recalls[0].Audience; len(a.Include) != 1 || len(a.Exclude) != 1 {
		t.Errorf("recalled are %+v", a)
	}
}

func TestRecallsOfAnAudience(t *testing.T) {
	many := func(n int) []string {
		var keys []string
		for i := range n {
			keys = append(keys, fmt.Sprintf("user-%d", i))
		}
		return hashes(keys...)
	}
	abort := seeing("1.1.0", asked("abort@2"))
	recall := func(basisPoints int32, include, exclude []string) []v1alpha1.Recall {
		r := v1alpha1.Recall{By: "user", Seed: salt, BasisPoints: basisPoints, Delivery: minutes(now), Digest: variant("1.1.0").Digest}
		if len(include)+len(exclude) > 0 {
			r.Audience = &v1alpha1.RecallAudience{Seed: salt, Include: include, Exclude: exclude}
		}
		return []v1alpha1.Recall{r}
	}
	for name, test := range map[string]struct {
		basisPoints int32
		audience    v1alpha1.AudienceFacts
		before      int // hashes in earlier recalls
		want        []v1alpha1.Recall
		everybody   bool
	}{
		"names count beside the share":           {2500, v1alpha1.AudienceFacts{Include: hashes("ada"), Exclude: hashes("eve")}, 0, recall(2500, hashes("ada"), hashes("eve")), false},
		"names count before there is a share":    {0, v1alpha1.AudienceFacts{Include: hashes("ada")}, 0, recall(0, hashes("ada"), nil), false},
		"nobody had it":                          {0, v1alpha1.AudienceFacts{Exclude: hashes("eve"), Rules: inCity("Shanghai")}, 0, nil, false},
		"exclusion wins":                         {2500, v1alpha1.AudienceFacts{Include: hashes("ada"), Exclude: hashes("ada")}, 0, recall(2500, nil, hashes("ada")), false},
		"who lost it had it":                     {2500, v1alpha1.AudienceFacts{Exclude: hashes("ada", "eve"), Had: hashes("ada", "ben")}, 0, recall(2500, hashes("ada", "ben"), hashes("eve")), false},
		"rules are forgotten":                    {2500, v1alpha1.AudienceFacts{Rules: inCity("Shanghai")}, 0, recall(2500, nil, nil), false},
		"a thousand names are remembered":        {2500, v1alpha1.AudienceFacts{Include: many(1000)}, 0, recall(2500, many(1000), nil), false},
		"more than that: everybody":              {2500, v1alpha1.AudienceFacts{Include: many(1000), Had: hashes("ada")}, 0, nil, true},
		"two thousand in all are remembered":     {2500, v1alpha1.AudienceFacts{Include: many(1000)}, 1000, append(earlier(1000), recall(2500, many(1000), nil)...), false},
		"more than that in all: everybody":       {2500, v1alpha1.AudienceFacts{Include: many(1000)}, 1001, nil, true},
		"also where excluded ones make too many": {2500, v1alpha1.AudienceFacts{Include: many(500), Exclude: hashes("eve")}, 1500, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			recorded := changed(underWay(1, test.basisPoints, now), forAudience(test.audience), func(st *status) { st.Recalls = earlier(test.before) })
			got := Decide(planTo("1.1.0").with(audienceOfFacts), recorded, abort, now).Status
			if diff := cmp.Diff(test.want, got.Recalls, cmpEmpty); diff != "" {
				t.Errorf("-want +got:\n%.2000s", diff)
			}
			if everybody := got.Stable.Delivery > recorded.LastDelivery; everybody != test.everybody {
				t.Errorf("stable has number %d, the last was %d", got.Stable.Delivery, recorded.LastDelivery)
			}
			rendered(t, got)
		})
	}
	alone := changed(underWay(1, 2500, now), forAudience(v1alpha1.AudienceFacts{Include: many(1000), Had: hashes("ada")}), func(st *status) { st.Stable = nil })
	got := Decide(planTo("1.1.0").with(audienceOfFacts), alone, abort, now).Status.Recalls
	want := recall(10000, nil, nil)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("without stable it goes by its digest: -want +got:\n%s", diff)
	}
}

// audienceOfFacts has no audience: an action is answered before an edit of one is followed.
func audienceOfFacts(p *Plan) { p.Audience = Audience{} }

// earlier is a recall of n users by name, or none.
func earlier(n int) []v1alpha1.Recall {
	if n == 0 {
		return nil
	}
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("earlier-%d", i))
	}
	var out []v1alpha1.Recall
	for i, all := 0, hashed("s", keys); len(all) > 0; i++ {
		part := all[:min(len(all), maxNamed)]
		all = all[len(part):]
		out = append(out, v1alpha1.Recall{By: "user", Seed: "s", Delivery: minutes(published) + int64(i), Audience: &v1alpha1.RecallAudience{Seed: "s", Include: part}})
	}
	return out
}

// Three changes of a list of a thousand are more than can be told apart: then all get a new number.
func TestListsThatChangeOftenAreNotCut(t *testing.T) {
	st := underWay(1, 500, now)
	for round := range 3 {
		var users []string
		for i := range 1000 {
			users = append(users, fmt.Sprintf("user-%d-%d", round, i))
		}
		p := planTo("1.1.0").with(withAudience(Audience{Include: users}))
		st = Decide(p, st, seeing("1.1.0"), now).Status
	}
	if n := len(st.Document.Audience.Had); n != 1001 {
		t.Fatalf("%d are remembered, want 1001: more than can be", n)
	}
	rendered(t, st)
	got := Decide(planTo("1.1.0"), st, seeing("1.1.0", asked("abort@2")), now).Status
	if len(got.Recalls) != 0 || got.Stable.Delivery != got.LastDelivery {
		t.Errorf("%d recalls, stable under %d of %d", len(got.Recalls), got.Stable.Delivery, got.LastDelivery)
	}
}

// The longest lists, on both sides and in recalls, leave the document room for the rest.
func TestTheLongestAudienceFitsIntoADocument(t *testing.T) {
	a := Audience{}
	for i := range 1000 {
		a.Include, a.Exclude = append(a.Include, fmt.Sprintf("in-%d", i)), append(a.Exclude, fmt.Sprintf("ex-%d", i))
	}
	var values []string
	for range 100 {
		values = append(values, strings.Repeat("城", 128))
	}
	a.Rules = []v1alpha1.AudienceRule{{Attribute: "city", Operator: "In", Values: values}, {Attribute: "town", Operator: "In", Values: values[:28]}}
	recorded := changed(released(), func(st *status) { st.Recalls = earlier(maxRecalled) })
	got := Decide(planTo("1.1.0").with(withAudience(a)), recorded, seeing("1.1.0"), now).Status
	if size := len(rendered(t, got)); size > document.MaxSize*3/4 {
		t.Errorf("it has %d bytes of %d", size, document.MaxSize)
	}
}

func TestActionsOnAnAudience(t *testing.T) {
	served := changed(underWay(4, 10000, ago(time.Hour)), func(st *status) { st.Step.Kind = "" })
	limited := withAudience(Audience{Rules: inCity("Shanghai")})
	closed := withWindow(time.Time{}, now, "")
	retried := changed(aborted(), func(st *status) { st.Refused.Reason = "its window closed" })
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		action   string
		want     [2]string
	}{
		"a step after the last": {planTo("1.1.0").with(limited), served, "promote@2/4", [2]string{"Refused", "no step is left to promote: write promote-full@2 to make the target stable for everybody"}},
		"all of them":           {planTo("1.1.0").with(limited), served, "promote-full@2", [2]string{"Done", "the target is stable for everybody"}},
		"a step after the window": {planTo("1.1.0").with(closed), underWay(3, 2500, ago(time.Hour)), "promote@2/3", [2]string{"Refused",
			"the window of 1.1.0 closed at 2026-11-22T12:00:00Z, and only who is included by name has it: annotate miniprogram.dev/action=promote-full@2 to make it stable for everybody, or abort@2, or set a later spec.window.end"}},
		"again after the window":    {planTo("1.1.0").with(closed), retried, "retry@2", [2]string{"Refused", "the window closed at 2026-11-22T12:00:00Z: set a later spec.window.end, or remove it"}},
		"again before it is closed": {planTo("1.1.0").with(withWindow(time.Time{}, now.Add(time.Hour), "")), retried, "retry@2", [2]string{"Done", "the target starts again at the step where it was aborted"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(test.plan, test.recorded, seeing("1.1.0", asked(test.action)), now).Status.LastAction
			if diff := cmp.Diff(test.want, [2]string{got.Result, got.Message}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
