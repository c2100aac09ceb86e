package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of Rollout status.outcome, and of the outcome of an attempt.
const (
	OutcomePromoted     = "Promoted"
	OutcomeFastPromoted = "FastPromoted"
	OutcomeAborted      = "Aborted"
	OutcomeSuperseded   = "Superseded"
	OutcomeRolledBack   = "RolledBack"

	// PromotionFull is the value of status.promotion.
	PromotionFull = "Full"
)

// RolloutStatus is what was decided. The published document is a function of
// it and of nothing else.
// +kubebuilder:validation:MinProperties=0
type RolloutStatus struct {
	// conditions are Ready, GuardrailsHealthy while guardrails watch a target, and
	// Progressing, Paused, Aborted, Reconciling and Stalled while they are true.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the metadata.generation that the status speaks of; -1
	// before the first look.
	// +kubebuilder:validation:Minimum=-1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +optional
	ObservedGeneration int64 `json:"observedGeneration"`
	// summary says in one line what the rollout waits for, and who can give it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Summary string `json:"summary,omitempty"`
	// attempt counts new targets, rollbacks and retries from 1. Unset: nothing was
	// begun yet.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// stable is what everybody gets who is not in the target's share. Unset:
	// nothing.
	// +optional
	Stable *Variant `json:"stable,omitempty"`
	// target is what is being rolled out. Unset: nothing is under way.
	// +optional
	Target *Variant `json:"target,omitempty"`
	// step that the target is at. Unset: nothing is under way.
	// +optional
	Step *StepStatus `json:"step,omitempty"`
	// percent of users that get the target, such as "5%"; "100%" when there is
	// only stable.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	// +optional
	Percent string `json:"percent,omitempty"`
	// basisPoints is percent times 100, as a number.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	// +optional
	BasisPoints int32 `json:"basisPoints"`
	// peakBasisPoints is the highest share that the target of this attempt has
	// had, in hundredths of a percent. Unset: nobody had it.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	// +optional
	PeakBasisPoints int32 `json:"peakBasisPoints,omitempty"`
	// sequence counts decisions. Host apps never go back in it. Unset: none was
	// taken yet.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +optional
	Sequence int64 `json:"sequence,omitempty"`
	// lastDelivery is the highest delivery number that was given out. Unset: none
	// was.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +optional
	LastDelivery int64 `json:"lastDelivery,omitempty"`
	// recalls tell who had a target that was taken back, for containers that only
	// go forward.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Recalls []Recall `json:"recalls,omitempty"`
	// guardrails as they were measured last, of the target that is under way. Unset: none
	// is watched.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=200
	// +listType=map
	// +listMapKey=name
	// +optional
	Guardrails []GuardrailStatus `json:"guardrails,omitempty"`
	// pausedReason says why the share does not grow: User, Spec, or Guardrail. Unset:
	// it is not paused.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	PausedReason string `json:"pausedReason,omitempty"`
	// pausedSince is when it stopped growing, so that the time is not counted
	// against the step. Unset: it is not paused.
	// +optional
	PausedSince *metav1.Time `json:"pausedSince,omitempty"`
	// promotion is Full after promote-full while an approval step holds the target: the pauses that are
	// left are skipped, approvals are not. Unset: it goes step by step.
	// +kubebuilder:validation:Enum=Full
	// +optional
	Promotion string `json:"promotion,omitempty"`
	// outcome of the last attempt that ended. Unset while one is under way.
	// +kubebuilder:validation:Enum=Promoted;FastPromoted;Aborted;Superseded;RolledBack
	// +optional
	Outcome string `json:"outcome,omitempty"`
	// refused is the target that was aborted or rolled back: it stays out until
	// Git names another version or somebody retries. Unset: none.
	// +optional
	Refused *Refused `json:"refused,omitempty"`
	// history of attempts, newest last; as many as spec.history says.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	History []Attempt `json:"history,omitempty"`
	// rollbacks are the earlier stable versions that can be rolled back to, newest
	// last; as many as spec.rollbackHistory says.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Rollbacks []Variant `json:"rollbacks,omitempty"`
	// document holds what the published document says beside stable and target.
	// Unset: nothing was published yet.
	// +optional
	Document *DocumentFacts `json:"document,omitempty"`
	// published is the document that is out. It is written with the decision, a moment before
	// the document is, and mended when that fails or comes late. Unset: none is.
	// +optional
	Published *PublishedDocument `json:"published,omitempty"`
	// lastAction answers the last action annotation. Unset: there was none.
	// +optional
	LastAction *ActionAnswer `json:"lastAction,omitempty"`
}

// StepStatus is where the target is in the plan.
type StepStatus struct {
	// index of the step, from 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=300
	// +required
	Index int32 `json:"index"`
	// kind of the step: SetPercent, Pause, Approval, Analysis or Bake. Unset: it is after
	// the last.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +optional
	Kind string `json:"kind,omitempty"`
	// began is when the step did.
	// +optional
	Began *metav1.Time `json:"began,omitempty"`
	// until is when what the step waits for is over by itself. Unset: that is not known.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
	// heldSince is since when the target is held by what is not in its plan. Unset: it is not.
	// +optional
	HeldSince *metav1.Time `json:"heldSince,omitempty"`
}

// Recall is a cohort that had a target that was taken back.
type Recall struct {
	// by is the key of the cohort: user, device or an attribute.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	By string `json:"by,omitempty"`
	// seed of the cohort.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Seed string `json:"seed,omitempty"`
	// basisPoints is the highest share that it had, in hundredths of a percent.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	// +required
	BasisPoints int32 `json:"basisPoints"`
	// delivery number under which the cohort gets stable.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +required
	Delivery int64 `json:"delivery,omitempty"`
	// digest of the target that was taken back.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +optional
	Digest string `json:"digest,omitempty"`
	// audience tells who had it by name, and who never had it. Unset: the share says it all.
	// +optional
	Audience *RecallAudience `json:"audience,omitempty"`
}

// Refused is a target that was taken back.
type Refused struct {
	// versionRef is the name that spec.versionRef had then.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	VersionRef string `json:"versionRef,omitempty"`
	// digest that must not go out again by itself. Unset: whatever versionRef
	// names.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +optional
	Digest string `json:"digest,omitempty"`
	// reason it was taken back.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Reason string `json:"reason,omitempty"`
	// step at which it was, from 0, where a retry begins.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=300
	// +optional
	Step int32 `json:"step"`
}

// Attempt is one target's life in the history.
type Attempt struct {
	// attempt number, from 1; 0 for what was taken over from an earlier Rollout.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +required
	Attempt int32 `json:"attempt"`
	// version that was the target.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Version string `json:"version,omitempty"`
	// digest of it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +required
	Digest string `json:"digest,omitempty"`
	// outcome of the attempt.
	// +kubebuilder:validation:Enum=Promoted;FastPromoted;Aborted;Superseded;RolledBack
	// +required
	Outcome string `json:"outcome,omitempty"`
	// message says why.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`
	// ended is when.
	// +required
	Ended metav1.Time `json:"ended"`
}

// ActionAnswer answers an action annotation.
type ActionAnswer struct {
	// value of the annotation that is answered; a longer one is shortened.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Value string `json:"value,omitempty"`
	// user who set it. Unset: nobody was named.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	User string `json:"user,omitempty"`
	// result of the action: Done, Refused with the reason, Stale when it named
	// another attempt or step, or Invalid.
	// +kubebuilder:validation:Enum=Done;Refused;Stale;Invalid
	// +required
	Result string `json:"result,omitempty"`
	// message says what happened, or what to write instead.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`
	// time of the answer.
	// +required
	Time metav1.Time `json:"time"`
}
