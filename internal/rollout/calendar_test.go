package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/schedule"
)

// denied is a calendar that is shut at now, a Sunday at noon, for an hour; opens is its end.
var (
	denied = mustRead(v1alpha1.CalendarEntry{Schedule: "0 11 * * 0", DurationSeconds: 7200, Effect: v1alpha1.CalendarDeny})
	opens  = now.Add(time.Hour)
)

func mustRead(entries ...v1alpha1.CalendarEntry) schedule.Calendar {
	c, err := schedule.ReadCalendar("spec.calendar", entries)
	if err != nil {
		panic(err)
	}
	return c
}

func shutNow(p *Plan) { p.Calendar = denied }

// byPolicy shuts the calendar of a policy.
func byPolicy(s *Seen) { s.Calendars = []schedule.Calendar{denied} }

func TestACalendarHoldsGrowthAndNothingElse(t *testing.T) {
	const why = "the share may not grow before 2026-11-22T13:00:00Z: the Deny of spec.calendar[0] is on"
	closed := func(attempt, step, share int32) outline {
		return outline{Verb: Wait, Reason: ReasonCalendarClosed, Stable: "1.0.0", Target: "1.1.0", Attempt: attempt, Step: step, Began: now, BasisPoints: share, Availability: "Listed"}
	}
	with := func(o outline, change func(*outline)) outline { change(&o); return o }
	back := outline{Verb: TakeBack, Reason: "Aborted", Stable: "1.0.0", Attempt: 2, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"}
	hourAgo := ago(time.Hour)
	shutPlan := planTo("1.1.0").with(shutNow)
	full := func(st *status) { st.Promotion = v1alpha1.PromotionFull }
	approved := func(s *Seen) {
		s.Answers = map[Question]Answer{{Attempt: 2, Step: 1, Role: "privacy", Digest: variant("1.1.0").Digest}: {Approved: true}}
	}
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		want     outline
		until    time.Time
		answer   string
	}{
		"the first share waits":               {shutPlan, released(), seeing("1.1.0"), closed(2, 0, 0), opens, ""},
		"so it does for a policy's calendar":  {planTo("1.1.0"), released(), seeing("1.1.0", byPolicy), closed(2, 0, 0), opens, ""},
		"the next share waits":                {shutPlan, underWay(1, 500, hourAgo), seeing("1.1.0"), closed(2, 2, 500), opens, ""},
		"being stable for everybody waits":    {planTo("1.1.0", percent(5), seconds(60)).with(shutNow), underWay(1, 500, hourAgo), seeing("1.1.0"), closed(2, 2, 500), opens, ""},
		"a bake is over meanwhile":            {planTo("1.1.0", percent(5), bake(60)).with(shutNow), underWay(2, 500, hourAgo), seeing("1.1.0"), with(closed(2, 2, 500), func(o *outline) { o.Began = hourAgo }), opens, ""},
		"without steps, too":                  {planTo("1.1.0").with(noSteps).with(shutNow), released(), seeing("1.1.0"), closed(2, 0, 0), opens, ""},
		"a share of nobody is no growth":      {planTo("1.1.0", percent(0), person()).with(shutNow), released(), seeing("1.1.0"), with(closed(2, 1, 0), func(o *outline) { o.Reason = "WaitsForPromote" }), time.Time{}, ""},
		"a pause runs out meanwhile":          {shutPlan, underWay(1, 500, ago(10*time.Second)), seeing("1.1.0"), with(closed(2, 1, 500), func(o *outline) { o.Verb, o.Reason, o.Began = Advance, "Progressing", ago(10*time.Second) }), now.Add(50 * time.Second), ""},
		"a person waits meanwhile":            {shutPlan, underWay(3, 2500, hourAgo), seeing("1.1.0"), with(closed(2, 3, 2500), func(o *outline) { o.Reason, o.Began = "WaitsForPromote", hourAgo }), time.Time{}, ""},
		"what was promoted fully waits":       {planTo("1.1.0", percent(5), approval("privacy"), percent(25)).with(shutNow), changed(underWay(1, 500, hourAgo), full), seeing("1.1.0", approved), with(closed(2, 3, 500), func(o *outline) { o.Promotion = "Full" }), opens, ""},
		"promote is refused":                  {shutPlan, underWay(3, 2500, hourAgo), seeing("1.1.0", asked("promote@2/3")), with(closed(2, 3, 2500), func(o *outline) { o.Reason, o.Began = "WaitsForPromote", hourAgo }), time.Time{}, "Refused " + why},
		"promote-full is refused":             {shutPlan, underWay(3, 2500, hourAgo), seeing("1.1.0", asked("promote-full@2")), with(closed(2, 3, 2500), func(o *outline) { o.Reason, o.Began = "WaitsForPromote", hourAgo }), time.Time{}, "Refused " + why},
		"a retry is refused":                  {shutPlan, aborted(), seeing("1.1.0", asked("retry@2")), with(back, func(o *outline) { o.Verb = Wait }), time.Time{}, "Refused " + why},
		"an abort is not held":                {shutPlan, underWay(3, 2500, hourAgo), seeing("1.1.0", asked("abort@2")), back, time.Time{}, "Done the target was taken back"},
		"a withdrawal is not held":            {shutPlan, underWay(3, 2500, hourAgo), seeing("1.1.0", withdrawn("1.1.0")), back, time.Time{}, ""},
		"a timeout that aborts is not held":   {planTo("1.1.0", percent(5), timeout(60, "Abort")).with(shutNow), underWay(1, 500, hourAgo), seeing("1.1.0"), back, time.Time{}, ""},
		"a rollback in Git is not held":       {planTo("0.9.0").with(shutNow), underWay(3, 2500, hourAgo, "0.9.0"), seeing("0.9.0"), outline{Verb: TakeBack, Reason: "RolledBack", Stable: "0.9.0", Attempt: 3, BasisPoints: 10000, Outcome: "RolledBack", Availability: "Listed"}, time.Time{}, ""},
		"a rollback by action is not held":    {shutPlan, underWay(3, 2500, hourAgo, "0.9.0"), seeing("1.1.0", asked("rollback@2/0.9.0")), outline{Verb: TakeBack, Reason: "RolledBack", Stable: "0.9.0", Attempt: 3, BasisPoints: 10000, Refused: "shop-1.1.0", Outcome: "RolledBack", Availability: "Listed"}, time.Time{}, "Done 0.9.0 is stable again for everybody"},
		"another target takes the first back": {planTo("1.2.0").with(shutNow), underWay(3, 2500, hourAgo), seeing("1.2.0"), with(closed(3, 0, 0), func(o *outline) { o.Target, o.Attempt = "1.2.0", 3 }), opens, ""},
		"a gate that is shut is told first":   {shutPlan, underWay(1, 500, hourAgo), seeing("1.1.0", unapproved), with(closed(2, 1, 500), func(o *outline) { o.Reason, o.Began = "NotApproved", hourAgo }), time.Time{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(test.plan, test.recorded, test.seen, now)
			if diff := cmp.Diff(test.want, outlineOf(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			until, answer := time.Time{}, ""
			if s := got.Status.Step; s != nil && s.Until != nil {
				until = s.Until.Time
			}
			if a := got.Status.LastAction; a != nil {
				answer = a.Result + " " + a.Message
			}
			if !until.Equal(test.until) || answer != test.answer {
				t.Errorf("until %s, want %s; answer %q, want %q", until, test.until, answer, test.answer)
			}
			if got.Reason == ReasonCalendarClosed && (got.Recheck != time.Hour || got.Waits) {
				t.Errorf("rechecks after %s, and somebody has to act: %v", got.Recheck, got.Waits)
			}
		})
	}
}

func TestACalendarOpensByItself(t *testing.T) {
	plan := planTo("1.1.0").with(shutNow)
	held := Decide(plan, released(), seeing("1.1.0"), now)
	const want = "1.1.0 is at 0%, and the share may not grow before 2026-11-22T13:00:00Z: the Deny of spec.calendar[0] is on. " +
		"It goes on by itself then; annotate miniprogram.dev/action=abort@2 to take it back, or change the calendar"
	if held.Message != want {
		t.Errorf("says %q, want %q", held.Message, want)
	}
	for at, share := range map[time.Time]int32{opens.Add(-time.Second): 0, opens: 500} {
		if got := Decide(plan, held.Status, seeing("1.1.0"), at).Status.BasisPoints; got != share {
			t.Errorf("at %s: %d basis points, want %d", at, got, share)
		}
	}
}

func TestABakeIsTheLastPause(t *testing.T) {
	plan := planTo("1.1.0", percent(100), bake(600))
	start := Decide(plan, released(), seeing("1.1.0"), now)
	want := changed(underWay(1, 10000, now), decidedNow, until(now.Add(10*time.Minute)), func(st *status) {
		st.Target.Delivery, st.LastDelivery, st.Step.Kind = minutes(now), minutes(now), "Bake"
	})
	if diff := cmp.Diff(want, start.Status, cmpEmpty); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for after, stable := range map[time.Duration]string{599 * time.Second: "1.0.0", 600 * time.Second: "1.1.0"} {
		if got := Decide(plan, start.Status, seeing("1.1.0"), now.Add(after)).Status.Stable.Version; got != stable {
			t.Errorf("after %s %s is stable, want %s", after, got, stable)
		}
	}
	if got := Decide(plan, start.Status, seeing("1.1.0", asked("abort@2")), now); got.Verb != TakeBack || got.Status.Recalls[0].BasisPoints != 10000 {
		t.Errorf("an abort while it bakes: %+v", got)
	}
}

func TestAnEditedPresetKeepsTheShare(t *testing.T) {
	preset := func(percent int32, every int64) Plan {
		p, err := PlanOf(&v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{
			VersionRef: v1alpha1.VersionReference{Name: "shop-1.1.0"}, BakeSeconds: 60,
			Preset: &v1alpha1.Preset{Type: "Linear", Linear: &v1alpha1.LinearPreset{Percent: percent, EverySeconds: every}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	immediate, err := PlanOf(&v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{
		VersionRef: v1alpha1.VersionReference{Name: "shop-1.1.0"}, BakeSeconds: 60, Preset: &v1alpha1.Preset{Type: "Immediate"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	began := ago(time.Minute)
	recorded := underWay(5, 3000, began) // of 10 % each hour
	for name, test := range map[string]struct {
		plan  Plan
		step  int32
		share int32
		began time.Time
	}{
		"the same":               {preset(10, 3600), 5, 3000, began},
		"a longer pause":         {preset(10, 7200), 5, 3000, began},
		"a shorter one is over":  {preset(10, 60), 7, 4000, now},
		"smaller steps":          {preset(5, 3600), 11, 3000, now},
		"larger steps":           {preset(25, 3600), 3, 5000, now},
		"everybody, and a bake":  {immediate, 1, 10000, now},
		"without what it was at": {preset(1, 3600), 59, 3000, now},
	} {
		t.Run(name, func(t *testing.T) {
			st := Decide(test.plan, recorded, seeing("1.1.0"), now).Status
			if st.Step == nil || st.Step.Index != test.step || st.BasisPoints != test.share || !st.Step.Began.Equal(stampAt(test.began)) {
				t.Errorf("at %+v with %d, want step %d with %d since %s", st.Step, st.BasisPoints, test.step, test.share, test.began)
			}
		})
	}
}

// Whose users get the target for the first time make it grow.
func TestACalendarKeepsAHostAppFromJoiningATarget(t *testing.T) {
	both := func(s *Seen) {
		s.HostApps, s.StableHostApps, s.Candidate.HostApps = []string{"chat", "wallet"}, []string{"chat", "wallet"}, []string{"chat", "wallet"}
	}
	alone, joined := []string{"wallet"}, []string{"chat", "wallet"}
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		at       time.Time
		want     []string
		remark   bool
	}{
		"it waits":                        {planTo("1.1.0").with(shutNow), underWay(3, 2500, ago(time.Hour)), seeing("1.1.0", both), now, alone, true},
		"a policy's calendar, too":        {planTo("1.1.0"), underWay(3, 2500, ago(time.Hour)), seeing("1.1.0", both, byPolicy), now, alone, true},
		"until it opens":                  {planTo("1.1.0").with(shutNow), underWay(3, 2500, ago(time.Hour)), seeing("1.1.0", both), opens, joined, false},
		"not where nobody has the target": {planTo("1.1.0").with(shutNow), underWay(0, 0, ago(time.Hour)), seeing("1.1.0", both), now, joined, false},
		"not for stable":                  {planTo("1.0.0").with(shutNow), released(), seeing("1.0.0", both), now, joined, false},
		"who is there stays":              {planTo("1.1.0").with(shutNow), changed(underWay(3, 2500, ago(time.Hour)), func(st *status) { st.Document.HostApps = joined }), seeing("1.1.0", both), now, joined, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(test.plan, test.recorded, test.seen, test.at)
			if diff := cmp.Diff(test.want, got.Status.Document.HostApps); diff != "" {
				t.Errorf("host apps (-want +got):\n%s", diff)
			}
			const remark = "host app chat is approved and does not join yet, for the share may not grow before 2026-11-22T13:00:00Z"
			if strings.Contains(got.Message, remark) != test.remark {
				t.Errorf("it says %q", got.Message)
			}
			if test.remark && got.Recheck > time.Hour {
				t.Errorf("it looks again after %s", got.Recheck)
			}
		})
	}
}
