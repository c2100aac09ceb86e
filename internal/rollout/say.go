package rollout

import "time"

// say records the move's verb and reason. A take-back is never talked over by
// what is decided after it in the same pass, nor a completion by there being
// nothing left to do.
func (d *decider) say(v Verb, reason, message string) {
	if d.move.Verb == TakeBack && v != TakeBack || d.move.Verb == Complete && v == Idle {
		return
	}
	d.move.Verb, d.move.Reason, d.move.Message = v, reason, cut(message, 1000)
}

func (d *decider) recheckAfter(after time.Duration) {
	after = max(after, time.Second)
	if d.move.Recheck == 0 || after < d.move.Recheck {
		d.move.Recheck = after
	}
}

// clip keeps messages within the bound of status fields. A move's message may be
// longer: it quotes one of these, and the way out comes after.
func clip(s string) string { return cut(s, 500) }

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xC0 == 0x80 {
		most--
	}
	return s[:most] + "…"
}
