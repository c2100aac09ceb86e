package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestATakenUpRecordIsTheSameDecisionUnderAHigherNumber(t *testing.T) {
	record := Decide(planTo("2.0.0"), released(), seeing("2.0.0"), published).Status
	ahead := *record.DeepCopy()
	ahead.Sequence = now.Unix() + 500
	for name, c := range map[string]struct {
		sequence, want int64
	}{
		"a record of earlier":                {record.Sequence, now.Unix()},
		"numbers that run ahead of the time": {ahead.Sequence, ahead.Sequence + 1},
	} {
		before := *record.DeepCopy()
		before.Sequence = c.sequence
		got := TakeUp(&before, now)
		if got.Sequence != c.want || !got.Document.IssuedAt.Time.Equal(now.Truncate(time.Second)) {
			t.Errorf("%s: sequence %d, want %d, issued at %s", name, got.Sequence, c.want, got.Document.IssuedAt)
		}
		got.Sequence, got.Document.IssuedAt = before.Sequence, before.Document.IssuedAt
		if diff := cmp.Diff(before, got); diff != "" {
			t.Errorf("%s changes more (-want +got):\n%s", name, diff)
		}
	}
}
