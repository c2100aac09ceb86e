package rollout

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/schedule"
)

func TestDeletion(t *testing.T) {
	deleting := func(policy string) func(*Plan) {
		return func(p *Plan) { p.Deleting, p.DeletionPolicy = true, policy }
	}
	gone := func(s *Seen) { s.Program, s.Candidate, s.HostApps = nil, nil, nil }
	suspended := changed(released(), func(st *status) { st.Document.Availability = v1alpha1.AvailabilitySuspended })
	const (
		kept    = "the Rollout is deleted; stable stays with host apps"
		removed = "the Rollout is deleted; host apps remove the mini program"
	)
	for name, test := range map[string]struct {
		policy       string
		recorded     status
		seen         Seen
		availability string
		message      string
	}{
		"Retain":                                      {"Retain", released(), seeing("1.0.0"), "Retained", kept},
		"Remove":                                      {"Remove", released(), seeing("1.0.0"), "Removed", removed},
		"with a target under way":                     {"Retain", underWay(3, 2500, now), seeing("1.1.0"), "Retained", kept},
		"with all else gone":                          {"Retain", released(), seeing("1.0.0", gone), "Retained", kept},
		"nothing was ever published":                  {"Retain", status{}, seeing("1.0.0"), "", kept},
		"nothing but in the ledger":                   {"Retain", status{}, seeing("1.0.0", func(s *Seen) { s.Adopt = served("1.0.0", 7) }), "", kept},
		"a suspension outlives it":                    {"Retain", suspended, seeing("1.0.0", suspendedProgram), "Removed", removed},
		"also when the program goes at the same time": {"Retain", suspended, seeing("1.0.0", gone), "Removed", removed},
		"and in the next pass":                        {"Retain", changed(released(), func(st *status) { st.Document.Availability = "Removed" }), seeing("1.0.0", gone), "Removed", removed},
		"what was withdrawn does not stay":            {"Retain", released(), seeing("1.0.0", withdrawn("1.0.0")), "Removed", removed},
		"but what could take its place does":          {"Retain", released("0.9.0"), seeing("1.0.0", withdrawn("1.0.0")), "Retained", kept},
	} {
		t.Run(name, func(t *testing.T) {
			p := planTo("1.1.0").with(deleting(test.policy))
			got := Decide(p, test.recorded, test.seen, now)
			if got.Verb != TakeBack || got.Reason != "Deleted" || got.Message != test.message || got.Status.Target != nil {
				t.Errorf("got %s %s: %s", got.Verb, got.Reason, got.Message)
			}
			if a := outlineOf(got).Availability; a != test.availability {
				t.Fatalf("availability %s, want %s", a, test.availability)
			}
			if got.Status.Document != nil {
				rendered(t, got.Status)
			}
			if again := Decide(p, got.Status, test.seen, now); !cmp.Equal(got.Status, again.Status, cmpEmpty) {
				t.Errorf("asking again changes the record: %s", cmp.Diff(got.Status, again.Status))
			}
		})
	}
}

func TestAdoption(t *testing.T) {
	ahead := minutes(now) + 1000 // the clock was ahead when the numbers were given out
	adopt := seeing("1.1.0", func(s *Seen) {
		s.Adopt, s.LastSequence, s.LastDelivery = served("1.0.0", ahead), now.Unix()+5000, ahead
	})
	first := Decide(planTo("1.1.0"), status{}, adopt, now)
	want := outline{Verb: Advance, Reason: "Progressing", Stable: "1.0.0", Target: "1.1.0", Attempt: 1, Step: 1, Began: now, BasisPoints: 500, Availability: "Listed"}
	if diff := cmp.Diff(want, outlineOf(first)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if st := first.Status; st.Sequence != now.Unix()+5001 || st.Stable.Delivery != ahead || st.Target.Delivery != ahead+1 {
		t.Errorf("sequence %d, stable under %d, target under %d", st.Sequence, st.Stable.Delivery, st.Target.Delivery)
	}
	waiting := Decide(planTo("1.1.0"), status{}, seeing("1.1.0", unapproved, func(s *Seen) { s.Adopt, s.LastDelivery = adopt.Adopt, ahead }), now).Status
	later := Decide(planTo("1.1.0"), waiting, seeing("1.1.0"), now).Status // the ledger is not asked any more
	if later.Target.Delivery != ahead+1 {
		t.Errorf("the target of the next pass has number %d, want %d", later.Target.Delivery, ahead+1)
	}
	bad := Decide(planTo("1.0.0"), status{}, seeing("1.0.0", withdrawn("1.0.0"), func(s *Seen) { s.Adopt = adopt.Adopt }), now)
	if bad.Status.Stable != nil || bad.Status.Document.Availability != v1alpha1.AvailabilityWithdrawn {
		t.Errorf("a withdrawn version was adopted: %+v", outlineOf(bad))
	}
}

func TestHostApps(t *testing.T) {
	in := func(hostApps, stable, target []string) func(*Seen) {
		return func(s *Seen) { s.HostApps, s.StableHostApps, s.Candidate.HostApps = hostApps, stable, target }
	}
	chat, wallet, both := []string{"chat"}, []string{"wallet"}, []string{"chat", "wallet"}
	for name, test := range map[string]struct {
		recorded status
		seen     Seen
		want     []string
	}{
		"a new one gets in where all is approved":    {released(), seeing("1.0.0", in(both, both, both)), both},
		"not where stable is not":                    {released(), seeing("1.0.0", in(both, wallet, both)), wallet},
		"not where the target is not":                {underWay(1, 500, now), seeing("1.1.0", in(both, both, wallet)), wallet},
		"what is served needs no new approval":       {released(), seeing("1.0.0", in(wallet, nil, nil)), wallet},
		"one that may not be served any more is out": {changed(released(), func(st *status) { st.Document.HostApps = both }), seeing("1.0.0", in(chat, both, both)), chat},
		"the last one stays":                         {released(), seeing("1.0.0", in(nil, nil, nil)), wallet},
		"they are sorted":                            {released(), seeing("1.0.0", in([]string{"wallet", "chat"}, both, both)), both},
		"nobody: no document":                        {status{}, seeing("1.0.0", in(chat, nil, wallet)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := planTo("1.0.0")
			if test.recorded.Target != nil {
				p = planTo("1.1.0")
			}
			st := Decide(p, test.recorded, test.seen, now).Status
			var got []string
			if st.Document != nil {
				got = st.Document.HostApps
				rendered(t, st)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestPoll(t *testing.T) {
	every := func(rest, busy int32) func(*Seen) {
		return func(s *Seen) { s.PollRest, s.PollBusy = rest, busy }
	}
	endedAgo := func(d time.Duration) status {
		return changed(aborted(), func(st *status) { st.History[1].Ended = *stampAt(ago(d)) })
	}
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		want     int32
	}{
		"at rest":                  {planTo("1.0.0"), released(), seeing("1.0.0", every(600, 60)), 600},
		"at rest, by default":      {planTo("1.0.0"), released(), seeing("1.0.0"), 1800},
		"under way":                {planTo("1.1.0"), underWay(1, 500, now), seeing("1.1.0", every(600, 60)), 60},
		"under way, by default":    {planTo("1.1.0"), underWay(1, 500, now), seeing("1.1.0"), 300},
		"never rarer than at rest": {planTo("1.1.0"), underWay(1, 500, now), seeing("1.1.0", every(60, 600)), 60},
		"for a day after an abort": {planTo("1.1.0"), endedAgo(24*time.Hour - time.Second), seeing("1.1.0", every(600, 60)), 60},
		"after a day as usual":     {planTo("1.1.0"), endedAgo(24 * time.Hour), seeing("1.1.0", every(600, 60)), 600},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Decide(test.plan, test.recorded, test.seen, now).Status.Document.PollSeconds; got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

func TestRenewalKeepsTheSequence(t *testing.T) {
	issued := func(d time.Duration) status {
		return changed(released(), func(st *status) { st.Document.IssuedAt = *stampAt(ago(d)) })
	}
	check(t, map[string]decision{
		"a document of a third of its validity is signed anew": {
			planTo("1.0.0"), issued(renewed), seeing("1.0.0"),
			Move{Verb: Idle, Reason: "Complete", Message: "1.0.0 is stable for everybody", Recheck: renewed, Status: issued(0)},
		},
		"not a second before": {
			planTo("1.0.0"), issued(renewed - time.Second), seeing("1.0.0"),
			Move{Verb: Idle, Reason: "Complete", Message: "1.0.0 is stable for everybody", Recheck: time.Second, Status: issued(renewed - time.Second)},
		},
	})
}

// Whatever a Rollout waits for, its document never expires: host apps would adopt nothing
// any more, and could not tell why.
func TestADocumentIsRenewedInEveryState(t *testing.T) {
	paused := func(p *Plan) { p.Paused = true }
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
	}{
		"at rest":                      {planTo("1.0.0"), released(), seeing("1.0.0")},
		"at rest and paused":           {planTo("1.0.0").with(paused), released(), seeing("1.0.0")},
		"under way and paused":         {planTo("1.1.0", percent(5), person()).with(paused), underWay(1, 500, published), seeing("1.1.0")},
		"waiting for a person":         {planTo("1.1.0", percent(5), person()), underWay(1, 500, published), seeing("1.1.0")},
		"waiting for an approval":      {planTo("1.1.0"), underWay(1, 500, published), seeing("1.1.0", unapproved)},
		"after an abort":               {planTo("1.1.0"), aborted(), seeing("1.1.0")},
		"while the program is away":    {planTo("1.0.0"), released(), seeing("1.0.0", func(s *Seen) { s.Program = nil })},
		"while something is not right": {planTo("1.1.0"), released(), seeing("1.1.0", func(s *Seen) { s.Candidate.Problem = &Hold{"VersionNotFound", "gone"} })},
	} {
		t.Run(name, func(t *testing.T) {
			at := now
			st := Decide(test.plan, test.recorded, test.seen, at).Status
			for range 20 {
				move := Decide(test.plan, st, test.seen, at)
				if move.Recheck <= 0 || move.Recheck > renewed {
					t.Fatalf("it is looked at again after %s, want at most %s", move.Recheck, renewed)
				}
				at, st = at.Add(move.Recheck), move.Status
				next := Decide(test.plan, st, test.seen, at).Status
				if age := at.Sub(next.Document.IssuedAt.Time); age >= renewed {
					t.Fatalf("the document is %s old", age)
				}
				if next.Document.IssuedAt.Before(&st.Document.IssuedAt) {
					t.Fatal("the time of issue falls")
				}
				st = next
			}
		})
	}
}

func TestTheSequence(t *testing.T) {
	renamed := func(s *Seen) { s.Program.DisplayName = "Shoppe" }
	for name, test := range map[string]struct {
		recorded status
		seen     Seen
		want     int64
	}{
		"nothing changed":                  {released(), seeing("1.0.0"), published.Unix()},
		"the listing did":                  {released(), seeing("1.0.0", renamed), now.Unix()},
		"twice in a second":                {changed(released(), func(st *status) { st.Sequence = now.Unix() }), seeing("1.0.0", renamed), now.Unix() + 1},
		"the clock went back":              {changed(released(), func(st *status) { st.Sequence = now.Unix() + 99 }), seeing("1.0.0", renamed), now.Unix() + 100},
		"what is out is newer":             {released(), seeing("1.0.0", func(s *Seen) { s.LastSequence = now.Unix() + 50 }), now.Unix() + 51},
		"what is out is what was recorded": {released(), seeing("1.0.0", func(s *Seen) { s.LastSequence = published.Unix() }), published.Unix()},
		"no host app is known to say how often to ask": {
			changed(released(), func(st *v1alpha1.RolloutStatus) { st.Document.PollSeconds = 600 }),
			seeing("1.0.0", func(s *Seen) { s.HostApps, s.PollRest, s.PollBusy = nil, 0, 0 }), published.Unix(),
		},
		"the program is gone, its facts not": {released(), seeing("1.0.0", func(s *Seen) { s.Program = nil }), published.Unix()},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Decide(planTo("1.0.0"), test.recorded, test.seen, now).Status.Sequence; got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

func TestRecalls(t *testing.T) {
	recalls := func(n int) func(*status) {
		return func(st *status) {
			for i := range n {
				st.LastDelivery++
				st.Recalls = append(st.Recalls, v1alpha1.Recall{By: "user", Seed: fmt.Sprint(i), BasisPoints: 100, Delivery: st.LastDelivery})
			}
		}
	}
	abort := seeing("1.1.0", asked("abort@2"))
	peak := Decide(planTo("1.1.0"), changed(underWay(1, 500, now), func(st *status) { st.PeakBasisPoints = 700 }), abort, now).Status.Recalls
	want := []v1alpha1.Recall{{By: "user", Seed: appID + "@" + variant("1.1.0").Digest, BasisPoints: 700, Delivery: minutes(now), Digest: variant("1.1.0").Digest}}
	if diff := cmp.Diff(want, peak); diff != "" {
		t.Errorf("an abort recalls who ever had it: -want +got:\n%s", diff)
	}
	if none := Decide(planTo("1.1.0"), underWay(1, 0, now), abort, now).Status.Recalls; none != nil {
		t.Errorf("nobody had it, and it is recalled: %+v", none)
	}
	// The target was given its number before the recalls: they stay when it becomes stable.
	promote := seeing("1.1.0", asked("promote-full@2"))
	older := changed(underWay(1, 500, now), func(st *status) {
		st.Recalls = []v1alpha1.Recall{{By: "user", BasisPoints: 1, Delivery: st.Target.Delivery - 1}}
	})
	if left := Decide(planTo("1.1.0"), older, promote, now).Status.Recalls; len(left) != 0 {
		t.Errorf("stable's number passed the recall, which stays: %+v", left)
	}
	if left := Decide(planTo("1.1.0"), changed(underWay(1, 500, now), recalls(2)), promote, now).Status.Recalls; len(left) != 2 {
		t.Errorf("%d recalls are left, want 2: stable's number did not pass them", len(left))
	}
	twenty := Decide(planTo("1.1.0"), changed(underWay(1, 500, now), recalls(19)), abort, now).Status
	if len(twenty.Recalls) != 20 || twenty.Stable.Delivery != minutes(published) {
		t.Errorf("%d recalls, stable under %d", len(twenty.Recalls), twenty.Stable.Delivery)
	}
	more := Decide(planTo("1.1.0"), changed(underWay(1, 500, now), recalls(20)), abort, now).Status
	if len(more.Recalls) != 0 || more.Stable.Delivery != more.LastDelivery || more.LastDelivery <= minutes(published)+21 {
		t.Errorf("%d recalls, stable under %d of %d: want a new number for everybody", len(more.Recalls), more.Stable.Delivery, more.LastDelivery)
	}
	gone := Decide(planTo("1.0.0"), released(), seeing("1.0.0", withdrawn("1.0.0")), now).Status.Recalls
	want = []v1alpha1.Recall{{By: "user", Seed: appID, BasisPoints: 10000, Delivery: minutes(now), Digest: variant("1.0.0").Digest}}
	if diff := cmp.Diff(want, gone); diff != "" {
		t.Errorf("a withdrawn stable without successor is recalled from everybody: -want +got:\n%s", diff)
	}
}

func TestTheSplitIsFixedWhileATargetIsUnderWay(t *testing.T) {
	for name, test := range map[string]struct {
		recorded status
		by, seed string
	}{
		"a seed of the spec wins":             {released(), "city", "spring"},
		"a new target draws as the plan says": {released(), "device", appID},
		"by any attribute":                    {released(), "city", appID},
		"one under way goes on as it began":   {underWay(1, 500, now), "user", appID + "@" + variant("1.1.0").Digest},
	} {
		t.Run(name, func(t *testing.T) {
			p := planTo("1.1.0").with(func(p *Plan) { p.By, p.Stickiness = "device", v1alpha1.StickinessProgram })
			if test.by == "city" || test.by == "user" {
				p.By = "city"
			}
			if test.seed == "spring" || test.by == "user" {
				p.Seed = "spring"
			}
			got := Decide(p, test.recorded, seeing("1.1.0"), now).Status.Document
			if got.By != test.by || got.Seed != test.seed {
				t.Errorf("by %s with seed %s, want %s with %s", got.By, got.Seed, test.by, test.seed)
			}
		})
	}
}

func TestHistoriesAreBounded(t *testing.T) {
	p := planTo("1.1.0").with(func(p *Plan) { p.RollbackHistory, p.History = 2, 1 })
	got := Decide(p, underWay(1, 500, now, "0.7.0", "0.8.0", "0.9.0"), seeing("1.1.0", asked("promote-full@2")), now).Status
	var versions []string
	for _, v := range got.Rollbacks {
		versions = append(versions, v.Version)
	}
	if diff := cmp.Diff([]string{"0.9.0", "1.0.0"}, versions); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(got.History) != 1 || got.History[0].Version != "1.1.0" {
		t.Errorf("history %+v", got.History)
	}
}

func TestPlanOf(t *testing.T) {
	five := intstr.FromInt32(5)
	spec := v1alpha1.RolloutSpec{VersionRef: v1alpha1.VersionReference{Name: "shop-1.1.0"}, DeletionPolicy: "Remove"}
	for name, test := range map[string]struct {
		rollout v1alpha1.Rollout
		want    Plan
	}{
		"nothing but a version": {
			v1alpha1.Rollout{Spec: spec},
			Plan{VersionRef: "shop-1.1.0", By: "user", Stickiness: "Version", RollbackHistory: 5, History: 10, DeletionPolicy: "Remove"},
		},
		"everything": {
			v1alpha1.Rollout{
				ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: stampAt(now)},
				Spec: v1alpha1.RolloutSpec{
					VersionRef: spec.VersionRef, State: "Paused", DeletionPolicy: "Retain",
					Bucketing: &v1alpha1.Bucketing{By: "city", Stickiness: "Program", Seed: "spring"}, History: 3, RollbackHistory: new(int32(0)),
					Audience: &v1alpha1.Audience{
						Include: &v1alpha1.AudienceKeys{Users: []string{"ada"}}, Exclude: &v1alpha1.AudienceKeys{Users: []string{"eve"}}, Rules: inCity("Shanghai"), Completion: "Automatic",
					},
					Window: &v1alpha1.Window{Start: stampAt(now), End: stampAt(now.Add(time.Hour)), AfterWindow: "Abort"},
					Steps: []v1alpha1.RolloutStep{
						{SetPercent: &five}, {Pause: &v1alpha1.PauseStep{Seconds: 3600}}, {Pause: &v1alpha1.PauseStep{}},
						{Pause: &v1alpha1.PauseStep{TimeoutSeconds: 86400, OnTimeout: "Abort"}}, {Approval: &v1alpha1.ApprovalStep{Role: "privacy"}},
					},
					BakeSeconds: 600, ProgressDeadlineSeconds: 300,
				},
			},
			Plan{
				VersionRef: "shop-1.1.0", Paused: true, By: "city", Stickiness: "Program", Seed: "spring", History: 3, Deleting: true, DeletionPolicy: "Retain",
				Audience:         Audience{Include: []string{"ada"}, Exclude: []string{"eve"}, Rules: inCity("Shanghai"), Completion: "Automatic"},
				Window:           Window{Start: now, End: now.Add(time.Hour), After: "Abort"},
				Steps:            []Step{percent(5), seconds(3600), person(), timeout(86400, "Abort"), approval("privacy"), bake(600)},
				ProgressDeadline: 5 * time.Minute,
			},
		},
		"a preset": {
			v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{
				VersionRef: spec.VersionRef, DeletionPolicy: "Remove", BakeSeconds: 60,
				Preset: &v1alpha1.Preset{Type: "Linear", Linear: &v1alpha1.LinearPreset{Percent: 50, EverySeconds: 30}},
			}},
			planTo("1.1.0", percent(50), seconds(30), percent(100), bake(60)).with(func(p *Plan) { p.DeletionPolicy = "Remove" }),
		},
		"a bake without a share": {
			v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{VersionRef: spec.VersionRef, DeletionPolicy: "Remove", BakeSeconds: 60}},
			planTo("1.1.0", percent(100), bake(60)).with(func(p *Plan) { p.DeletionPolicy = "Remove" }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := PlanOf(&test.rollout)
			if diff := cmp.Diff(test.want, got, cmp.Comparer(func(a, b schedule.Calendar) bool { return reflect.DeepEqual(a, b) })); diff != "" || err != nil {
				t.Errorf("%v, -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestPlanOfNamesTheFieldThatItCannotRead(t *testing.T) {
	five := intstr.FromInt32(5)
	calendar := func(e v1alpha1.CalendarEntry) v1alpha1.RolloutSpec {
		return v1alpha1.RolloutSpec{Calendar: []v1alpha1.CalendarEntry{{Schedule: "* * * * *", DurationSeconds: 60, Effect: "Allow"}, e}}
	}
	for want, spec := range map[string]v1alpha1.RolloutSpec{
		"spec.steps[1]: needs setPercent, pause, approval or analysis":                                      {Steps: []v1alpha1.RolloutStep{{SetPercent: &five}, {}}},
		"spec.preset.linear.percent must be from 1 to 100, not 0":                                           {Preset: &v1alpha1.Preset{Type: "Linear", Linear: &v1alpha1.LinearPreset{}}},
		`spec.calendar[1].timeZone: "Local" is where the manager runs: name a place, such as Asia/Shanghai`: calendar(v1alpha1.CalendarEntry{Schedule: "0 9 * * *", DurationSeconds: 60, TimeZone: "Local", Effect: "Deny"}),
	} {
		got, err := PlanOf(&v1alpha1.Rollout{Spec: spec})
		if err == nil || err.Error() != want || got.Steps != nil {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestWhatIsWithheldUnderWayIsNoLongerDeclared(t *testing.T) {
	declares := func(names ...string) *v1alpha1.Declaration {
		out := &v1alpha1.Declaration{}
		for _, n := range names {
			out.Permissions = append(out.Permissions, v1alpha1.Permission{Name: n, Need: "Optional"})
		}
		return out
	}
	recorded := func(names ...string) status {
		return changed(underWay(3, 2500, ago(time.Minute)), func(st *status) { st.Target.Declaration = declares(names...) })
	}
	now11 := func(change func(*Seen), names ...string) Seen {
		return seeing("1.1.0", func(s *Seen) { s.Candidate.Variant.Declaration = declares(names...) }, change)
	}
	plain := func(*Seen) {}
	for name, test := range map[string]struct {
		recorded status
		plan     Plan
		seen     Seen
		want     *v1alpha1.Declaration
		sequence int64
	}{
		"nothing is withheld": {recorded("camera", "album"), planTo("1.1.0"), now11(plain, "camera", "album"), declares("camera", "album"), published.Unix()},
		"one is":              {recorded("camera", "album"), planTo("1.1.0"), now11(plain, "album"), declares("album"), now.Unix()},
		"while it is paused": {
			recorded("camera", "album"), planTo("1.1.0").with(func(p *Plan) { p.Paused = true }), now11(plain, "album"), declares("album"), now.Unix(),
		},
		"while the gate is shut":           {recorded("camera", "album"), planTo("1.1.0"), now11(unapproved, "album"), declares("album"), now.Unix()},
		"before it becomes stable":         {recorded("camera", "album"), planTo("1.1.0"), now11(asked("promote-full@2"), "album"), declares("album"), now.Unix()},
		"what agreed to less has expired":  {recorded("album"), planTo("1.1.0"), now11(plain, "camera", "album"), declares("album"), published.Unix()},
		"the spec names another meanwhile": {recorded("camera"), planTo("1.2.0"), seeing("1.2.0", unapproved), declares("camera"), published.Unix()},
		"the version does not say it now":  {recorded("camera"), planTo("1.1.0"), seeing("1.1.0"), declares("camera"), published.Unix()},
	} {
		t.Run(name, func(t *testing.T) {
			st := Decide(test.plan, test.recorded, test.seen, now).Status
			got := st.Target
			if got == nil {
				got = st.Stable
			}
			if diff := cmp.Diff(test.want, got.Declaration, cmpEmpty); diff != "" || got.Version != "1.1.0" || st.Sequence != test.sequence {
				t.Errorf("%s is under sequence %d, want %d; -want +got:\n%s", got.Version, st.Sequence, test.sequence, diff)
			}
		})
	}
}
