package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of guardrails, of their outcomes, and of calendar entries.
const (
	CompareAbsolute = "Absolute"
	CompareToStable = "ToStable"

	OnFailurePause = "Pause"
	OnFailureAbort = "Abort"

	OnNoDataHold  = "Hold"
	OnNoDataAbort = "Abort"

	GuardrailPassed       = "Passed"
	GuardrailFailed       = "Failed"
	GuardrailInconclusive = "Inconclusive"
	GuardrailError        = "Error"

	OutcomeLaunchFailed  = "LaunchFailed"
	OutcomeWhiteScreen   = "WhiteScreen"
	OutcomeCrashed       = "Crashed"
	OutcomeUnresponsive  = "Unresponsive"
	OutcomeScriptError   = "ScriptError"
	OutcomePackageFailed = "PackageFailed"
	OutcomePrematureExit = "PrematureExit"

	CalendarAllow = "Allow"
	CalendarDeny  = "Deny"
)

// Guardrail is a number about the target that must not get too high.
// +kubebuilder:validation:ExactlyOneOf=prometheus;hostReports
type Guardrail struct {
	// name that analysis steps and status use.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9-]*[a-z0-9])?$`
	// +required
	Name string `json:"name,omitempty"`
	// prometheus measures by a query template of the platform. Unset: hostReports measures.
	// +optional
	Prometheus *PrometheusMeasure `json:"prometheus,omitempty"`
	// hostReports measures what host apps report to the manifest service. Unset: prometheus measures.
	// +optional
	HostReports *HostReportsMeasure `json:"hostReports,omitempty"`
	// compare is Absolute when the target's number itself must not be above failureAbove, and ToStable
	// when it must not be above stable's by more than that: without a stable version, above 0, and while
	// everybody has the target, above stable's when it was measured last. Unset means Absolute.
	// +kubebuilder:validation:Enum=Absolute;ToStable
	// +optional
	Compare string `json:"compare,omitempty"`
	// failureAbove is the number above which it fails: a share such as "2.5%", or a decimal such as "0.3".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[0-9]{1,9}([.][0-9]{1,4})?%?$`
	// +required
	FailureAbove string `json:"failureAbove,omitempty"`
	// minSamples is how many launches, or samples of the template, it takes on either side before
	// anything is said. Unset: 100.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000
	// +optional
	MinSamples int64 `json:"minSamples,omitempty"`
	// intervalSeconds is the time between two measurements, in seconds, and the time that each covers.
	// Unset: 60.
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	// +optional
	IntervalSeconds int32 `json:"intervalSeconds,omitempty"`
	// onFailure is Pause when the share stops growing until a person goes on, and Abort when the target is
	// taken back. Reports of host apps without tokens can at most pause. Unset means Pause.
	// +kubebuilder:validation:Enum=Pause;Abort
	// +optional
	OnFailure string `json:"onFailure,omitempty"`
	// onNoData is Hold when the share does not grow while there are too few samples, and Abort when the
	// target is taken back after one whole interval without any. Unset means Hold.
	// +kubebuilder:validation:Enum=Hold;Abort
	// +optional
	OnNoData string `json:"onNoData,omitempty"`
}

// PrometheusMeasure is a query of the platform's Prometheus.
type PrometheusMeasure struct {
	// template by its name in the configuration of the manager.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9-]*[a-z0-9])?$`
	// +required
	Template string `json:"template,omitempty"`
	// args that the template takes, beside those that it is always given. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=10
	// +listType=map
	// +listMapKey=name
	// +optional
	Args []TemplateArg `json:"args,omitempty"`
}

// TemplateArg is a value that a query template takes. It becomes part of a quoted string, never of
// the query's own words.
type TemplateArg struct {
	// name as the template has it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z][a-zA-Z0-9_]*$`
	// +required
	Name string `json:"name,omitempty"`
	// value of it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Value string `json:"value,omitempty"`
}

// HostReportsMeasure is the share of launches that went wrong, as host apps report it.
type HostReportsMeasure struct {
	// outcome that is counted, divided by the number of launches: LaunchFailed, WhiteScreen, Crashed,
	// Unresponsive, ScriptError, PackageFailed or PrematureExit.
	// +kubebuilder:validation:Enum=LaunchFailed;WhiteScreen;Crashed;Unresponsive;ScriptError;PackageFailed;PrematureExit
	// +required
	Outcome string `json:"outcome,omitempty"`
}

// GuardrailStatus is the word of the last measurement of one guardrail. It is written when the word
// changes, not at each measurement.
type GuardrailStatus struct {
	// name of the guardrail; of one that a ReviewPolicy asks for, <policy>/<name>.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +required
	Name string `json:"name,omitempty"`
	// outcome of the measurement. Passed, Failed, Inconclusive when there are too few samples, Error when it could not be
	// measured.
	// +kubebuilder:validation:Enum=Passed;Failed;Inconclusive;Error
	// +required
	Outcome string `json:"outcome,omitempty"`
	// message has the figures, and what to do.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`
	// since is when the outcome became this one.
	// +required
	Since metav1.Time `json:"since,omitzero"`
}

// CalendarEntry is a time that comes again and again.
type CalendarEntry struct {
	// schedule is when it begins, in the five fields of cron, as CronJobs have them.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +required
	Schedule string `json:"schedule,omitempty"`
	// durationSeconds is how long it is, in seconds.
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=31536000
	// +required
	DurationSeconds int64 `json:"durationSeconds,omitempty"`
	// timeZone of the schedule, such as Asia/Shanghai. Unset: UTC.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
	// effect is Allow when the share may grow then, Deny when it may not.
	// +kubebuilder:validation:Enum=Allow;Deny
	// +required
	Effect string `json:"effect,omitempty"`
}
