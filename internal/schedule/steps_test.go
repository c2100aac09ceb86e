package schedule

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

func TestBasisPoints(t *testing.T) {
	const form = ` must be a whole number or a string such as "0.25%"`
	for name, test := range map[string]struct {
		in   intstr.IntOrString
		want int32
		err  string
	}{
		"0": {in: intstr.FromInt32(0)}, "100": {in: intstr.FromInt32(100), want: 10000},
		"0.25%": {in: intstr.FromString("0.25%"), want: 25}, "0.3%": {in: intstr.FromString("0.3%"), want: 30},
		"12.5%": {in: intstr.FromString("12.5%"), want: 1250}, "100.00%": {in: intstr.FromString("100.00%"), want: 10000},
		"0.01%":   {in: intstr.FromString("0.01%"), want: 1},
		"101":     {in: intstr.FromInt32(101), err: `"101%" must be between 0 and 100`},
		"100.01%": {in: intstr.FromString("100.01%"), err: `"100.01%" must be between 0 and 100`},
		"-1":      {in: intstr.FromInt32(-1), err: `"-1%" must be between 0 and 100`},
		"5":       {in: intstr.FromInt32(5), want: 500},
		"0.255%":  {in: intstr.FromString("0.255%"), err: `"0.255%"` + form},
		"no sign": {in: intstr.FromString("5"), err: `"5"` + form},
		".5%":     {in: intstr.FromString(".5%"), err: `".5%"` + form},
		"empty":   {in: intstr.FromString(""), err: `""` + form},
		"word":    {in: intstr.FromString("x%"), err: `"x%" must be between 0 and 100`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := BasisPoints(test.in)
			message := ""
			if err != nil {
				message = err.Error()
			}
			if got != test.want || message != test.err {
				t.Errorf("got %d, %q, want %d, %q", got, message, test.want, test.err)
			}
		})
	}
}

// written is a plan as people write it: shares, and seconds of pauses.
func written(steps []v1alpha1.RolloutStep) (text []string) {
	for _, s := range steps {
		if s.Pause != nil {
			text = append(text, fmt.Sprintf("%ds", s.Pause.Seconds))
		} else {
			text = append(text, s.SetPercent.String())
		}
	}
	return text
}

func TestPresetsAreSteps(t *testing.T) {
	linear := func(percent int32) *v1alpha1.Preset {
		return &v1alpha1.Preset{Type: "Linear", Linear: &v1alpha1.LinearPreset{Percent: percent, EverySeconds: 60}}
	}
	exponential := func(start string, factor int32) *v1alpha1.Preset {
		percent := intstr.Parse(start)
		return &v1alpha1.Preset{Type: "Exponential", Exponential: &v1alpha1.ExponentialPreset{StartPercent: &percent, Factor: factor, EverySeconds: 30}}
	}
	for name, test := range map[string]struct {
		preset *v1alpha1.Preset
		want   []string
		err    string
	}{
		"everybody at once":               {preset: &v1alpha1.Preset{Type: "Immediate"}},
		"thirds, and what is left":        {preset: linear(30), want: []string{"30.00%", "60s", "60.00%", "60s", "90.00%", "60s", "100.00%"}},
		"halves end at everybody":         {preset: linear(50), want: []string{"50.00%", "60s", "100.00%"}},
		"all of it is one step":           {preset: linear(100), want: []string{"100.00%"}},
		"twice as many each time":         {preset: exponential("20", 0), want: []string{"20.00%", "30s", "40.00%", "30s", "80.00%", "30s", "100.00%"}},
		"ten times as many, from a crumb": {preset: exponential("0.25%", 10), want: []string{"0.25%", "30s", "2.50%", "30s", "25.00%", "30s", "100.00%"}},
		"growing by nothing":              {preset: linear(0), err: "spec.preset.linear.percent must be from 1 to 100, not 0"},
		"a start with nobody":             {preset: exponential("0", 2), err: "spec.preset.exponential.startPercent: must not be 0: a share of nobody never grows by a factor"},
		"a start that is no share":        {preset: exponential("few", 2), err: `spec.preset.exponential.startPercent: "few" must be a whole number or a string such as "0.25%"`},
		"a type without its field":        {preset: &v1alpha1.Preset{Type: "Linear"}, err: `spec.preset: type "Linear" needs the field of its name, and must be Immediate, Linear or Exponential`},
	} {
		t.Run(name, func(t *testing.T) {
			steps, err := Steps(v1alpha1.RolloutSpec{Preset: test.preset})
			message := ""
			if err != nil {
				message = err.Error()
			}
			if diff := cmp.Diff(test.want, written(steps)); diff != "" || message != test.err {
				t.Errorf("error %q, want %q; -want +got:\n%s", message, test.err, diff)
			}
		})
	}
}

// status.step.index and a retry's step end at 300.
func TestTheLongestPresetsFitStatus(t *testing.T) {
	percent := intstr.FromString("0.01%")
	for name, preset := range map[string]*v1alpha1.Preset{
		"linear":      {Type: "Linear", Linear: &v1alpha1.LinearPreset{Percent: 1, EverySeconds: 1}},
		"exponential": {Type: "Exponential", Exponential: &v1alpha1.ExponentialPreset{StartPercent: &percent, EverySeconds: 1}},
	} {
		steps, err := Steps(v1alpha1.RolloutSpec{Preset: preset})
		if err != nil || len(steps) == 0 || len(steps)+1 > 300 {
			t.Errorf("%s: %d steps, %v", name, len(steps), err)
		}
	}
}
