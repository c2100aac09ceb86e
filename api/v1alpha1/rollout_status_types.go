package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of Rollout status.outcome.
const (
	OutcomePromoted     = "Promoted"
	OutcomeFastPromoted = "FastPromoted"
	OutcomeAborted      = "Aborted"
	OutcomeSuperseded   = "Superseded"
	OutcomeRolledBack   = "RolledBack"

	// PromotionFull is the value of status.promotion.
	PromotionFull = "Full"
)

// RolloutStatus is what was decided. The published document is a function of it and of nothing else.
type RolloutStatus struct {
	// observedGeneration is the generation that the conditions speak of; -1 before the first pass.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// summary says in one line what the rollout waits for, and who can give it.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Summary string `json:"summary,omitempty"`
	// conditions: Ready, Progressing, Paused, Aborted, Reconciling, Stalled.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// attempt counts new targets, rollbacks and retries from 1.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// stable is what everybody gets who is not in the target's share.
	// +optional
	Stable *Variant `json:"stable,omitempty"`
	// target is what is being rolled out.
	// +optional
	Target *Variant `json:"target,omitempty"`
	// step that the target is at.
	// +optional
	Step *StepStatus `json:"step,omitempty"`
	// percent of users that get the target, such as "5%"; "100%" when there is only stable.
	// +optional
	Percent string `json:"percent,omitempty"`
	// basisPoints is percent times 100.
	// +optional
	BasisPoints int32 `json:"basisPoints,omitempty"`
	// peakBasisPoints is the highest share that the target of this attempt has had.
	// +optional
	PeakBasisPoints int32 `json:"peakBasisPoints,omitempty"`
	// sequence counts decisions. Host apps never go back in it.
	// +optional
	Sequence int64 `json:"sequence,omitempty"`
	// lastDelivery is the highest delivery number that was given out.
	// +optional
	LastDelivery int64 `json:"lastDelivery,omitempty"`
	// recalls tell who had a target that was taken back, for containers that only go forward.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Recalls []Recall `json:"recalls,omitempty"`
	// pausedReason says why the share does not grow. Unset: it is not paused.
	// +optional
	PausedReason string `json:"pausedReason,omitempty"`
	// pausedSince is when it stopped growing, so that the time is not counted against the step.
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
	// refused is the target that was aborted or rolled back: it stays out until Git names another version or somebody retries.
	// +optional
	Refused *Refused `json:"refused,omitempty"`
	// history of attempts, newest last.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	History []Attempt `json:"history,omitempty"`
	// rollbacks are the earlier stable versions that can be rolled back to, newest last.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Rollbacks []Variant `json:"rollbacks,omitempty"`
	// document holds what the published document says beside stable and target.
	// +optional
	Document *DocumentFacts `json:"document,omitempty"`
	// published is the document that is out.
	// +optional
	Published *PublishedDocument `json:"published,omitempty"`
	// lastAction answers the last action annotation.
	// +optional
	LastAction *ActionAnswer `json:"lastAction,omitempty"`
}

// Variant is a version with all that the document says of it.
type Variant struct {
	// versionRef is the name of the MiniProgramVersion.
	// +required
	VersionRef string `json:"versionRef"`
	// version by semver.org.
	// +required
	Version string `json:"version"`
	// versionCode of it.
	// +optional
	VersionCode int64 `json:"versionCode,omitempty"`
	// format of the bundle.
	// +optional
	Format string `json:"format,omitempty"`
	// entryPage is the page that opens first.
	// +optional
	EntryPage string `json:"entryPage,omitempty"`
	// repository of the artifact.
	// +optional
	Repository string `json:"repository,omitempty"`
	// digest of the artifact.
	// +required
	Digest string `json:"digest"`
	// contentDigest of its files.
	// +optional
	ContentDigest string `json:"contentDigest,omitempty"`
	// archive is the bundle as it came.
	// +required
	Archive Blob `json:"archive"`
	// content is the deterministic tar of its files, compressed.
	// +required
	Content Blob `json:"content"`
	// delivery number under which containers that only go forward get it; 0 before it was first served.
	// +optional
	Delivery int64 `json:"delivery,omitempty"`
	// declaration that was frozen and approved.
	// +optional
	Declaration *Declaration `json:"declaration,omitempty"`
	// compatibility of the version.
	// +optional
	Compatibility *Compatibility `json:"compatibility,omitempty"`
	// install hints of the version.
	// +optional
	Install *Install `json:"install,omitempty"`
}

// StepStatus is where the target is in the plan.
type StepStatus struct {
	// index of the step, from 0.
	// +required
	Index int32 `json:"index"`
	// kind of the step: SetPercent, Pause or Approval.
	// +optional
	Kind string `json:"kind,omitempty"`
	// began is when the step did.
	// +optional
	Began *metav1.Time `json:"began,omitempty"`
}

// Recall is a cohort that had a target that was taken back.
type Recall struct {
	// by is the key of the cohort: user or device.
	// +required
	By string `json:"by"`
	// seed of the cohort.
	// +required
	Seed string `json:"seed"`
	// basisPoints is the highest share that it had.
	// +required
	BasisPoints int32 `json:"basisPoints"`
	// delivery number under which the cohort gets stable.
	// +required
	Delivery int64 `json:"delivery"`
	// digest of the target that was taken back.
	// +optional
	Digest string `json:"digest,omitempty"`
}

// Refused is a target that was taken back.
type Refused struct {
	// versionRef that spec named then.
	// +required
	VersionRef string `json:"versionRef"`
	// digest that must not go out again by itself.
	// +required
	Digest string `json:"digest"`
	// reason it was taken back.
	// +required
	Reason string `json:"reason"`
	// step at which it was, where a retry begins.
	// +optional
	Step int32 `json:"step,omitempty"`
}

// Attempt is one target's life in the history.
type Attempt struct {
	// attempt number.
	// +required
	Attempt int32 `json:"attempt"`
	// version that was the target.
	// +required
	Version string `json:"version"`
	// digest of it.
	// +required
	Digest string `json:"digest"`
	// outcome of the attempt.
	// +required
	Outcome string `json:"outcome"`
	// message says why.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`
	// ended is when.
	// +required
	Ended metav1.Time `json:"ended"`
}

// DocumentFacts are what the document says beside stable and target, as recorded.
type DocumentFacts struct {
	// appID of the mini program.
	// +required
	AppID string `json:"appID"`
	// hostApps that are served.
	// +kubebuilder:validation:MaxItems=50
	// +listType=set
	// +optional
	HostApps []string `json:"hostApps,omitempty"`
	// availability: Listed, Hidden, Suspended, Withdrawn when nothing is left that may be served, Retained or Removed after deletion.
	// +kubebuilder:validation:Enum=Listed;Hidden;Suspended;Withdrawn;Retained;Removed
	// +required
	Availability string `json:"availability"`
	// minimumVersion that host apps still open.
	// +optional
	MinimumVersion string `json:"minimumVersion,omitempty"`
	// displayName for listings.
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// description for listings.
	// +optional
	Description string `json:"description,omitempty"`
	// locales for listings.
	// +kubebuilder:validation:MaxItems=50
	// +listType=map
	// +listMapKey=lang
	// +optional
	Locales []LocalizedText `json:"locales,omitempty"`
	// pollSeconds that host apps should keep between two questions.
	// +optional
	PollSeconds int32 `json:"pollSeconds,omitempty"`
	// by is the key of the split.
	// +optional
	By string `json:"by,omitempty"`
	// seed of the split.
	// +optional
	Seed string `json:"seed,omitempty"`
	// issuedAt is when the document was decided or signed anew.
	// +optional
	IssuedAt metav1.Time `json:"issuedAt,omitempty"`
}

// PublishedDocument is a document in the publication namespace.
type PublishedDocument struct {
	// configMap that holds it.
	// +required
	ConfigMap string `json:"configMap"`
	// sequence of it.
	// +required
	Sequence int64 `json:"sequence"`
	// sha256 of the envelope, with the prefix "sha256:".
	// +required
	SHA256 string `json:"sha256"`
	// time at which it was written.
	// +required
	Time metav1.Time `json:"time"`
}

// ActionAnswer answers an action annotation.
type ActionAnswer struct {
	// value of the annotation that is answered.
	// +required
	Value string `json:"value"`
	// user who set it.
	// +optional
	User string `json:"user,omitempty"`
	// result: Done, Refused, Stale or Invalid.
	// +kubebuilder:validation:Enum=Done;Refused;Stale;Invalid
	// +required
	Result string `json:"result"`
	// message says what happened, or what to write instead.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`
	// time of the answer.
	// +required
	Time metav1.Time `json:"time"`
}
