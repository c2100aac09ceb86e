package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Calendar says when shares may grow. The zero value never shuts.
type Calendar struct {
	entries []entry
	// field is where the entries stand, and of what, for people.
	field string
}

// entry is on from each beginning for its duration.
type entry struct {
	field    string
	times    *cron.SpecSchedule
	zone     *time.Location
	duration time.Duration
	deny     bool
}

// The five fields of a CronJob, without names such as @daily, and without a time
// zone inside, which has a field of its own.
var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// ReadCalendar reads the entries of a field, such as spec.calendar. What the API
// server cannot read comes back as an error that names the entry and its field.
func ReadCalendar(field string, entries []v1alpha1.CalendarEntry) (Calendar, error) {
	if len(entries) == 0 {
		return Calendar{}, nil
	}
	c := Calendar{field: field}
	for i, e := range entries {
		at := fmt.Sprintf("%s[%d]", field, i)
		times, err := readSchedule(e.Schedule)
		if err != nil {
			return Calendar{}, fmt.Errorf("%s.schedule: %q: %w", at, e.Schedule, err)
		}
		zone, err := readZone(e.TimeZone)
		if err != nil {
			return Calendar{}, fmt.Errorf("%s.timeZone: %w", at, err)
		}
		c.entries = append(c.entries, entry{
			field: at, times: times, zone: zone, duration: time.Duration(e.DurationSeconds) * time.Second,
			deny: e.Effect != v1alpha1.CalendarAllow, // a word that nobody understands opens nothing
		})
	}
	return c, nil
}

func readSchedule(text string) (*cron.SpecSchedule, error) {
	if strings.Contains(text, "TZ=") {
		return nil, errors.New("name the time zone in timeZone, not in the schedule")
	}
	parsed, err := parser.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("must be the five fields of cron, such as \"0 9 * * 1-5\": %w", err)
	}
	times, is := parsed.(*cron.SpecSchedule)
	if !is || times.Minute == 0 || times.Hour == 0 || times.Dom == 0 || times.Month == 0 || times.Dow == 0 {
		return nil, errors.New("must be the five fields of cron, such as \"0 9 * * 1-5\": one of them names no time")
	}
	return times, nil
}

func readZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if strings.EqualFold(name, "Local") {
		return nil, fmt.Errorf("%q is where the manager runs: name a place, such as Asia/Shanghai", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not known: write it as Asia/Shanghai: %w", name, err)
	}
	return zone, nil
}

// How far an answer looks. A day of a schedule costs some microseconds at most.
const (
	horizon  = 5 * 366 * 24 * time.Hour
	maxDays  = 2_000 // beside those that tell what is on now
	yearDays = 367
	maxTurns = 2_000
	// A schedule of which nothing is known is asked again after this.
	leastAsk = time.Minute
)

// Opening is whether shares may grow at a time, and until when that holds.
type Opening struct {
	Open bool
	// Why says what shuts it; empty: nothing.
	Why string
	// Changes is when Open changes; zero: that is not known.
	Changes time.Time
	// Ask is when to ask again at the latest; zero: never.
	Ask time.Time
}

// At tells whether the calendars let shares grow now.
func At(now time.Time, calendars ...Calendar) Opening {
	t := turns{now: now, days: maxDays}
	for _, c := range calendars {
		t.days += yearDays * len(c.entries)
	}
	for _, c := range calendars {
		for _, e := range c.entries {
			on, until := e.span(now, &t)
			t.spans = append(t.spans, span{on, until})
		}
	}
	if len(t.spans) == 0 {
		return Opening{Open: true}
	}
	why := t.why(calendars)
	answer := Opening{Open: why == "", Why: why}
	answer.Changes, answer.Ask = t.next(calendars, answer.Open)
	return answer
}

// span is whether an entry is on, and until when that is sure; zero: through the horizon.
type span struct {
	on    bool
	until time.Time
}

// turns walks from one change of an entry to the next.
type turns struct {
	now   time.Time
	spans []span // of all entries of all calendars, in their order
	days  int    // that may still be looked at
}

// why says what shuts, as the spans are; empty: nothing.
func (t *turns) why(calendars []Calendar) string {
	i := 0
	for _, c := range calendars {
		allows, allowed := false, false
		for _, e := range c.entries {
			on := t.spans[i].on
			i++
			switch {
			case e.deny && on:
				return "the Deny of " + e.field + " is on"
			case !e.deny:
				allows, allowed = true, allowed || on
			}
		}
		if allows && !allowed {
			return "no Allow of " + c.field + " is on"
		}
	}
	return ""
}

// next is when open changes, and when to ask again if that cannot be told.
func (t *turns) next(calendars []Calendar, open bool) (changes, ask time.Time) {
	at := t.now
	for range maxTurns {
		soonest := time.Time{}
		for _, s := range t.spans {
			if !s.until.IsZero() && (soonest.IsZero() || s.until.Before(soonest)) {
				soonest = s.until
			}
		}
		if soonest.IsZero() {
			return time.Time{}, t.now.Add(horizon)
		}
		at = soonest
		i := 0
		for _, c := range calendars {
			for _, e := range c.entries {
				if !t.spans[i].until.IsZero() && !t.spans[i].until.After(at) {
					t.spans[i].on, t.spans[i].until = e.span(at, t)
				}
				i++
			}
		}
		if t.days <= 0 {
			break
		}
		if (t.why(calendars) == "") != open {
			return at, at
		}
	}
	if least := t.now.Add(leastAsk); at.Before(least) {
		at = least
	}
	return time.Time{}, at
}
