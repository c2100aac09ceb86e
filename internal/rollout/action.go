package rollout

import (
	"fmt"
	"strconv"
	"strings"
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

// Action is what somebody asked for by annotation.
type Action struct {
	// Value of the annotation, as it is answered.
	Value string
	// User who set it; admission has checked the name.
	User string
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
	case VerbPromoteFull, VerbAbort, VerbRetry, VerbPause, VerbResume:
		if hasArg {
			return parsedAction{}, fmt.Errorf("%s takes nothing after the attempt: write %s@%d", verb, verb, attempt)
		}
	default:
		return parsedAction{}, fmt.Errorf("%q is not a verb: write promote, promote-full, abort, retry, pause, resume or rollback", verb)
	}
	return parsedAction{verb: verb, attempt: int32(attempt), arg: arg}, nil
}

// clip keeps messages within the bound of status fields. A move's message may be
// longer: it quotes one of these, and the way out comes after.
func clip(s string) string { return cut(s, 500) }

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xC0 == 0x80 {
		most--
	}
	return s[:most] + "…"
}
