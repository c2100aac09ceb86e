package guardrail

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Defaults of what a Guardrail leaves out.
const (
	defaultMinSamples      = 100
	defaultIntervalSeconds = 60
)

// absurd is above all numbers that a limit can be, by far.
const absurd = 1e15

// Verdict is the word about one measurement.
type Verdict struct {
	// Outcome is one of v1alpha1.GuardrailPassed and its like.
	Outcome string
	// Message has the figures.
	Message string
	// NoData: there was nothing at all of the target.
	NoData bool
	// AtMostPause: it failed by the word of people who did not prove who they are.
	AtMostPause bool
}

// Tally is how many launches there were, and how many went wrong.
type Tally struct{ Bad, Launches int64 }

// Reports are what host apps told in one interval.
type Reports struct {
	// Target and Stable are what all host apps told; Stable is nil without one.
	Target Tally
	Stable *Tally
	// TokenTarget and TokenStable are the parts of those that authenticate.
	TokenTarget Tally
	TokenStable *Tally
	// StableBefore: stable's numbers are of an earlier interval, for everybody has the target.
	StableBefore bool
}

// Value is the answer of a query.
type Value struct{ Number, Samples float64 }

// Query is what Prometheus answered. Nil: no series.
type Query struct {
	Target *Value
	// HasStable tells whether there is a stable version to compare with.
	HasStable    bool
	Stable       *Value
	StableBefore bool
}

// Interval is the seconds that each measurement covers.
func Interval(g *v1alpha1.Guardrail) int32 { return cmp.Or(g.IntervalSeconds, defaultIntervalSeconds) }

// Enough tells that a side has as many samples as it takes.
func Enough(g *v1alpha1.Guardrail, samples int64) bool {
	return samples >= cmp.Or(g.MinSamples, defaultMinSamples)
}

// Failure is the verdict about what could not be measured.
func Failure(err error) Verdict {
	return Verdict{Outcome: v1alpha1.GuardrailError, Message: "it could not be measured: " + err.Error()}
}

// OfReports judges what host apps reported.
func OfReports(g *v1alpha1.Guardrail, r Reports) Verdict {
	j := judge{g: g, unit: "launches", stable: stableWord(r.StableBefore)}
	if g.HostReports != nil {
		j.what = words[g.HostReports.Outcome]
	}
	proven := j.tallies(r.TokenTarget, r.TokenStable)
	if proven.Outcome == v1alpha1.GuardrailFailed {
		return proven
	}
	all := j.tallies(r.Target, r.Stable)
	if all.Outcome == v1alpha1.GuardrailFailed {
		all.AtMostPause = true
		all.Message += " (with reports of host apps without tokens, which can at most pause)"
	}
	return all
}

// OfQuery judges what Prometheus answered.
func OfQuery(g *v1alpha1.Guardrail, q Query) Verdict {
	j := judge{g: g, unit: "samples", stable: stableWord(q.StableBefore)}
	if g.Prometheus != nil {
		j.what = g.Prometheus.Template
	}
	target, err := sideOf(q.Target)
	if err != nil {
		return Failure(fmt.Errorf("target: %w", err))
	}
	var stable *side
	if q.HasStable {
		s, err := sideOf(q.Stable)
		if err != nil && j.compares() {
			return Failure(fmt.Errorf("stable: %w", err))
		}
		stable = &s
	}
	return j.judge(target, stable)
}

// side is one version's number, and how much it rests on.
type side struct {
	number  *big.Rat
	samples int64
}

func sideOf(v *Value) (side, error) {
	if v == nil {
		return side{number: new(big.Rat)}, nil
	}
	if math.IsNaN(v.Samples) || v.Samples < 0 || v.Samples > absurd {
		return side{}, fmt.Errorf("the number of samples is %v", v.Samples)
	}
	s := side{number: new(big.Rat), samples: int64(v.Samples)}
	if s.samples == 0 {
		return s, nil // of nothing there is no share: 0/0 is no number
	}
	if math.IsNaN(v.Number) || v.Number < 0 || v.Number > absurd {
		return side{}, fmt.Errorf("the value is %v", v.Number)
	}
	s.number.SetFloat64(v.Number)
	return s, nil
}

type judge struct {
	g          *v1alpha1.Guardrail
	what, unit string
	// stable is what its numbers are called.
	stable string
}

func stableWord(before bool) string {
	if before {
		return "stable before"
	}
	return "stable"
}

func (j *judge) compares() bool { return j.g.Compare == v1alpha1.CompareToStable }

func (j *judge) tallies(target Tally, stable *Tally) Verdict {
	if target.Bad < 0 || target.Launches < 0 {
		return Failure(fmt.Errorf("target: %d of %d launches", target.Bad, target.Launches))
	}
	// An event of a launch before the interval, or several of one launch: more than all is all.
	t := tallied(min(target.Bad, target.Launches), target.Launches)
	if stable == nil || !j.compares() {
		return j.judge(t, nil)
	}
	if stable.Bad < 0 || stable.Launches < 0 || stable.Bad > stable.Launches && Enough(j.g, stable.Launches) {
		// A share of stable that cannot be would let every target pass.
		return Failure(fmt.Errorf("stable: %d of %d launches", stable.Bad, stable.Launches))
	}
	s := tallied(min(stable.Bad, stable.Launches), stable.Launches)
	return j.judge(t, &s)
}

func tallied(bad, launches int64) side {
	s := side{number: new(big.Rat), samples: launches}
	if launches > 0 {
		s.number.SetFrac64(bad, launches)
	}
	return s
}

func (j *judge) minSamples() int64 { return cmp.Or(j.g.MinSamples, defaultMinSamples) }

// judge compares. Without a stable version there is nothing to be above of but 0.
func (j *judge) judge(target side, stable *side) Verdict {
	limit, ok := limitOf(j.g.FailureAbove)
	if !ok {
		return Failure(fmt.Errorf("failureAbove %q is neither a share nor a decimal", j.g.FailureAbove))
	}
	if !j.compares() {
		stable = nil
	}
	if target.samples == 0 {
		return Verdict{Outcome: v1alpha1.GuardrailInconclusive, NoData: true,
			Message: fmt.Sprintf("%s: no %s of the target in %d s", j.what, j.unit, Interval(j.g))}
	}
	if !Enough(j.g, target.samples) {
		return j.tooFew(target.samples, "the target")
	}
	if stable != nil && !Enough(j.g, stable.samples) {
		return j.tooFew(stable.samples, "stable")
	}
	figures := fmt.Sprintf("%s %s of %s %s", j.what, j.text(target.number), thousands(target.samples), j.unit)
	above, how := target.number, "above "+j.limit()
	switch {
	case stable != nil:
		figures += fmt.Sprintf(", %s %s of %s", j.stable, j.text(stable.number), thousands(stable.samples))
		above, how = new(big.Rat).Sub(target.number, stable.number), "more than "+j.limit()+" above"
	case j.compares():
		figures += ", and no stable to compare with"
	}
	if above.Cmp(limit) > 0 {
		return Verdict{Outcome: v1alpha1.GuardrailFailed, Message: figures + ": " + how}
	}
	return Verdict{Outcome: v1alpha1.GuardrailPassed, Message: figures + ": not " + how}
}

func (j *judge) tooFew(samples int64, of string) Verdict {
	return Verdict{Outcome: v1alpha1.GuardrailInconclusive, Message: fmt.Sprintf(
		"%s: %s %s of %s in %d s, and it takes %s", j.what, thousands(samples), j.unit, of, Interval(j.g), thousands(j.minSamples()))}
}

// limitOf reads a share such as "2.5%", or a decimal.
func limitOf(text string) (*big.Rat, bool) {
	digits, percent := strings.CutSuffix(text, "%")
	if strings.Trim(digits, "0123456789.") != "" { // big.Rat reads more than decimals
		return nil, false
	}
	limit, ok := new(big.Rat).SetString(digits)
	if ok && percent {
		limit.Mul(limit, big.NewRat(1, 100))
	}
	return limit, ok
}

// text writes a number the way in which the limit is written.
func (j *judge) text(n *big.Rat) string {
	if strings.HasSuffix(j.g.FailureAbove, "%") {
		return trimmed(new(big.Rat).Mul(n, big.NewRat(100, 1)).FloatString(2)) + " %"
	}
	return trimmed(n.FloatString(4))
}

func (j *judge) limit() string { return strings.Replace(j.g.FailureAbove, "%", " %", 1) }

func trimmed(decimal string) string { return strings.TrimRight(strings.TrimRight(decimal, "0"), ".") }

// thousands writes a number with commas.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
