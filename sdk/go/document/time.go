package document

import (
	"encoding/json"
	"errors"
	"time"
)

// timeLayout is RFC 3339 in UTC with whole seconds: one way to write a time.
const timeLayout = "2006-01-02T15:04:05Z"

// Time is a time in whole seconds, in UTC. The zero value is no time and is
// left out where it may be absent.
type Time struct{ time.Time }

// At returns t in UTC, without what is smaller than a second.
func At(t time.Time) Time {
	return Time{time.Unix(t.Unix(), 0).UTC()}
}

// MarshalText writes the time as 2006-01-02T15:04:05Z.
func (t Time) MarshalText() ([]byte, error) {
	utc := t.UTC()
	if utc.Year() < 0 || utc.Year() > 9999 {
		return nil, errors.New("must have a year of four digits")
	}
	return []byte(utc.Format(timeLayout)), nil
}

// UnmarshalText reads 2006-01-02T15:04:05Z and nothing else.
func (t *Time) UnmarshalText(text []byte) error {
	parsed, err := time.Parse(timeLayout, string(text))
	// Parsing takes fractions that the layout lacks.
	if err != nil || parsed.Format(timeLayout) != string(text) {
		return errors.New("must be a time like 2006-01-02T15:04:05Z")
	}
	t.Time = parsed
	return nil
}

// MarshalJSON stands before that of the embedded time, which would write
// fractions and offsets.
func (t Time) MarshalJSON() ([]byte, error) {
	text, err := t.MarshalText()
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(text))
}

// UnmarshalJSON stands before that of the embedded time, as MarshalJSON does.
func (t *Time) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	return t.UnmarshalText([]byte(text))
}
