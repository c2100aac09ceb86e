package guardrail

import "github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"

// EventLaunch is what a host app reports when somebody opens a mini program,
// before anything of it is fetched: the number that all others are divided by.
const EventLaunch = "launch"

// EventInstalled is what a host app reports when a version is in place on a device: once for
// each device and version. It is of no guardrail; it closes the window of a rollout.
const EventInstalled = "installed"

// outcomes maps the events that host apps report to the words of the API.
var outcomes = map[string]string{
	"launch_failed":  v1alpha1.OutcomeLaunchFailed,
	"white_screen":   v1alpha1.OutcomeWhiteScreen,
	"crashed":        v1alpha1.OutcomeCrashed,
	"unresponsive":   v1alpha1.OutcomeUnresponsive,
	"js_error":       v1alpha1.OutcomeScriptError,
	"package_failed": v1alpha1.OutcomePackageFailed,
	"premature_exit": v1alpha1.OutcomePrematureExit,
}

// words name outcomes in messages.
var words = map[string]string{
	v1alpha1.OutcomeLaunchFailed:  "failed launches",
	v1alpha1.OutcomeWhiteScreen:   "white screens",
	v1alpha1.OutcomeCrashed:       "crashes",
	v1alpha1.OutcomeUnresponsive:  "freezes",
	v1alpha1.OutcomeScriptError:   "script errors",
	v1alpha1.OutcomePackageFailed: "packages that could not be used",
	v1alpha1.OutcomePrematureExit: "premature exits",
}

// Events are all that host apps can report.
func Events() []string {
	events := []string{EventLaunch, EventInstalled}
	for event := range outcomes {
		events = append(events, event)
	}
	return events
}

// EventOf is the event of an outcome of the API; empty: there is none.
func EventOf(outcome string) string {
	for event, o := range outcomes {
		if o == outcome {
			return event
		}
	}
	return ""
}

// Replica is what one replica of the manifest service has counted since it started.
type Replica struct {
	// Instance is another one after each start, and so is Start, in RFC 3339.
	Instance string `json:"instance"`
	Start    string `json:"start"`
	// UptimeSeconds is how long ago the start was, by the replica's own clock.
	UptimeSeconds int64   `json:"uptimeSeconds"`
	Counts        []Count `json:"counts"`
}

// Count is what was reported of one version, by host apps that have tokens or by
// those that have none.
type Count struct {
	// Namespace and Rollout name the Rollout that serves it.
	Namespace string `json:"namespace"`
	Rollout   string `json:"rollout"`
	AppID     string `json:"appID"`
	Digest    string `json:"digest"`
	Version   string `json:"version"`
	// Cohort is target or stable, as the document has it now, or other.
	Cohort string `json:"cohort"`
	// Access is Token or Public.
	Access string `json:"access"`
	// Events has how often each was reported; those that never were are left out.
	Events map[string]int64 `json:"events"`
}
