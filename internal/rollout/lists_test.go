package rollout

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// part is a list of one user, for 1.1.0.
func part(list, user string) v1alpha1.AudiencePart {
	p := partsOf(list, salt, listing(user))[0]
	return p
}

// reading has seen the lists of the audience, for 1.1.0.
func reading(a Audience) func(*Seen) { return func(s *Seen) { s.Lists = readFor(a, salt) } }

func unreadable(s *Seen) {
	s.Unlisted = &Hold{"SourceUnavailable", "spec.audience names ConfigMap testers, which does not exist: create it"}
}

func losing(users ...string) func(*Seen) {
	return func(s *Seen) {
		s.Lost = map[string]bool{}
		for _, u := range users {
			s.Lost[part("", u).Digest] = true
		}
	}
}

func TestNoTargetStartsBeforeItsListsAreRead(t *testing.T) {
	a := Audience{IncludeFrom: listing("ada"), ExcludeFrom: listing("eve")}
	p := planTo("1.1.0").with(withAudience(a))
	for name, test := range map[string]struct {
		seen    Seen
		target  string
		message string
	}{
		"of this target":  {seeing("1.1.0", reading(a)), "1.1.0", "1.1.0 is at 5% until 2026-11-22T12:01:00Z"},
		"nobody has":      {seeing("1.1.0"), "", "the lists that spec.audience names in ConfigMaps are not read yet"},
		"of others":       {seeing("1.1.0", reading(Audience{IncludeFrom: listing("ada")})), "", "the lists that spec.audience names in ConfigMaps are not read yet"},
		"of another seed": {seeing("1.1.0", func(s *Seen) { s.Lists = readFor(a, "other") }), "", "the lists that spec.audience names in ConfigMaps are not read yet"},
		"nobody can":      {seeing("1.1.0", unreadable), "", "spec.audience names ConfigMap testers, which does not exist: create it"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(p, released(), test.seen, now)
			target := ""
			if got.Status.Target != nil {
				target = got.Status.Target.Version
			}
			if target != test.target || got.Message != test.message {
				t.Errorf("target %q, %s", target, got.Message)
			}
		})
	}
	retried := Decide(p, aborted(), seeing("1.1.0", asked("retry@2"), unreadable), now).Status
	if retried.LastAction.Result != resultRefused || !strings.Contains(retried.LastAction.Message, "create it") {
		t.Errorf("retry: %+v", retried.LastAction)
	}
}

// What is recorded of an edit of lists while the target is under way.
func TestAnEditOfLists(t *testing.T) {
	in, ex := v1alpha1.PartInclude, v1alpha1.PartExclude
	before := Audience{IncludeFrom: listing("ada"), ExcludeFrom: listing("eve")}
	recorded := v1alpha1.AudienceFacts{From: before.From(), Parts: []v1alpha1.AudiencePart{part(in, "ada"), part(ex, "eve")}}
	edited := Audience{IncludeFrom: listing("ben"), ExcludeFrom: listing("dan")}
	facts := func(from string, parts ...v1alpha1.AudiencePart) *v1alpha1.AudienceFacts {
		return &v1alpha1.AudienceFacts{Seed: salt, From: from, Parts: parts}
	}
	as := func(list string, p v1alpha1.AudiencePart) v1alpha1.AudiencePart { p.List = list; return p }
	late, had := v1alpha1.PartExcludeLater, v1alpha1.PartHad
	same := facts(before.From(), recorded.Parts...)
	for name, test := range map[string]struct {
		next Audience
		seen Seen
		want *v1alpha1.AudienceFacts
	}{
		"is followed":  {edited, seeing("1.1.0", reading(edited)), facts(edited.From(), part(in, "ben"), as(late, part(ex, "dan")), as(had, part(in, "ada")))},
		"none is none": {before, seeing("1.1.0"), same},
		"lists of another target are not its own": {edited, seeing("1.1.0", func(s *Seen) { s.Lists = readFor(edited, "other") }), facts("", recorded.Parts...)},
		"waits until it was read":                 {edited, seeing("1.1.0"), facts("", recorded.Parts...)},
		"lists of include go":                     {Audience{}, seeing("1.1.0"), facts("", as(had, part(in, "ada")))},
		"names in their place": {Audience{Include: []string{"cho"}, ExcludeFrom: before.ExcludeFrom}, seeing("1.1.0", reading(Audience{ExcludeFrom: before.ExcludeFrom})), func() *v1alpha1.AudienceFacts {
			f := facts(Audience{ExcludeFrom: before.ExcludeFrom}.From(), part(ex, "eve"), as(had, part(in, "ada")))
			f.Include = hashes("cho")
			return f
		}()},
		"with a shut gate, to nobody new, and more are excluded": {edited, seeing("1.1.0", reading(edited), unapproved), facts("", part(in, "ada"), part(ex, "eve"), as(late, part(ex, "dan")))},
		"with a shut gate, who is excluded stays so":             {Audience{IncludeFrom: before.IncludeFrom}, seeing("1.1.0", reading(Audience{IncludeFrom: before.IncludeFrom}), unapproved), facts("", part(in, "ada"), part(ex, "eve"))},
		"with a shut gate, include goes as a whole":              {Audience{ExcludeFrom: before.ExcludeFrom}, seeing("1.1.0", reading(Audience{ExcludeFrom: before.ExcludeFrom}), unapproved), facts(Audience{ExcludeFrom: before.ExcludeFrom}.From(), part(ex, "eve"), as(had, part(in, "ada")))},
		"with a shut gate, names do not take a list's place":     {Audience{Include: []string{"cho"}}, seeing("1.1.0", unapproved), facts("", part(in, "ada"), part(ex, "eve"))},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(planTo("1.1.0").with(withAudience(test.next)), changed(underWay(3, 2500, now), forAudience(recorded)), test.seen, now)
			if diff := cmp.Diff(test.want, got.Status.Document.Audience, cmpEmpty); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if again := Decide(planTo("1.1.0").with(withAudience(test.next)), got.Status, test.seen, now); !cmp.Equal(got.Status, again.Status, cmpEmpty) {
				t.Errorf("asking again changes the record: %s", cmp.Diff(got.Status, again.Status))
			}
			rendered(t, got.Status)
		})
	}
	back := Decide(planTo("1.1.0").with(withAudience(before)), changed(underWay(3, 2500, now), forAudience(*facts(edited.From(), part(in, "ben"), as(late, part(ex, "dan")), as(had, part(in, "ada"))))), seeing("1.1.0", reading(before)), now)
	want := facts(before.From(), part(in, "ada"), as(late, part(ex, "eve")), as(had, part(in, "ben")))
	if diff := cmp.Diff(want, back.Status.Document.Audience, cmpEmpty); diff != "" {
		t.Errorf("back again, -want +got:\n%s", diff)
	}
}

func TestRecallsOfLists(t *testing.T) {
	in, ex := v1alpha1.PartInclude, v1alpha1.PartExclude
	as := func(list string, p v1alpha1.AudiencePart) v1alpha1.AudiencePart { p.List = list; return p }
	recorded := []v1alpha1.AudiencePart{part(in, "ada"), part(ex, "eve"), as(v1alpha1.PartExcludeLater, part(ex, "dan")), as(v1alpha1.PartHad, part(in, "ben"))}
	many := func(n int) (all []v1alpha1.AudiencePart) {
		for i := range n {
			all = append(all, part(in, fmt.Sprint("user-", i)))
		}
		return all
	}
	recall := func(basisPoints int32, parts ...v1alpha1.AudiencePart) []v1alpha1.Recall {
		return []v1alpha1.Recall{{By: "user", Seed: salt, BasisPoints: basisPoints, Delivery: minutes(now), Digest: variant("1.1.0").Digest, Audience: &v1alpha1.RecallAudience{Seed: salt, Parts: parts}}}
	}
	for name, test := range map[string]struct {
		basisPoints int32
		parts       []v1alpha1.AudiencePart
		lost        []string
		want        []v1alpha1.Recall
		everybody   bool
	}{
		"who was on a list had it, and who came onto one later may have": {2500, recorded, nil, recall(2500, part(in, "ada"), part(ex, "eve"), part(in, "ben")), false},
		"also before there is a share":                                   {0, []v1alpha1.AudiencePart{part(in, "ada")}, nil, recall(0, part(in, "ada")), false},
		"nobody had it":                                                  {0, []v1alpha1.AudiencePart{part(ex, "eve")}, nil, nil, false},
		"as many as can be told apart":                                   {2500, many(32), nil, recall(2500, many(32)...), false},
		"more than that: everybody":                                      {2500, many(33), nil, nil, true},
		"who was on a list that is lost: everybody":                      {2500, recorded, []string{"ben"}, nil, true},
		"a lost list on which somebody came later: no":                   {2500, recorded, []string{"dan"}, recall(2500, part(in, "ada"), part(ex, "eve"), part(in, "ben")), false},
	} {
		t.Run(name, func(t *testing.T) {
			before := changed(underWay(1, test.basisPoints, now), forAudience(v1alpha1.AudienceFacts{Parts: test.parts}))
			got := Decide(planTo("1.1.0").with(audienceOfFacts), before, seeing("1.1.0", asked("abort@2"), losing(test.lost...)), now).Status
			if diff := cmp.Diff(test.want, got.Recalls, cmpEmpty); diff != "" {
				t.Errorf("-want +got:\n%.2000s", diff)
			}
			if everybody := got.Stable.Delivery > before.LastDelivery; everybody != test.everybody {
				t.Errorf("stable has number %d, the last was %d", got.Stable.Delivery, before.LastDelivery)
			}
			doc, err := document.Parse(rendered(t, got))
			if err != nil {
				t.Fatal(err)
			}
			if (doc.Decide == document.DecideService) != (len(test.want) > 0) {
				t.Errorf("%s decides", doc.Decide)
			}
		})
	}
}

// A list that is lost after the abort must not keep the document from anybody.
func TestARecallWhoseListIsLostIsForEverybody(t *testing.T) {
	with := func(st *status) {
		st.Recalls[0].Audience = &v1alpha1.RecallAudience{Seed: salt, Parts: []v1alpha1.AudiencePart{part(v1alpha1.PartInclude, "ada")}}
	}
	got := Decide(planTo("1.1.0"), changed(aborted(), with), seeing("1.1.0", losing("ada")), now).Status
	if len(got.Recalls) != 0 || got.Stable.Delivery != minutes(now) || got.Sequence != now.Unix() {
		t.Errorf("recalls %+v, stable under %d, sequence %d", got.Recalls, got.Stable.Delivery, got.Sequence)
	}
	none := changed(aborted(), with, func(st *status) { st.Stable = nil })
	got = Decide(planTo("1.1.0"), none, seeing("1.1.0", losing("ada")), now).Status
	want := []v1alpha1.Recall{none.Recalls[0]}
	want[0].Audience, want[0].BasisPoints = nil, 10000
	if diff := cmp.Diff(want, got.Recalls); diff != "" {
		t.Errorf("without stable it goes by its digest: -want +got:\n%s", diff)
	}
}

// The document out is newer than a record from a backup, and its lists count.
func TestARestoredRecordTakesUpTheListsThatAreOut(t *testing.T) {
	a := Audience{IncludeFrom: listing("ada"), ExcludeFrom: listing("eve")}
	p := planTo("1.1.0").with(withAudience(a))
	started := Decide(p, released(), seeing("1.1.0", reading(a)), now)
	out, err := document.Parse(rendered(t, started.Status))
	if err != nil {
		t.Fatal(err)
	}
	backup := changed(started.Status, func(st *status) { st.Sequence--; st.Document.Audience = nil })
	got := Decide(p, backup, seeing("1.1.0", unreadable, func(s *Seen) { s.Out, s.LastSequence = out, out.Sequence }), now).Status
	want := &v1alpha1.AudienceFacts{Seed: salt, Parts: []v1alpha1.AudiencePart{part(v1alpha1.PartInclude, "ada"), part(v1alpha1.PartExcludeLater, "eve")}}
	if diff := cmp.Diff(want, got.Document.Audience, cmpEmpty); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	lost := changed(backup, func(st *status) { st.Target = nil; st.Step = nil; st.BasisPoints = 10000; st.PeakBasisPoints = 0 })
	recalled := Decide(planTo("1.0.0"), lost, seeing("1.0.0", func(s *Seen) { s.Out, s.LastSequence = out, out.Sequence }), now).Status.Recalls
	if len(recalled) != 1 || !cmp.Equal(recalled[0].Audience.Parts, []v1alpha1.AudiencePart{part(v1alpha1.PartInclude, "ada")}) {
		t.Errorf("recalls %+v", recalled)
	}
}
