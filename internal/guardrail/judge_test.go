package guardrail

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func whiteScreens(failureAbove string, change ...func(*v1alpha1.Guardrail)) *v1alpha1.Guardrail {
	g := &v1alpha1.Guardrail{
		Name: "white", FailureAbove: failureAbove,
		HostReports: &v1alpha1.HostReportsMeasure{Outcome: v1alpha1.OutcomeWhiteScreen},
	}
	for _, c := range change {
		c(g)
	}
	return g
}

func toStable(g *v1alpha1.Guardrail) { g.Compare = v1alpha1.CompareToStable }

// proven are reports that come all from host apps with tokens.
func proven(target Tally, stable *Tally) Reports {
	return Reports{Target: target, Stable: stable, TokenTarget: target, TokenStable: stable}
}

const pass, fail, open, failure = v1alpha1.GuardrailPassed, v1alpha1.GuardrailFailed, v1alpha1.GuardrailInconclusive, v1alpha1.GuardrailError

func TestReportsOfHostApps(t *testing.T) {
	for name, test := range map[string]struct {
		guardrail *v1alpha1.Guardrail
		reports   Reports
		want      Verdict
	}{
		"a share at its limit passes": {
			whiteScreens("2.5%"), proven(Tally{25, 1000}, nil),
			Verdict{Outcome: pass, Message: "white screens 2.5 % of 1,000 launches: not above 2.5 %"},
		},
		"one launch more fails": {
			whiteScreens("2.5%"), proven(Tally{26, 1000}, nil),
			Verdict{Outcome: fail, Message: "white screens 2.6 % of 1,000 launches: above 2.5 %"},
		},
		"a third is above a third that is rounded down": {
			whiteScreens("33.3333%"), proven(Tally{100, 300}, nil),
			Verdict{Outcome: fail, Message: "white screens 33.33 % of 300 launches: above 33.3333 %"},
		},
		"a limit may be a decimal": {
			whiteScreens("0.1"), proven(Tally{31, 300}, nil),
			Verdict{Outcome: fail, Message: "white screens 0.1033 of 300 launches: above 0.1"},
		},
		"a comparison fails by what is more": {
			whiteScreens("2%", toStable), proven(Tally{13, 412}, &Tally{37, 9120}),
			Verdict{Outcome: fail, Message: "white screens 3.16 % of 412 launches, stable 0.41 % of 9,120: more than 2 % above"},
		},
		"a comparison passes where stable is as bad": {
			whiteScreens("2%", toStable), proven(Tally{50, 412}, &Tally{1000, 9120}),
			Verdict{Outcome: pass, Message: "white screens 12.14 % of 412 launches, stable 10.96 % of 9,120: not more than 2 % above"},
		},
		"a comparison with a better target passes": {
			whiteScreens("0%", toStable), proven(Tally{0, 412}, &Tally{1, 9120}),
			Verdict{Outcome: pass, Message: "white screens 0 % of 412 launches, stable 0.01 % of 9,120: not more than 0 % above"},
		},
		"stable's numbers may be of before": {
			whiteScreens("2%", toStable), Reports{TokenTarget: Tally{13, 412}, TokenStable: &Tally{37, 9120}, StableBefore: true},
			Verdict{Outcome: fail, Message: "white screens 3.16 % of 412 launches, stable before 0.41 % of 9,120: more than 2 % above"},
		},
		"a first release is compared with nothing": {
			whiteScreens("2%", toStable), proven(Tally{13, 412}, nil),
			Verdict{Outcome: fail, Message: "white screens 3.16 % of 412 launches, and no stable to compare with: above 2 %"},
		},
		"no data is never a pass": {
			whiteScreens("2%"), proven(Tally{}, nil),
			Verdict{Outcome: open, NoData: true, Message: "white screens: no launches of the target in 60 s"},
		},
		"nor are failures without a launch": {
			whiteScreens("2%"), proven(Tally{5, 0}, nil),
			Verdict{Outcome: open, NoData: true, Message: "white screens: no launches of the target in 60 s"},
		},
		"one launch less than it takes says nothing": {
			whiteScreens("2%"), proven(Tally{99, 99}, nil),
			Verdict{Outcome: open, Message: "white screens: 99 launches of the target in 60 s, and it takes 100"},
		},
		"nor does it of stable": {
			whiteScreens("2%", toStable), proven(Tally{0, 5000}, &Tally{0, 99}),
			Verdict{Outcome: open, Message: "white screens: 99 launches of stable in 60 s, and it takes 100"},
		},
		"stable's do not matter where nothing is compared": {
			whiteScreens("2%"), proven(Tally{0, 5000}, &Tally{99, 1}),
			Verdict{Outcome: pass, Message: "white screens 0 % of 5,000 launches: not above 2 %"},
		},
		"minSamples and intervalSeconds are those of the guardrail": {
			whiteScreens("2%", func(g *v1alpha1.Guardrail) { g.MinSamples, g.IntervalSeconds = 2000, 300 }), proven(Tally{0, 1999}, nil),
			Verdict{Outcome: open, Message: "white screens: 1,999 launches of the target in 300 s, and it takes 2,000"},
		},
		"more failures than launches are all of them": {
			whiteScreens("99%"), proven(Tally{500, 100}, nil),
			Verdict{Outcome: fail, Message: "white screens 100 % of 100 launches: above 99 %"},
		},
		"of stable they are an error, or every target would pass": {
			whiteScreens("2%", toStable), proven(Tally{100, 100}, &Tally{500, 100}),
			Verdict{Outcome: failure, Message: "it could not be measured: stable: 500 of 100 launches"},
		},
		"negative numbers are an error": {
			whiteScreens("2%"), proven(Tally{-1, 100}, nil),
			Verdict{Outcome: failure, Message: "it could not be measured: target: -1 of 100 launches"},
		},
		"a limit that is none is an error": {
			whiteScreens("1e3"), proven(Tally{1, 100}, nil),
			Verdict{Outcome: failure, Message: `it could not be measured: failureAbove "1e3" is neither a share nor a decimal`},
		},
		"who has no token can at most pause": {
			whiteScreens("2%"), Reports{Target: Tally{50, 500}, TokenTarget: Tally{0, 200}},
			Verdict{Outcome: fail, AtMostPause: true,
				Message: "white screens 10 % of 500 launches: above 2 % (with reports of host apps without tokens, which can at most pause)"},
		},
		"and waters down nothing": {
			whiteScreens("2%"), Reports{Target: Tally{50, 1_000_000}, TokenTarget: Tally{50, 200}},
			Verdict{Outcome: fail, Message: "white screens 25 % of 200 launches: above 2 %"},
		},
		"but lets pass where nobody has tokens": {
			whiteScreens("2%"), Reports{Target: Tally{1, 200}},
			Verdict{Outcome: pass, Message: "white screens 0.5 % of 200 launches: not above 2 %"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, OfReports(test.guardrail, test.reports)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAnswersOfQueries(t *testing.T) {
	slow := func(change ...func(*v1alpha1.Guardrail)) *v1alpha1.Guardrail {
		g := &v1alpha1.Guardrail{Name: "slow", FailureAbove: "0.3", Prometheus: &v1alpha1.PrometheusMeasure{Template: "p95"}}
		for _, c := range change {
			c(g)
		}
		return g
	}
	for name, test := range map[string]struct {
		guardrail *v1alpha1.Guardrail
		query     Query
		want      Verdict
	}{
		"a value above the limit fails":        {slow(), Query{Target: &Value{0.5, 100}}, Verdict{Outcome: fail, Message: "p95 0.5 of 100 samples: above 0.3"}},
		"a value below passes":                 {slow(), Query{Target: &Value{0.25, 100}}, Verdict{Outcome: pass, Message: "p95 0.25 of 100 samples: not above 0.3"}},
		"stable is compared":                   {slow(toStable), Query{Target: &Value{1.5, 100}, HasStable: true, Stable: &Value{1, 200}}, Verdict{Outcome: fail, Message: "p95 1.5 of 100 samples, stable 1 of 200: more than 0.3 above"}},
		"no series is no data":                 {slow(), Query{}, Verdict{Outcome: open, NoData: true, Message: "p95: no samples of the target in 60 s"}},
		"a share of nothing is no data":        {slow(), Query{Target: &Value{math.NaN(), 0}}, Verdict{Outcome: open, NoData: true, Message: "p95: no samples of the target in 60 s"}},
		"no series of stable is too few":       {slow(toStable), Query{Target: &Value{1.5, 100}, HasStable: true}, Verdict{Outcome: open, Message: "p95: 0 samples of stable in 60 s, and it takes 100"}},
		"too few of stable":                    {slow(toStable), Query{Target: &Value{1.5, 100}, HasStable: true, Stable: &Value{1, 99.9}}, Verdict{Outcome: open, Message: "p95: 99 samples of stable in 60 s, and it takes 100"}},
		"no number is an error":                {slow(), Query{Target: &Value{math.NaN(), 100}}, Verdict{Outcome: failure, Message: "it could not be measured: target: the value is NaN"}},
		"infinity is an error":                 {slow(), Query{Target: &Value{math.Inf(1), 100}}, Verdict{Outcome: failure, Message: "it could not be measured: target: the value is +Inf"}},
		"a negative value is an error":         {slow(), Query{Target: &Value{-0.1, 100}}, Verdict{Outcome: failure, Message: "it could not be measured: target: the value is -0.1"}},
		"an absurd value is an error":          {slow(), Query{Target: &Value{1e16, 100}}, Verdict{Outcome: failure, Message: "it could not be measured: target: the value is 1e+16"}},
		"samples that are no number":           {slow(), Query{Target: &Value{0.1, math.NaN()}}, Verdict{Outcome: failure, Message: "it could not be measured: target: the number of samples is NaN"}},
		"endless samples":                      {slow(), Query{Target: &Value{0.1, math.Inf(1)}}, Verdict{Outcome: failure, Message: "it could not be measured: target: the number of samples is +Inf"}},
		"negative samples":                     {slow(), Query{Target: &Value{0.1, -5}}, Verdict{Outcome: failure, Message: "it could not be measured: target: the number of samples is -5"}},
		"stable's error is one":                {slow(toStable), Query{Target: &Value{0.1, 100}, HasStable: true, Stable: &Value{math.Inf(1), 200}}, Verdict{Outcome: failure, Message: "it could not be measured: stable: the value is +Inf"}},
		"of stable that is not asked it isn't": {slow(), Query{Target: &Value{0.1, 100}, HasStable: true, Stable: &Value{math.Inf(1), 200}}, Verdict{Outcome: pass, Message: "p95 0.1 of 100 samples: not above 0.3"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, OfQuery(test.guardrail, test.query)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWhatCannotBeMeasuredIsAnError(t *testing.T) {
	want := Verdict{Outcome: failure, Message: "it could not be measured: no replica answers"}
	if diff := cmp.Diff(want, Failure(errors.New("no replica answers"))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEachOutcomeHasAnEventAndWords(t *testing.T) {
	if n := len(Events()); n != 9 {
		t.Errorf("%d events, want 9", n)
	}
	for event, outcome := range outcomes {
		if EventOf(outcome) != event || words[outcome] == "" {
			t.Errorf("%s: %s, %q", outcome, EventOf(outcome), words[outcome])
		}
	}
	if got := EventOf("Else"); got != "" {
		t.Errorf("an outcome that is none has event %s", got)
	}
}

// Whatever is measured: a pass or a failure rests on enough samples of each side.
func TestNothingIsSaidWithoutSamples(t *testing.T) {
	number := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 99, 100}))
	value := rapid.Custom(func(t *rapid.T) *Value { return &Value{number.Draw(t, "number"), number.Draw(t, "samples")} })
	rapid.Check(t, func(t *rapid.T) {
		g := &v1alpha1.Guardrail{FailureAbove: "1%", Compare: v1alpha1.CompareToStable, Prometheus: &v1alpha1.PrometheusMeasure{Template: "x"}}
		q := Query{Target: value.Draw(t, "target"), HasStable: true, Stable: value.Draw(t, "stable")}
		v := OfQuery(g, q)
		if (v.Outcome == pass || v.Outcome == fail) && (!(q.Target.Samples >= 100) || !(q.Stable.Samples >= 100)) {
			t.Errorf("%+v %+v: %+v", q.Target, q.Stable, v)
		}
	})
}
