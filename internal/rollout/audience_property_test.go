package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// audiences are those that a history changes between.
var audiences = []Audience{
	{}, {},
	{Include: []string{"u1", "u2"}},
	{Include: []string{"u2", "u3"}, Exclude: []string{"u3", "u4"}},
	{Exclude: []string{"u1"}, Completion: v1alpha1.CompletionAutomatic},
	{Rules: []v1alpha1.AudienceRule{{Attribute: "city", Operator: "In", Values: []string{"Shanghai"}}}},
	{IncludeFrom: listing("u1", "u2", "u3")},
	{IncludeFrom: listing("u2", "u7"), ExcludeFrom: listing("u3", "u4", "u8")},
	{Include: []string{"u1", "u9"}, ExcludeFrom: listing("u2", "u4")},
	{IncludeFrom: listing("u9"), Exclude: []string{"u2"}},
	{Include: []string{"u5"}, Exclude: []string{"u6"}, Rules: []v1alpha1.AudienceRule{{Attribute: "city", Operator: "In", Values: []string{"Beijing", "Shanghai"}}}},
}

func init() {
	events["lists can be read or not"] = func(w *world, t *rapid.T) { w.unread = rapid.Bool().Draw(t, "unread") }
	events["a part is lost"] = func(w *world, t *rapid.T) {
		if a := namedParts(&w.record.status); len(a) > 0 {
			w.lost = map[string]bool{rapid.SampledFrom(a).Draw(t, "part").Digest: true}
		}
	}
	events["users install it"] = func(w *world, t *rapid.T) {
		w.installedAttempt = w.record.status.Attempt
		w.installed = int64(rapid.SampledFrom([]int{0, 1, 5, 50, 99, 100, 1000}).Draw(t, "installations"))
	}
	events["the audience"] = func(w *world, t *rapid.T) { w.plan.Audience = rapid.SampledFrom(audiences).Draw(t, "audience") }
	events["the window"] = func(w *world, t *rapid.T) {
		after := func(what string) time.Time {
			s := rapid.SampledFrom([]int{0, -100, 100, 1000, 100000}).Draw(t, what)
			if s == 0 {
				return time.Time{}
			}
			return w.now.Add(time.Duration(s) * time.Second).Truncate(time.Second)
		}
		w.plan.Window = Window{Start: after("start"), End: after("end"), After: rapid.SampledFrom([]string{"", v1alpha1.AfterWindowHold, v1alpha1.AfterWindowAbort}).Draw(t, "after")}
		w.plan.Window.Users = int64(rapid.SampledFrom([]int{0, 0, 10, 100}).Draw(t, "users"))
		if win := &w.plan.Window; !win.End.IsZero() && !win.Start.Before(win.End) {
			win.Start = time.Time{} // as the API server wants it
		}
	}
	eventNames = slices.Sorted(maps.Keys(events))
}

// everybody are users of a host app, each in a city.
var everybody = func() []decide.Request {
	var all []decide.Request
	for i := range 12 {
		city := []string{"Shanghai", "Beijing", "Lhasa"}[i%3]
		all = append(all, decide.Request{User: fmt.Sprintf("u%d", i), Device: fmt.Sprintf("d%d", i), Attributes: map[string]string{"city": city}})
	}
	return all
}()

// handed is what each user gets by a record at a time.
func handed(t *rapid.T, st v1alpha1.RolloutStatus, at time.Time) map[string]decide.Decision {
	all := map[string]decide.Decision{}
	doc, err := delivery.Render("-", "-", v1alpha1.ChannelRelease, &st)
	if err != nil {
		return all // there is no document
	}
	for _, request := range everybody {
		request.Now, request.InPart = at, inPart
		decision, err := decide.Decide(doc, request)
		if err != nil {
			t.Fatal(err)
		}
		all[request.User] = decision
	}
	return all
}

// checkAudience gives the target to nobody new while the gate is shut, and never a
// lower number than he has to who gets stable once a target is gone.
func checkAudience(t *rapid.T, w *world, before, after *record, seen Seen) {
	was, is := handed(t, before.status, w.now), handed(t, after.status, w.now)
	out := handed(t, w.out, w.now) // a record that came back from a backup knows less
	b, a := before.status.Target, after.status.Target
	shut := !open(seen) || digest(a) != seen.Candidate.Variant.Digest
	for user, d := range is {
		had := was[user]
		again := len(was) == 0 || had.Reason == decide.ReasonRetained // the host app had not taken the program
		if d.Cohort == decide.CohortTarget && shut && had.Cohort != decide.CohortTarget && out[user].Cohort != decide.CohortTarget && b != nil && a.Delivery == b.Delivery && !again {
			t.Fatalf("%s is handed the target although the gate is shut", user)
		}
		if d.Variant == nil {
			continue
		}
		stable := d.Cohort == decide.CohortStable && a == nil
		if stable && d.Delivery < before.number[user] && len(after.status.Recalls) < 15 {
			t.Fatalf("%s has number %d and gets stable under %d: recalls %+v", user, before.number[user], d.Delivery, after.status.Recalls)
		}
		after.number[user] = max(after.number[user], d.Delivery)
	}
	checkAudienceRecord(t, after.status)
	for _, r := range after.status.Recalls {
		if r.Audience != nil && slices.ContainsFunc(r.Audience.Parts, func(p v1alpha1.AudiencePart) bool { return seen.Lost[p.Digest] }) {
			t.Fatalf("a recall names a part that nobody has: %+v", r.Audience.Parts)
		}
	}
}

func checkAudienceRecord(t *rapid.T, st v1alpha1.RolloutStatus) {
	if tooManyRecalls(st.Recalls) {
		t.Fatalf("%d recalls that cannot be told apart", len(st.Recalls))
	}
	if d := st.Document; d != nil && st.Target == nil && (d.Audience != nil || d.Window != nil) {
		t.Fatalf("an audience %+v and a window %+v of no target", d.Audience, d.Window)
	}
	if d := st.Document; d != nil && d.Audience != nil {
		if n := len(d.Audience.Parts); n > maxParts {
			t.Fatalf("%d parts", n)
		}
		for _, list := range [][]string{d.Audience.Include, d.Audience.Exclude, d.Audience.Had} {
			if !slices.IsSorted(list) || slices.ContainsFunc(list, func(h string) bool { return len(h) != document.HashLength }) {
				t.Fatalf("%v are no sorted hashes", list)
			}
		}
	}
}
