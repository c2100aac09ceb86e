package task

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Reasons that Conditions sets by itself.
const (
	// ReasonSucceeded is why Ready is True.
	ReasonSucceeded = "Succeeded"
	// ReasonError is why Ready is False after an unplanned error.
	ReasonError = "Error"
	// reasonUnnamed stands in for a stop without a reason, which the API server would refuse.
	reasonUnnamed = "Unspecified"
)

// maxMessage is how many characters the API server takes in a condition's message.
const maxMessage = 32768

// Conditions returns conds with Ready, Reconciling and Stalled as the outcome of
// a pass has them, by the conventions of kstatus. conds itself stays as it is;
// conditions of other types are kept.
//
//	err     Ready                     Reconciling  Stalled
//	nil     True, Succeeded, message  removed      removed
//	Wait    False, its reason         True         removed
//	Stall   False, its reason         removed      True
//	other   False, Error              removed      removed
//
// message is used when err is nil. generation is the generation of the object
// that the pass worked on. A condition's lastTransitionTime becomes now only
// when its status changes.
func Conditions(conds []metav1.Condition, generation int64, err error, now metav1.Time, message string) []metav1.Condition {
	ready := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse,
		ObservedGeneration: generation, LastTransitionTime: now,
	}
	also := "" // the one of Reconciling and Stalled that is true
	switch stop := planned(err).(type) {
	case *WaitError:
		ready.Reason, ready.Message, also = stop.Reason, stop.Error(), v1alpha1.ConditionReconciling
	case *StallError:
		ready.Reason, ready.Message, also = stop.Reason, stop.Error(), v1alpha1.ConditionStalled
	default:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionTrue, ReasonSucceeded, message
		if err != nil {
			ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, ReasonError, err.Error()
		}
	}
	if ready.Reason == "" {
		ready.Reason = reasonUnnamed
	}
	ready.Message = cut(ready.Message, maxMessage)

	out := slices.Clone(conds)
	meta.SetStatusCondition(&out, ready)
	for _, kind := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if kind != also {
			meta.RemoveStatusCondition(&out, kind)
			continue
		}
		truth := ready
		truth.Type, truth.Status = kind, metav1.ConditionTrue
		meta.SetStatusCondition(&out, truth)
	}
	return out
}

// cut shortens s to at most limit characters. A message that is too long would
// make the API server refuse the whole status, and with it what was to be told.
func cut(s string, limit int) string {
	if len(s) <= limit { // bytes: never fewer than characters
		return s
	}
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:limit-1]) + "…"
}
