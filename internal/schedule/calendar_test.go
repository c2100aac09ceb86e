package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// monday is a Monday at noon, in summer.
var monday = time.Date(2026, 7, 6, 12, 0, 0, 0, time.UTC)

func calendar(t interface{ Fatal(...any) }, entries ...v1alpha1.CalendarEntry) Calendar {
	c, err := ReadCalendar("spec.calendar", entries)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func deny(schedule string, duration time.Duration, zone ...string) v1alpha1.CalendarEntry {
	return v1alpha1.CalendarEntry{
		Schedule: schedule, DurationSeconds: int64(duration / time.Second), Effect: v1alpha1.CalendarDeny, TimeZone: strings.Join(zone, ""),
	}
}

func allow(schedule string, duration time.Duration, zone ...string) v1alpha1.CalendarEntry {
	e := deny(schedule, duration, zone...)
	e.Effect = v1alpha1.CalendarAllow
	return e
}

func TestWhenSharesMayGrow(t *testing.T) {
	const day = 24 * time.Hour
	at := func(text string) time.Time {
		parsed, err := time.Parse("2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for name, test := range map[string]struct {
		entries []v1alpha1.CalendarEntry
		now     time.Time
		want    Opening
	}{
		"no entries": {nil, monday, Opening{Open: true}},
		"office hours, at noon": {
			[]v1alpha1.CalendarEntry{allow("0 9 * * 1-5", 8*time.Hour)}, monday,
			Opening{Open: true, Changes: at("2026-07-06 17:00")},
		},
		"and in the evening": {
			[]v1alpha1.CalendarEntry{allow("0 9 * * 1-5", 8*time.Hour)}, at("2026-07-06 17:00"),
			Opening{Why: "no Allow of spec.calendar is on", Changes: at("2026-07-07 09:00")},
		},
		"and on Friday evening": {
			[]v1alpha1.CalendarEntry{allow("0 9 * * 1-5", 8*time.Hour)}, at("2026-07-10 18:00"),
			Opening{Why: "no Allow of spec.calendar is on", Changes: at("2026-07-13 09:00")},
		},
		"elsewhere it is evening already": {
			[]v1alpha1.CalendarEntry{allow("0 9 * * 1-5", 8*time.Hour, "Asia/Shanghai")}, monday,
			Opening{Why: "no Allow of spec.calendar is on", Changes: at("2026-07-07 01:00")},
		},
		"a Deny wins over an Allow": {
			[]v1alpha1.CalendarEntry{allow("0 9 * * *", 8*time.Hour), deny("30 11 * * *", time.Hour)}, monday,
			Opening{Why: "the Deny of spec.calendar[1] is on", Changes: at("2026-07-06 12:30")},
		},
		"what opens and is shut at once is shut": {
			[]v1alpha1.CalendarEntry{allow("0 13 * * *", time.Hour), deny("0 13 * * *", 30*time.Minute)}, monday,
			Opening{Why: "no Allow of spec.calendar is on", Changes: at("2026-07-06 13:30")},
		},
		"one of several Allows is enough": {
			[]v1alpha1.CalendarEntry{allow("0 3 * * *", time.Hour), allow("0 11 * * *", 2*time.Hour)}, monday,
			Opening{Open: true, Changes: at("2026-07-06 13:00")},
		},
		"a Deny that lasts a week began days ago": {
			[]v1alpha1.CalendarEntry{deny("0 0 1 7 *", 7*day)}, monday,
			Opening{Why: "the Deny of spec.calendar[0] is on", Changes: at("2026-07-08 00:00")},
		},
		"beginnings that come sooner than the end run together": {
			[]v1alpha1.CalendarEntry{deny("0 9-14 * * *", time.Hour)}, monday,
			Opening{Why: "the Deny of spec.calendar[0] is on", Changes: at("2026-07-06 15:00")},
		},
		"a day that never comes shuts nothing": {
			[]v1alpha1.CalendarEntry{deny("0 0 30 2 *", day)}, monday, Opening{Open: true},
		},
		"nor does it open anything": {
			[]v1alpha1.CalendarEntry{allow("0 0 31 4 *", day)}, monday, Opening{Why: "no Allow of spec.calendar is on"},
		},
		"the next leap day": {
			[]v1alpha1.CalendarEntry{allow("0 0 29 2 *", day)}, monday,
			Opening{Why: "no Allow of spec.calendar is on", Changes: at("2028-02-29 00:00")},
		},
		"a day of the month or of the week": {
			[]v1alpha1.CalendarEntry{allow("0 0 20 * 3", day)}, monday,
			Opening{Why: "no Allow of spec.calendar is on", Changes: at("2026-07-08 00:00")},
		},
		"a Deny in the hour that summer time leaves out": {
			[]v1alpha1.CalendarEntry{deny("30 2 * * 0", day, "America/New_York")}, at("2026-03-08 12:00"),
			Opening{Why: "the Deny of spec.calendar[0] is on", Changes: at("2026-03-09 06:30")},
		},
		"and the end of one in the hour that comes twice": {
			[]v1alpha1.CalendarEntry{deny("40 1 * * 0", 45*time.Minute, "America/New_York")}, at("2026-11-01 06:10"),
			Opening{Why: "the Deny of spec.calendar[0] is on", Changes: at("2026-11-01 06:25")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := At(test.now, calendar(t, test.entries...))
			got.Ask, got.Changes = time.Time{}, got.Changes.UTC()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestSeveralCalendarsHoldBesideEachOther(t *testing.T) {
	office := calendar(t, allow("0 9 * * 1-5", 8*time.Hour))
	policy, err := ReadCalendar("ReviewPolicy base spec.rollout.calendar", []v1alpha1.CalendarEntry{allow("0 14 * * *", time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for now, want := range map[time.Time]string{
		monday:                    "no Allow of ReviewPolicy base spec.rollout.calendar is on",
		monday.Add(2 * time.Hour): "",
		monday.Add(6 * time.Hour): "no Allow of spec.calendar is on",
	} {
		if got := At(now, Calendar{}, office, policy); got.Why != want || got.Open != (want == "") {
			t.Errorf("at %s: %+v, want %q", now, got, want)
		}
	}
}

func TestACalendarThatNobodyCanReadIsAnErrorThatNamesTheField(t *testing.T) {
	const form = `must be the five fields of cron, such as "0 9 * * 1-5": `
	for want, e := range map[string]v1alpha1.CalendarEntry{
		`spec.calendar[0].schedule: "": ` + form + `empty spec string`:                                                      deny("", time.Hour),
		`spec.calendar[0].schedule: "0 9 * *": ` + form + `expected exactly 5 fields, found 4: [0 9 * *]`:                   deny("0 9 * *", time.Hour),
		`spec.calendar[0].schedule: "@daily": ` + form + `parser does not accept descriptors: @daily`:                       deny("@daily", time.Hour),
		`spec.calendar[0].schedule: "61 * * * *": ` + form + `end of range (61) above maximum (59): 61`:                     deny("61 * * * *", time.Hour),
		`spec.calendar[0].schedule: ", * * * *": ` + form + `one of them names no time`:                                     deny(", * * * *", time.Hour),
		`spec.calendar[0].schedule: "TZ=": name the time zone in timeZone, not in the schedule`:                             deny("TZ=", time.Hour),
		`spec.calendar[0].schedule: "CRON_TZ=UTC 0 9 * * *": name the time zone in timeZone, not in the schedule`:           deny("CRON_TZ=UTC 0 9 * * *", time.Hour),
		`spec.calendar[0].timeZone: "Mars/Olympus" is not known: write it as Asia/Shanghai: unknown time zone Mars/Olympus`: deny("0 9 * * *", time.Hour, "Mars/Olympus"),
		`spec.calendar[0].timeZone: "local" is where the manager runs: name a place, such as Asia/Shanghai`:                 deny("0 9 * * *", time.Hour, "local"),
		`spec.calendar[0].timeZone: "../etc/passwd" is not known: write it as Asia/Shanghai: time: invalid location name`:   deny("0 9 * * *", time.Hour, "../etc/passwd"),
	} {
		if _, err := ReadCalendar("spec.calendar", []v1alpha1.CalendarEntry{e}); err == nil || err.Error() != want {
			t.Errorf("%q in %q: got %v, want %s", e.Schedule, e.TimeZone, err, want)
		}
	}
}

// A schedule is any text of a hundred characters, so nothing that it says may make an
// answer take long, or crash.
func FuzzSchedules(f *testing.F) {
	for _, s := range []string{"0 0 30 2 *", "* * * * *", "*/7 */5 */3 */2 *", "0-59/59 23 31 2-12/2 ?", "TZ= ", "1,2,3 4 5 6 7", "@every 1s"} {
		f.Add(s, int64(60), int64(0))
		f.Add(s, int64(31536000), int64(1e9))
	}
	f.Fuzz(func(t *testing.T, text string, seconds, now int64) {
		if len(text) > 100 {
			return
		}
		e := deny(text, time.Duration(60+uint64(seconds)%31535940)*time.Second, "America/New_York")
		c, err := ReadCalendar("spec.calendar", []v1alpha1.CalendarEntry{e})
		if err != nil {
			return
		}
		at := time.Unix(now%(1<<33), 0)
		if got := At(at, c); !got.Changes.IsZero() && !got.Changes.After(at) || !got.Ask.After(at) {
			t.Fatalf("%q at %s: %+v", text, at, got)
		}
	})
}

func TestHostileCalendarsTakeBoundedWork(t *testing.T) {
	hostile := map[string][]v1alpha1.CalendarEntry{}
	for _, text := range []string{"* * * * *", "0 0 30 2 *", "59 23 31 12 *", "*/2 * * * *", "0 0 29 2 1"} {
		for _, duration := range []time.Duration{time.Minute, time.Hour, 365 * 24 * time.Hour} {
			for range 10 {
				name := fmt.Sprintf("%s for %s", text, duration)
				hostile[name] = append(hostile[name], deny(text, duration, "America/New_York"), allow(text, duration))
			}
		}
	}
	for name, entries := range hostile {
		c := calendar(t, entries...)
		turns := turns{now: monday, days: maxDays + yearDays*len(entries)}
		for _, e := range c.entries {
			on, until := e.span(monday, &turns)
			turns.spans = append(turns.spans, span{on, until})
		}
		changes, ask := turns.next([]Calendar{c}, turns.why([]Calendar{c}) == "")
		// What is on now is always found out, and that takes a year of days for an entry at most.
		if most := yearDays * len(entries) * 6; -turns.days > most {
			t.Errorf("%s: %d days more than there should be were looked at", name, -turns.days)
		}
		if !ask.After(monday) || !changes.IsZero() && !changes.Equal(ask) {
			t.Errorf("%s: changes %s, ask %s", name, changes, ask)
		}
	}
}

// The peer is the library's own search, which only goes forward.
func TestAnyCalendarAgreesWithTheLibrarysSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []v1alpha1.CalendarEntry
		for range rapid.IntRange(1, 3).Draw(t, "entries") {
			text := rapid.SampledFrom([]string{"*/20 * * * *", "0 9 * * 1-5", "30 22 * * *", "15 3,15 * 7 *", "0 0 6 * *", "0 0 8 * 2", "5 4 * * 0"}).Draw(t, "schedule")
			e := deny(text, time.Duration(rapid.SampledFrom([]int{1, 20, 59, 600, 3000}).Draw(t, "minutes"))*time.Minute)
			e.Effect = rapid.SampledFrom([]string{v1alpha1.CalendarAllow, v1alpha1.CalendarDeny}).Draw(t, "effect")
			entries = append(entries, e)
		}
		c := calendar(t, entries...)
		now := monday.Add(time.Duration(rapid.IntRange(-20000, 20000).Draw(t, "minute")) * time.Minute)
		got := At(now, c)
		if want := peer(c, now); got.Open != want {
			t.Fatalf("%+v at %s: open %v, want %v", entries, now, got.Open, want)
		}
		if got.Changes.IsZero() {
			return
		}
		if peer(c, got.Changes) == got.Open {
			t.Fatalf("%+v at %s: nothing changes at %s", entries, now, got.Changes)
		}
		left := int(got.Changes.Sub(now) / time.Minute)
		for range 10 {
			at := now.Add(time.Duration(rapid.IntRange(0, left-1).Draw(t, "before")) * time.Minute)
			if peer(c, at) != got.Open {
				t.Fatalf("%+v: it changes at %s, and not only at %s", entries, at, got.Changes)
			}
		}
	})
}

func peer(c Calendar, now time.Time) bool {
	allows, allowed := false, false
	for _, e := range c.entries {
		times := *e.times
		times.Second, times.Location = 1, time.UTC
		// The library takes the next after a time; what begins now counts, and what ended now does not.
		begin := times.Next(now.Add(-e.duration))
		on := !begin.IsZero() && !begin.After(now)
		if e.deny && on {
			return false
		}
		allows, allowed = allows || !e.deny, allowed || !e.deny && on
	}
	return !allows || allowed
}
