package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestATrialIsForTestersAlone(t *testing.T) {
	trial := func(version string, testers ...string) Plan {
		return planTo(version).with(noSteps).with(func(p *Plan) { p.Trial, p.Audience.Include = true, testers })
	}
	onTrial := Decide(trial("1.1.0", "ada"), status{}, seeing("1.1.0"), ago(time.Hour)).Status
	base := outline{Verb: Idle, Reason: "OnTrial", Target: "1.1.0", Attempt: 1, Began: ago(time.Hour), Availability: "Listed"}
	with := func(change func(*outline)) outline { o := base; change(&o); return o }
	for name, test := range map[string]struct {
		plan     Plan
		recorded status
		seen     Seen
		want     outline
		include  []string
	}{
		"it goes to them at once": {trial("1.1.0", "ada", "ben"), status{}, seeing("1.1.0"), with(func(o *outline) { o.Began = now }), hashes("ada", "ben")},
		"and stays with them":     {trial("1.1.0", "ada"), onTrial, seeing("1.1.0"), base, hashes("ada")},
		"one more":                {trial("1.1.0", "ada", "ben"), onTrial, seeing("1.1.0"), base, hashes("ada", "ben")},
		"without testers nothing begins": {
			trial("1.1.0"), status{}, seeing("1.1.0"), outline{Verb: Wait, Reason: "NoTesters"}, nil,
		},
		"a policy objects: nobody new": {
			trial("1.1.0", "ada", "ben"), onTrial, seeing("1.1.0", objected), with(func(o *outline) { o.Verb, o.Reason = Wait, "PolicyFailed" }), hashes("ada"),
		},
		"the program is gone: as it was": {
			trial("1.1.0"), onTrial, seeing("1.1.0", missing, func(s *Seen) { s.Program = nil }), with(func(o *outline) { o.Verb, o.Reason = Wait, "VersionMissing" }), hashes("ada"),
		},
		"it is withdrawn": {
			trial("1.1.0", "ada"), onTrial, seeing("1.1.0", withdrawn("1.1.0")),
			outline{Verb: TakeBack, Reason: "Aborted", Attempt: 1, Refused: "shop-1.1.0", Outcome: "Aborted", Availability: "Listed"}, nil,
		},
		"nobody promotes it": {trial("1.1.0", "ada"), onTrial, seeing("1.1.0", asked("promote-full@1")), base, hashes("ada")},
		"another version": {
			trial("1.2.0", "ada"), onTrial, seeing("1.2.0"), with(func(o *outline) { o.Target, o.Attempt, o.Began = "1.2.0", 2, now }), hashed(appID+"@"+variant("1.2.0").Digest, []string{"ada"}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(test.plan, test.recorded, test.seen, now)
			if diff := cmp.Diff(test.want, outlineOf(got)); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", got.Message, diff)
			}
			var include []string
			if d := got.Status.Document; d != nil && d.Audience != nil {
				include = d.Audience.Include
			}
			if diff := cmp.Diff(test.include, include); diff != "" {
				t.Errorf("testers: -want +got:\n%s", diff)
			}
			if got.Status.Stable != nil || got.Status.Target != nil && got.Status.BasisPoints != 0 {
				t.Errorf("others have it: %+v", got.Status)
			}
			if again := Decide(test.plan, got.Status, test.seen, now); !cmp.Equal(got.Status, again.Status, cmpEmpty) {
				t.Errorf("asking again changes the record: %s", cmp.Diff(got.Status, again.Status))
			}
		})
	}
	refused := Decide(trial("1.1.0", "ada"), onTrial, seeing("1.1.0", asked("promote-full@1")), now).Status.LastAction
	if want := "a trial is for testers alone: name the version in a Rollout of channel release"; refused.Result != "Refused" || refused.Message != want {
		t.Errorf("promoting is %s: %s", refused.Result, refused.Message)
	}
	gone := Decide(trial("1.1.0", "ada"), onTrial, seeing("1.1.0", asked("abort@1")), now).Status.Recalls
	want := []v1alpha1.Recall{{By: "user", Seed: salt, Digest: variant("1.1.0").Digest, Delivery: minutes(now), Audience: &v1alpha1.RecallAudience{Seed: salt, Include: hashes("ada")}}}
	if diff := cmp.Diff(want, gone); diff != "" {
		t.Errorf("an aborted trial is taken from testers: -want +got:\n%s", diff)
	}
}
