package rollout

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// The verbs of the action annotation.
const (
	VerbPromote     = "promote"
	VerbPromoteFull = "promote-full"
	VerbAbort       = "abort"
	VerbRetry       = "retry"
	VerbPause       = "pause"
	VerbResume      = "resume"
	VerbRollback    = "rollback"
)

// Verbs are all of them.
var Verbs = []string{VerbPromote, VerbPromoteFull, VerbAbort, VerbRetry, VerbPause, VerbResume, VerbRollback}

// Action is what somebody asked for by annotation.
type Action struct {
	// Value of the annotation, as it is answered.
	Value string
	// User who set it; admission has checked the name.
	User string
}

// Resume is the action that ends the present pause. What was answered is not performed
// again, and a guardrail may pause a rollout once more that somebody has resumed: after
// resume@2 the next is resume@2/2, so that the same word is never about two pauses.
func Resume(st *v1alpha1.RolloutStatus) string {
	first := fmt.Sprintf("%s@%d", VerbResume, st.Attempt)
	if st.LastAction == nil || st.LastAction.Result != resultDone {
		return first
	}
	last, err := parseAction(st.LastAction.Value)
	if err != nil || last.verb != VerbResume || last.attempt != st.Attempt {
		return first
	}
	n, err := strconv.ParseInt(last.arg, 10, 32)
	if err != nil {
		n = 1
	}
	return fmt.Sprintf("%s/%d", first, n+1)
}

type parsedAction struct {
	verb    string
	attempt int32
	arg     string
}

// parseAction reads "<verb>@<attempt>[/<step or version>]".
func parseAction(value string) (parsedAction, error) {
	verb, rest, ok := strings.Cut(value, "@")
	number, arg, hasArg := strings.Cut(rest, "/")
	attempt, err := strconv.ParseInt(number, 10, 32)
	if !ok || err != nil {
		return parsedAction{}, fmt.Errorf("%q is not of the form <verb>@<attempt>[/<step or version>], such as abort@3", value)
	}
	switch verb {
	case VerbPromote, VerbRollback:
		if !hasArg || arg == "" {
			want := "the step, such as promote@3/1"
			if verb == VerbRollback {
				want = "the version to go back to, such as rollback@3/1.0.0"
			}
			return parsedAction{}, fmt.Errorf("%q lacks %s", value, want)
		}
	case VerbResume:
		if n, err := strconv.ParseInt(arg, 10, 32); hasArg && (err != nil || n < 2) {
			return parsedAction{}, fmt.Errorf("%q has no count after the attempt: write %s@%d, and for the second time %[2]s@%[3]d/2", value, verb, attempt)
		}
	case VerbPromoteFull, VerbAbort, VerbRetry, VerbPause:
		if hasArg {
			return parsedAction{}, fmt.Errorf("%s takes nothing after the attempt: write %s@%d", verb, verb, attempt)
		}
	default:
		return parsedAction{}, fmt.Errorf("%q is not a verb: write promote, promote-full, abort, retry, pause, resume or rollback", verb)
	}
	return parsedAction{verb: verb, attempt: int32(attempt), arg: arg}, nil
}
