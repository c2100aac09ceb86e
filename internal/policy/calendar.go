package policy

import (
	"fmt"
	"slices"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/schedule"
)

// Calendars are those of the policies that enforce. Each holds for every rollout that
// its policy covers, beside the rollout's own. The error is one that CheckSpec gives.
func Calendars(policies []v1alpha1.ReviewPolicy) ([]schedule.Calendar, error) {
	var calendars []schedule.Calendar
	for i := range policies {
		p := &policies[i]
		if p.Spec.Rollout == nil || len(p.Spec.Rollout.Calendar) == 0 || enforcementOf(p) != v1alpha1.Enforce {
			continue
		}
		c, err := calendarOf(p)
		if err != nil {
			return nil, err
		}
		calendars = append(calendars, c)
	}
	return slices.Clip(calendars), nil
}

func calendarOf(p *v1alpha1.ReviewPolicy) (schedule.Calendar, error) {
	if p.Spec.Rollout == nil {
		return schedule.Calendar{}, nil
	}
	c, err := schedule.ReadCalendar("ReviewPolicy "+p.Name+" spec.rollout.calendar", p.Spec.Rollout.Calendar)
	if err != nil {
		return schedule.Calendar{}, fmt.Errorf("reading %w", err)
	}
	return c, nil
}
