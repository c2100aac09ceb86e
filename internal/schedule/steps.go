package schedule

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Everybody is the share of all users, in hundredths of a percent.
const Everybody = 10000

// Steps are the steps of a plan: those that the spec names, or those that its preset
// stands for. A preset has a pause between two shares and none after the last. The
// error names the field that the API server let pass.
func Steps(spec v1alpha1.RolloutSpec) ([]v1alpha1.RolloutStep, error) {
	p := spec.Preset
	switch {
	case p == nil:
		return spec.Steps, nil
	case p.Type == v1alpha1.PresetImmediate:
		return nil, nil
	case p.Type == v1alpha1.PresetLinear && p.Linear != nil:
		percent := int64(p.Linear.Percent)
		if percent < 1 {
			return nil, fmt.Errorf("spec.preset.linear.percent must be from 1 to 100, not %d", percent)
		}
		return shares(100*percent, func(share int64) int64 { return share + 100*percent }, p.Linear.EverySeconds), nil
	case p.Type == v1alpha1.PresetExponential && p.Exponential != nil && p.Exponential.StartPercent != nil:
		start, err := BasisPoints(*p.Exponential.StartPercent)
		if err == nil && start == 0 {
			err = fmt.Errorf("must not be 0: a share of nobody never grows by a factor")
		}
		if err != nil {
			return nil, fmt.Errorf("spec.preset.exponential.startPercent: %w", err)
		}
		factor := int64(max(p.Exponential.Factor, 2)) // unset is 2
		return shares(int64(start), func(share int64) int64 { return share * factor }, p.Exponential.EverySeconds), nil
	}
	return nil, fmt.Errorf("spec.preset: type %q needs the field of its name, and must be Immediate, Linear or Exponential", p.Type)
}

// shares are steps from a first share to everybody, with a pause between two.
func shares(first int64, next func(int64) int64, everySeconds int64) []v1alpha1.RolloutStep {
	var steps []v1alpha1.RolloutStep
	for share := first; share < Everybody; share = next(share) {
		steps = append(steps, setPercent(share), v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{Seconds: everySeconds}})
	}
	return append(steps, setPercent(Everybody))
}

func setPercent(basisPoints int64) v1alpha1.RolloutStep {
	text := intstr.FromString(fmt.Sprintf("%d.%02d%%", basisPoints/100, basisPoints%100))
	return v1alpha1.RolloutStep{SetPercent: &text}
}

// BasisPoints reads a share: a whole number of percent, or a string with at most
// two decimals such as "0.25%". It is exact: no floating point.
func BasisPoints(v intstr.IntOrString) (int32, error) {
	text := v.StrVal
	if v.Type == intstr.Int {
		text = strconv.Itoa(int(v.IntVal)) + "%"
	}
	digits, ok := strings.CutSuffix(text, "%")
	whole, decimals, _ := strings.Cut(digits, ".")
	if !ok || len(decimals) > 2 || whole == "" {
		return 0, fmt.Errorf("%q must be a whole number or a string such as \"0.25%%\"", text)
	}
	n, err := strconv.ParseUint(whole+(decimals + "00")[:2], 10, 31)
	if err != nil || n > Everybody {
		return 0, fmt.Errorf("%q must be between 0 and 100", text)
	}
	return int32(n), nil
}
