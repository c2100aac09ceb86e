package schedule

import (
	"math/bits"
	"time"
)

// starBit is set in a field of cron that was a star: days must then match both
// fields for days, and else one of them.
const starBit = 1 << 63

// span tells whether the entry is on at a time, and until when that is sure.
func (e entry) span(at time.Time, t *turns) (on bool, until time.Time) {
	begin, found := e.last(at, t)
	if !found {
		return false, e.first(at, t)
	}
	end := begin.Add(e.duration)
	for range maxTurns { // a beginning before the end carries it on
		later, found := e.last(end, t)
		if !found || !later.Add(e.duration).After(end) || t.days <= 0 {
			break
		}
		end = later.Add(e.duration)
		if end.Sub(t.now) > horizon {
			break
		}
	}
	return true, end
}

// last is the latest beginning that is not after a time and that still lasts then.
// A year and a day of schedules is looked through at most, so it always ends.
func (e entry) last(at time.Time, t *turns) (begin time.Time, found bool) {
	local := at.In(e.zone)
	for day := 0; ; day++ {
		t.days--
		y, m, d := local.Year(), local.Month(), local.Day()-day
		if midnight := time.Date(y, m, d+1, 1, 0, 0, 0, e.zone); !midnight.Add(e.duration).After(at) {
			return time.Time{}, false
		}
		hours := e.times.Hour
		if day == 0 {
			hours &= 1<<(local.Hour()+2) - 1 // with one to spare, for clocks that are put back
		}
		for begin := range e.on(time.Date(y, m, d, 12, 0, 0, 0, e.zone), hours, true) {
			if !begin.After(at) {
				return begin, begin.Add(e.duration).After(at)
			}
		}
	}
}

// first is the earliest beginning after a time; zero: there is none before the horizon.
func (e entry) first(at time.Time, t *turns) time.Time {
	local := at.In(e.zone)
	y, m, d := local.Date()
	for day := time.Date(y, m, d, 12, 0, 0, 0, e.zone); day.Sub(at) < horizon; {
		t.days--
		if e.times.Month&(1<<day.Month()) == 0 {
			day = time.Date(day.Year(), day.Month()+1, 1, 12, 0, 0, 0, e.zone)
			continue
		}
		for begin := range e.on(day, e.times.Hour, false) {
			if begin.After(at) {
				return begin
			}
		}
		day = time.Date(day.Year(), day.Month(), day.Day()+1, 12, 0, 0, 0, e.zone)
	}
	return time.Time{}
}

// on yields the beginnings of some hours of a day, or the latest first. Noon stands
// for the day, for there are places where midnight is left out.
func (e entry) on(noon time.Time, hours uint64, backwards bool) func(func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		if !e.matches(noon) {
			return
		}
		for hour := range inOrder(hours, backwards) {
			for minute := range inOrder(e.times.Minute, backwards) {
				if !yield(time.Date(noon.Year(), noon.Month(), noon.Day(), hour, minute, 0, 0, e.zone)) {
					return
				}
			}
		}
	}
}

// matches tells whether anything begins on the day.
func (e entry) matches(noon time.Time) bool {
	s := e.times
	if s.Month&(1<<noon.Month()) == 0 {
		return false
	}
	ofMonth, ofWeek := s.Dom&(1<<noon.Day()) != 0, s.Dow&(1<<noon.Weekday()) != 0
	if s.Dom&starBit != 0 || s.Dow&starBit != 0 {
		return ofMonth && ofWeek
	}
	return ofMonth || ofWeek
}

// inOrder yields the numbers of the bits that are set.
func inOrder(set uint64, backwards bool) func(func(int) bool) {
	return func(yield func(int) bool) {
		for left := set &^ starBit; left != 0; {
			bit := bits.TrailingZeros64(left)
			if backwards {
				bit = 63 - bits.LeadingZeros64(left)
			}
			if !yield(bit) {
				return
			}
			left &^= 1 << bit
		}
	}
}
