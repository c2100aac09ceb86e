package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestHowTheTimeOfAStepWasSpent(t *testing.T) {
	const hour, minute = time.Hour, time.Minute
	hourAgo := ago(hour)
	at := func(kind string, st status, change ...func(*status)) status {
		st.Step.Kind = kind
		return changed(st, change...)
	}
	approved := func(s *Seen) {
		s.Answers = map[Question]Answer{{Attempt: 2, Step: 1, Role: "privacy", Digest: variant("1.1.0").Digest}: {Approved: true}}
	}
	paused := func(st *status) { st.PausedReason, st.PausedSince = pausedByUser, stampAt(ago(40*minute)) }
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		want     *Spent
	}{
		"a pause that runs out, and a late manager": {planTo("1.1.0"), underWay(1, 500, hourAgo), seeing("1.1.0"), &Spent{"Pause", "Passed", 0, minute, 59 * minute}},
		"a pause that a person ends":                {planTo("1.1.0"), underWay(3, 2500, hourAgo), seeing("1.1.0", asked("promote@2/3")), &Spent{"Pause", "Passed", hour, 0, 0}},
		"a pause that is not over":                  {planTo("1.1.0"), underWay(1, 500, ago(time.Second)), seeing("1.1.0"), nil},
		"an abort":                                  {planTo("1.1.0"), underWay(3, 2500, hourAgo), seeing("1.1.0", asked("abort@2")), &Spent{"Pause", "Aborted", hour, 0, 0}},
		"an abort of what was paused":               {planTo("1.1.0", percent(5), seconds(7200)), changed(underWay(1, 500, hourAgo), paused), seeing("1.1.0", asked("abort@2")), &Spent{"Pause", "Aborted", 40 * minute, 20 * minute, 0}},
		"another target":                            {planTo("1.2.0"), underWay(3, 2500, hourAgo), seeing("1.2.0"), &Spent{"Pause", "Superseded", hour, 0, 0}},
		"a rollback":                                {planTo("0.9.0"), underWay(3, 2500, hourAgo, "0.9.0"), seeing("0.9.0"), &Spent{"Pause", "Superseded", hour, 0, 0}},
		"an approval":                               {planTo("1.1.0", percent(5), approval("privacy"), percent(25), person()), at("Approval", underWay(1, 500, hourAgo)), seeing("1.1.0", approved), &Spent{"Approval", "Passed", hour, 0, 0}},
		"a bake":                                    {planTo("1.1.0", percent(5), bake(3000)), at("Bake", underWay(1, 500, hourAgo)), seeing("1.1.0"), &Spent{"Bake", "Passed", 0, 50 * minute, 10 * minute}},
		"what held it is over": {
			planTo("1.1.0", percent(5), seconds(600), percent(25), person()), changed(underWay(1, 500, hourAgo), heldSince(ago(30*minute))), seeing("1.1.0"),
			&Spent{"Pause", "Passed", 30 * minute, 10 * minute, 20 * minute},
		},
		"a share that waited for the calendar": {planTo("1.1.0"), at("SetPercent", underWay(2, 500, hourAgo)), seeing("1.1.0"), &Spent{"SetPercent", "Passed", 0, hour, 0}},
		"and the end that did":                 {planTo("1.1.0", percent(5), seconds(60)), at("", underWay(2, 500, hourAgo)), seeing("1.1.0"), &Spent{"Completion", "Passed", 0, hour, 0}},
		"nothing under way":                    {planTo("1.0.0"), released(), seeing("1.0.0"), nil},
		"a clock that went back":               {planTo("1.1.0"), underWay(3, 2500, now.Add(hour)), seeing("1.1.0", asked("abort@2")), &Spent{Kind: "Pause", Outcome: "Aborted"}},
	} {
		t.Run(name, func(t *testing.T) {
			after := Decide(test.plan, test.recorded, test.seen, now).Status
			var got *Spent
			if spent, over := SpentOf(test.plan, &test.recorded, &after, now); over {
				got = &spent
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAttemptsThatEndedAreToldOnce(t *testing.T) {
	before := underWay(3, 2500, ago(time.Hour))
	after := Decide(planTo("1.1.0"), before, seeing("1.1.0", asked("abort@2")), now).Status
	var outcomes []string
	for _, a := range Ended(&before, &after) {
		outcomes = append(outcomes, a.Outcome)
	}
	if diff := cmp.Diff([]string{v1alpha1.OutcomeAborted}, outcomes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if again := Ended(&after, &after); again != nil {
		t.Errorf("told again: %+v", again)
	}
}
