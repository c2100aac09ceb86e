package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Values of Rollout spec.channel, spec.state, pause.onTimeout, bucketing and
// deletionPolicy.
const (
	ChannelRelease = "release"
	ChannelTrial   = "trial"

	StateRunning = "Running"
	StatePaused  = "Paused"

	OnTimeoutAbort    = "Abort"
	OnTimeoutHold     = "Hold"
	OnTimeoutContinue = "Continue"

	StickinessVersion = "Version"
	StickinessProgram = "Program"

	PresetImmediate   = "Immediate"
	PresetLinear      = "Linear"
	PresetExponential = "Exponential"

	DeletionRetain = "Retain"
	DeletionRemove = "Remove"
)

// Rollout says which version the host apps hand to which share of users. It is
// long-lived: one for a mini program, channel and set of host apps; Git
// changes versionRef. What must happen now is an annotation:
// miniprogram.dev/action with promote, promote-full, abort, retry, pause,
// resume or rollback, as status.summary shows it, and
// miniprogram.dev/action-by with your user name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mpr,categories=miniprogram-all
// +kubebuilder:printcolumn:name="Program",type=string,JSONPath=`.spec.miniProgramRef.name`
// +kubebuilder:printcolumn:name="Stable",type=string,JSONPath=`.status.stable.version`
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.status.target.version`
// +kubebuilder:printcolumn:name="Percent",type=string,JSONPath=`.status.percent`
// +kubebuilder:printcolumn:name="Step",type=string,JSONPath=`.status.step.index`
// +kubebuilder:printcolumn:name="At",type=string,JSONPath=`.status.step.kind`
// +kubebuilder:printcolumn:name="Until",type=string,JSONPath=`.status.step.until`
// +kubebuilder:printcolumn:name="Outcome",type=string,JSONPath=`.status.outcome`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Rollout struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is the plan.
	// +required
	Spec RolloutSpec `json:"spec,omitzero"`
	// status is what was decided and published.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status RolloutStatus `json:"status"`
}

// RolloutSpec is the plan of a rollout. What does not say otherwise may
// change, also while a target is under way.
// +kubebuilder:validation:XValidation:rule="self.miniProgramRef == oldSelf.miniProgramRef",message="spec.miniProgramRef may not change; create another Rollout instead"
// +kubebuilder:validation:XValidation:rule="has(self.channel) == has(oldSelf.channel) && (!has(self.channel) || self.channel == oldSelf.channel)",message="spec.channel may not change; create another Rollout instead"
// +kubebuilder:validation:XValidation:rule="!has(self.steps) || size(self.steps) == 0 || has(self.steps[0].setPercent)",message="spec.steps: the first step must be a setPercent"
// +kubebuilder:validation:XValidation:rule="!has(self.preset) || !has(self.steps) || size(self.steps) == 0",message="spec has steps or a preset, not both"
// +kubebuilder:validation:XValidation:rule="!has(self.steps) || self.steps.all(s, !has(s.analysis) || s.analysis.guardrails.all(g, has(self.guardrails) && self.guardrails.exists(x, x.name == g)))",message="spec.steps: analysis.guardrails must be names of spec.guardrails"
// +kubebuilder:validation:XValidation:rule="!has(self.channel) || self.channel != 'trial' || !((has(self.steps) && size(self.steps) > 0) || has(self.preset) || has(self.bakeSeconds) || has(self.bucketing) || has(self.audience) || has(self.window) || has(self.guardrails) || has(self.calendar))",message="spec.channel trial has no plan beside spec.hostApps and spec.versionRef: it is for spec.testers of the MiniProgram"
type RolloutSpec struct {
	// miniProgramRef names the MiniProgram, in the same namespace. May not change.
	// +required
	MiniProgramRef MiniProgramReference `json:"miniProgramRef,omitzero"`
	// channel that host apps ask for. On trial a version goes to spec.testers of the
	// mini program, in host apps that take the channel, without approvals: as soon as no
	// policy objects. Unset: release. May not change.
	// +kubebuilder:validation:Enum=release;trial
	// +kubebuilder:default=release
	// +optional
	Channel string `json:"channel,omitempty"`
	// hostApps that the rollout serves. Unset or empty: all of the mini program's
	// that no other Rollout names.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	HostApps []string `json:"hostApps,omitempty"`
	// versionRef names the MiniProgramVersion to roll out: a new one follows the
	// steps, one that was completed before the present stable is a rollback and
	// goes out at once.
	// +required
	VersionRef VersionReference `json:"versionRef,omitzero"`
	// state is Paused when the share must not grow. Abort, withdrawal and
	// suspension work all the same. Unset: Running.
	// +kubebuilder:validation:Enum=Running;Paused
	// +kubebuilder:default=Running
	// +optional
	State string `json:"state,omitempty"`
	// steps that the share takes; after the last the target becomes stable for
	// everybody. Unset or empty: at once.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:XValidation:rule="self.map(s, has(s.setPercent), type(s.setPercent) == int ? double(s.setPercent) : double(s.setPercent.replace('%', ''))).isSorted()",message="spec.steps: setPercent may not fall from one step to a later one"
	// +listType=atomic
	// +optional
	Steps []RolloutStep `json:"steps,omitempty"`
	// preset is a plan by a rule, instead of steps. Unset: steps are the plan.
	// +optional
	Preset *Preset `json:"preset,omitempty"`
	// bakeSeconds is how long, in seconds, the target stays at the last share of the
	// plan before it becomes stable for everybody; without a share in the plan, at
	// 100 percent. Unset: no time.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	BakeSeconds int64 `json:"bakeSeconds,omitempty"`
	// bucketing says by which key users fall into the share. Unset: by user, drawn
	// anew for each version. A change holds from the next target on.
	// +optional
	Bucketing *Bucketing `json:"bucketing,omitempty"`
	// audience says who may get the target, and who gets it by name; percent is of
	// those whom its rules admit. Unset: everybody.
	// +optional
	Audience *Audience `json:"audience,omitempty"`
	// window is when the target is handed out. Unset: always.
	// +optional
	Window *Window `json:"window,omitempty"`
	// guardrails are watched from the first share on until the target is stable. One
	// that fails stops the target. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=10
	// +listType=map
	// +listMapKey=name
	// +optional
	Guardrails []Guardrail `json:"guardrails,omitempty"`
	// progressDeadlineSeconds is how long, in seconds, a target may be held by what is not in its
	// plan, such as a gate that is shut or a guardrail without data. Then condition Progressing is
	// False, and it holds on. Time that is paused does not count. Unset: for ever.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	ProgressDeadlineSeconds int64 `json:"progressDeadlineSeconds,omitempty"`
	// calendar says when the share may grow. A Deny that is on wins; where there is an
	// Allow, one of them must be on. It never holds an abort or a rollback. Unset: always.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Calendar []CalendarEntry `json:"calendar,omitempty"`
	// deletionPolicy says what host apps get after the Rollout is deleted: Retain
	// keeps stable, Remove takes the mini program back. Unset: Retain.
	// +kubebuilder:validation:Enum=Retain;Remove
	// +kubebuilder:default=Retain
	// +optional
	DeletionPolicy string `json:"deletionPolicy,omitempty"`
	// history is how many ended attempts status keeps. Unset: 10.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	// +kubebuilder:default=10
	// +optional
	History int32 `json:"history,omitempty"`
	// rollbackHistory is how many earlier stable versions can be rolled back to;
	// 0: none. Unset: 5.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20
	// +kubebuilder:default=5
	// +optional
	RollbackHistory *int32 `json:"rollbackHistory,omitempty"`
}

// RolloutStep is exactly one thing to do.
// +kubebuilder:validation:ExactlyOneOf=setPercent;pause;approval;analysis
type RolloutStep struct {
	// setPercent is the share of users that get the target: a whole number from 0
	// to 100, or a string such as "0.25%" with at most two decimals. Unset in a
	// step of another kind.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=7
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? (self >= 0 && self <= 100) : (self.matches('^([0-9]{1,2}([.][0-9]{1,2})?|100([.]0{1,2})?)%$'))",message="setPercent must be a whole number from 0 to 100, or a string such as \"0.25%\" with at most two decimals"
	// +optional
	SetPercent *intstr.IntOrString `json:"setPercent,omitempty"`
	// pause before the next step. Unset in a step of another kind.
	// +optional
	Pause *PauseStep `json:"pause,omitempty"`
	// approval of a person before the next step. Promoting does not replace it.
	// Unset in a step of another kind.
	// +optional
	Approval *ApprovalStep `json:"approval,omitempty"`
	// analysis of guardrails before the next step. Unset in a step of another kind.
	// +optional
	Analysis *AnalysisStep `json:"analysis,omitempty"`
}

// AnalysisStep waits until guardrails have held for a while.
type AnalysisStep struct {
	// guardrails by their names in spec.guardrails.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	// +required
	Guardrails []string `json:"guardrails,omitempty"`
	// seconds for which each of them must have passed without a break, counted from when the share is
	// out.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	// +required
	Seconds int64 `json:"seconds,omitempty"`
}

// ApprovalStep waits until somebody other than the version's author approves a
// Review that names this very step and attempt.
type ApprovalStep struct {
	// role of the reviewer, who needs approve on miniprograms/review-<role>.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9-]*[a-z0-9])?$`
	// +required
	Role string `json:"role,omitempty"`
}

// PauseStep waits for a time, or for a person. Empty, it waits for a person
// without limit.
// +kubebuilder:validation:MinProperties=0
// +kubebuilder:validation:XValidation:rule="!(has(self.seconds) && has(self.timeoutSeconds))",message="a pause has seconds or timeoutSeconds, not both"
// +kubebuilder:validation:XValidation:rule="has(self.onTimeout) == has(self.timeoutSeconds)",message="pause.onTimeout and pause.timeoutSeconds go together"
type PauseStep struct {
	// seconds after which the rollout goes on by itself. Unset: a person promotes.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	Seconds int64 `json:"seconds,omitempty"`
	// timeoutSeconds is how long a person has to promote, in seconds. Unset: no
	// limit.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	TimeoutSeconds int64 `json:"timeoutSeconds,omitempty"`
	// onTimeout says what happens when nobody did: Abort takes the target back,
	// Hold waits on, Continue goes on. Unset: timeoutSeconds is unset too.
	// +kubebuilder:validation:Enum=Abort;Hold;Continue
	// +optional
	OnTimeout string `json:"onTimeout,omitempty"`
}

// Preset is a plan by a rule. Its shares are steps of the kind setPercent with a pause between two of
// them.
// +kubebuilder:validation:XValidation:rule="has(self.linear) == (self.type == 'Linear')",message="preset.linear and type Linear go together"
// +kubebuilder:validation:XValidation:rule="has(self.exponential) == (self.type == 'Exponential')",message="preset.exponential and type Exponential go together"
type Preset struct {
	// type is Immediate for everybody at once, Linear for shares that grow by the same each time, or
	// Exponential for shares that grow by a factor.
	// +kubebuilder:validation:Enum=Immediate;Linear;Exponential
	// +required
	Type string `json:"type,omitempty"`
	// linear is set with type Linear alone.
	// +optional
	Linear *LinearPreset `json:"linear,omitempty"`
	// exponential is set with type Exponential alone.
	// +optional
	Exponential *ExponentialPreset `json:"exponential,omitempty"`
}

// LinearPreset raises the share by the same each time, up to 100 percent.
type LinearPreset struct {
	// percent by which the share grows each time, from 1 to 100; also the first share.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +required
	Percent int32 `json:"percent,omitempty"`
	// everySeconds is the time between two shares, in seconds.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	// +required
	EverySeconds int64 `json:"everySeconds,omitempty"`
}

// ExponentialPreset multiplies the share each time, up to 100 percent.
type ExponentialPreset struct {
	// startPercent is the first share: a whole number from 1 to 100, or a string such as "0.25%" with
	// at most two decimals, which is not 0.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=7
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? (self >= 1 && self <= 100) : (self.matches('^([0-9]{1,2}([.][0-9]{1,2})?|100([.]0{1,2})?)%$') && double(self.replace('%', '')) > 0.0)",message="startPercent must be a whole number from 1 to 100, or a string such as \"0.25%\" with at most two decimals that is not 0"
	// +required
	StartPercent *intstr.IntOrString `json:"startPercent,omitempty"`
	// factor by which the share grows each time. Unset: 2.
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=100
	// +optional
	Factor int32 `json:"factor,omitempty"`
	// everySeconds is the time between two shares, in seconds.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	// +required
	EverySeconds int64 `json:"everySeconds,omitempty"`
}

// Bucketing says by which key users fall into the share. It is fixed while a
// target is under way.
// +kubebuilder:validation:MinProperties=0
type Bucketing struct {
	// by is the key: user, device, or an attribute that host apps send, such as city. Unset means
	// user.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9._-]*$`
	// +optional
	By string `json:"by,omitempty"`
	// stickiness is Version when each version draws its own users, Program when
	// the same users are always first. Unset means Version.
	// +kubebuilder:validation:Enum=Version;Program
	// +optional
	Stickiness string `json:"stickiness,omitempty"`
	// seed that is hashed with the key, so that other mini programs, or a back end, can draw the same
	// users. Unset: as stickiness says.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9._@:/-]*$`
	// +optional
	Seed string `json:"seed,omitempty"`
}

// RolloutList is a list of Rollouts.
// +kubebuilder:object:root=true
type RolloutList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Rollout `json:"items"`
}
