package task

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	earlier = metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	now     = metav1.NewTime(time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC))
)

// cond writes a condition of generation 7 in one line.
func cond(kind string, status metav1.ConditionStatus, reason, message string, since metav1.Time) metav1.Condition {
	return metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message,
		ObservedGeneration: 7, LastTransitionTime: since,
	}
}

func TestConditions(t *testing.T) {
	old := func(kind string, status metav1.ConditionStatus) metav1.Condition {
		c := cond(kind, status, "Old", "old", earlier)
		c.ObservedGeneration = 6
		return c
	}
	tests := map[string]struct {
		conds   []metav1.Condition
		err     error
		message string
		want    []metav1.Condition
	}{
		"a new object that is done is ready": {
			message: "published",
			want:    []metav1.Condition{cond("Ready", "True", "Succeeded", "published", now)},
		},
		"ready that stays so keeps its time": {
			conds:   []metav1.Condition{old("Ready", "True")},
			message: "published",
			want:    []metav1.Condition{cond("Ready", "True", "Succeeded", "published", earlier)},
		},
		"ready that becomes so gets the time, and what held it goes": {
			conds:   []metav1.Condition{old("Ready", "False"), old("Reconciling", "True"), old("Stalled", "True")},
			message: "published",
			want:    []metav1.Condition{cond("Ready", "True", "Succeeded", "published", now)},
		},
		"a wait is reconciling and no longer stalled": {
			conds: []metav1.Condition{old("Ready", "False"), old("Stalled", "True")},
			err:   fmt.Errorf("loading: %w", Wait("NoArtifact", 0, "waits for the artifact")),
			want: []metav1.Condition{
				cond("Ready", "False", "NoArtifact", "waits for the artifact", earlier),
				cond("Reconciling", "True", "NoArtifact", "waits for the artifact", now),
			},
		},
		"a wait that goes on keeps its time": {
			conds: []metav1.Condition{old("Reconciling", "True")},
			err:   Wait("NoArtifact", 0, "waits for the artifact"),
			want: []metav1.Condition{
				cond("Reconciling", "True", "NoArtifact", "waits for the artifact", earlier),
				cond("Ready", "False", "NoArtifact", "waits for the artifact", now),
			},
		},
		"a stall is stalled and no longer reconciling": {
			conds: []metav1.Condition{old("Ready", "True"), old("Reconciling", "True")},
			err:   Stall("BadSource", errDisk),
			want: []metav1.Condition{
				cond("Ready", "False", "BadSource", "disk is full", now),
				cond("Stalled", "True", "BadSource", "disk is full", now),
			},
		},
		"an unplanned error is neither": {
			conds: []metav1.Condition{old("Ready", "True"), old("Reconciling", "True"), old("Stalled", "True")},
			err:   errDisk,
			want:  []metav1.Condition{cond("Ready", "False", "Error", "disk is full", now)},
		},
		"an error beside a stall is told, not the stall": {
			err:  errors.Join(Stall("BadSource", errors.New("no such file")), errDisk),
			want: []metav1.Condition{cond("Ready", "False", "Error", "no such file\ndisk is full", now)},
		},
		"conditions of other types stay as they are": {
			conds:   []metav1.Condition{old("Published", "True")},
			message: "published",
			want:    []metav1.Condition{old("Published", "True"), cond("Ready", "True", "Succeeded", "published", now)},
		},
		"a stop without reason and text still makes a condition that the API server takes": {
			err: Stall("", nil),
			want: []metav1.Condition{
				cond("Ready", "False", "Unspecified", "", now),
				cond("Stalled", "True", "Unspecified", "", now),
			},
		},
		"a message that is too long is cut at a character": {
			err: errors.New(strings.Repeat("é", 40000)),
			want: []metav1.Condition{
				cond("Ready", "False", "Error", strings.Repeat("é", 32767)+"…", now),
			},
		},
		"a message of many bytes that is not too long stays whole": {
			err:  errors.New(strings.Repeat("é", 32768)),
			want: []metav1.Condition{cond("Ready", "False", "Error", strings.Repeat("é", 32768), now)},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := append([]metav1.Condition(nil), tc.conds...)
			got := Conditions(tc.conds, 7, tc.err, now, tc.message)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tc.conds); diff != "" {
				t.Errorf("the caller's conditions changed:\n%s", diff)
			}
		})
	}
}
