package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of Review spec.decision.
const (
	DecisionPending   = "Pending"
	DecisionApproved  = "Approved"
	DecisionRejected  = "Rejected"
	DecisionWithdrawn = "Withdrawn"
)

// Review is one person's word on one digest, in one role. The controller
// creates pending ones; `kubectl get mprev` is the reviewers' queue. To decide
// one takes verb approve on miniprograms/review-<role> of the program.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mprev,categories=miniprogram-all
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.versionRef.name`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.role`
// +kubebuilder:printcolumn:name="Host App",type=string,JSONPath=`.spec.hostApp`
// +kubebuilder:printcolumn:name="Decision",type=string,JSONPath=`.spec.decision`
// +kubebuilder:printcolumn:name="Reviewer",type=string,JSONPath=`.spec.reviewer`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Rollout",type=string,priority=1,JSONPath=`.spec.rollout.name`
// +kubebuilder:printcolumn:name="Attempt",type=integer,priority=1,JSONPath=`.spec.rollout.attempt`
// +kubebuilder:printcolumn:name="Step",type=integer,priority=1,JSONPath=`.spec.rollout.step`
// +kubebuilder:printcolumn:name="Digest",type=string,priority=1,JSONPath=`.spec.digest`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.decision`
// +kubebuilder:selectablefield:JSONPath=`.spec.role`
// +kubebuilder:selectablefield:JSONPath=`.spec.hostApp`
// +kubebuilder:selectablefield:JSONPath=`.spec.miniProgramRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.versionRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.rollout.name`
type Review struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what is asked, and the reviewer's answer.
	// +required
	Spec ReviewSpec `json:"spec,omitzero"`
	// status tells whether the review counts.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status ReviewStatus `json:"status"`
}

// ReviewSpec is fixed but for the reviewer's answer: decision, reviewer,
// comment, checklist, approvedPermissions and supersedes, which are fixed with
// the decision, and evidence, which may be added until then.
// +kubebuilder:validation:XValidation:rule="self.miniProgramRef == oldSelf.miniProgramRef",message="spec.miniProgramRef may not change"
// +kubebuilder:validation:XValidation:rule="self.versionRef == oldSelf.versionRef",message="spec.versionRef may not change"
// +kubebuilder:validation:XValidation:rule="self.digest == oldSelf.digest",message="spec.digest may not change: a review is bound to the bytes that were looked at"
// +kubebuilder:validation:XValidation:rule="self.role == oldSelf.role",message="spec.role may not change"
// +kubebuilder:validation:XValidation:rule="has(self.hostApp) == has(oldSelf.hostApp) && (!has(self.hostApp) || self.hostApp == oldSelf.hostApp)",message="spec.hostApp may not change"
// +kubebuilder:validation:XValidation:rule="has(self.rollout) == has(oldSelf.rollout) && (!has(self.rollout) || self.rollout == oldSelf.rollout)",message="spec.rollout may not change"
// +kubebuilder:validation:XValidation:rule="has(self.requestedBy) == has(oldSelf.requestedBy) && (!has(self.requestedBy) || self.requestedBy == oldSelf.requestedBy)",message="spec.requestedBy may not change"
// +kubebuilder:validation:XValidation:rule="has(self.expirationTime) == has(oldSelf.expirationTime) && (!has(self.expirationTime) || self.expirationTime == oldSelf.expirationTime)",message="spec.expirationTime may not change"
// +kubebuilder:validation:XValidation:rule="oldSelf.decision == 'Pending' || self.decision == oldSelf.decision",message="spec.decision may not change once it is taken; a later Review can supersede it"
// +kubebuilder:validation:XValidation:rule="oldSelf.decision == 'Pending' || (has(self.reviewer) == has(oldSelf.reviewer) && (!has(self.reviewer) || self.reviewer == oldSelf.reviewer))",message="spec.reviewer may not change once the decision is taken"
// +kubebuilder:validation:XValidation:rule="oldSelf.decision == 'Pending' || (has(self.comment) == has(oldSelf.comment) && (!has(self.comment) || self.comment == oldSelf.comment))",message="spec.comment may not change once the decision is taken"
// +kubebuilder:validation:XValidation:rule="oldSelf.decision == 'Pending' || (has(self.checklist) == has(oldSelf.checklist) && (!has(self.checklist) || self.checklist == oldSelf.checklist))",message="spec.checklist may not change once the decision is taken"
// +kubebuilder:validation:XValidation:rule="oldSelf.decision == 'Pending' || (has(self.supersedes) == has(oldSelf.supersedes) && (!has(self.supersedes) || self.supersedes == oldSelf.supersedes))",message="spec.supersedes may not change once the decision is taken"
// +kubebuilder:validation:XValidation:rule="oldSelf.decision == 'Pending' || (has(self.approvedPermissions) == has(oldSelf.approvedPermissions) && (!has(self.approvedPermissions) || self.approvedPermissions == oldSelf.approvedPermissions))",message="spec.approvedPermissions may not change once the decision is taken"
// +kubebuilder:validation:XValidation:rule="!has(self.rollout) || !has(self.hostApp)",message="spec.hostApp must be unset when spec.rollout is set: a step is approved for all host apps of its Rollout"
// +kubebuilder:validation:XValidation:rule="self.decision != 'Approved' || !has(self.checklist) || !self.checklist.exists(c, c.result == 'Fail')",message="spec.checklist has an item with result Fail, so spec.decision may not be Approved: reject it, or correct the result"
// +kubebuilder:validation:XValidation:rule="self.decision != 'Rejected' || has(self.comment)",message="spec.comment is required when spec.decision is Rejected: say what has to change"
// +kubebuilder:validation:XValidation:rule="!(self.decision in ['Approved', 'Rejected']) || has(self.reviewer)",message="spec.reviewer is required with a decision: write your own user name, as kubectl auth whoami shows it"
// +kubebuilder:validation:XValidation:rule="self.decision != 'Pending' || !has(self.reviewer)",message="spec.reviewer may only be set together with a decision"
type ReviewSpec struct {
	// miniProgramRef names the MiniProgram, in the same namespace. May not change.
	// +required
	MiniProgramRef MiniProgramReference `json:"miniProgramRef,omitzero"`
	// versionRef names the MiniProgramVersion, in the same namespace. May not
	// change.
	// +required
	VersionRef VersionReference `json:"versionRef,omitzero"`
	// digest of the artifact that is reviewed. A decision counts for these bytes
	// and no others. May not change.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +required
	Digest string `json:"digest,omitempty"`
	// role in which the reviewer speaks, such as quality or privacy. May not
	// change.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9-]*[a-z0-9])?$`
	// +required
	Role string `json:"role,omitempty"`
	// hostApp that the decision is for. Unset: for all of the program's. May not
	// change.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	HostApp string `json:"hostApp,omitempty"`
	// rollout names the step of a Rollout that the decision is for: an approval
	// then counts there and nowhere else. Unset: it is about the version. May not
	// change.
	// +optional
	Rollout *RolloutStepReference `json:"rollout,omitempty"`
	// requestedBy is the version's author. Unset: the version names none. May not
	// change.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	RequestedBy string `json:"requestedBy,omitempty"`
	// expirationTime after which the decision no longer counts. Unset: as the
	// policy says. May not change.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`
	// decision of the reviewer. One way: from Pending to Approved, Rejected or
	// Withdrawn. Unset: Pending.
	// +kubebuilder:validation:Enum=Pending;Approved;Rejected;Withdrawn
	// +kubebuilder:default=Pending
	// +optional
	Decision string `json:"decision,omitempty"`
	// reviewer who decided: the requesting user, as admission checks. Unset:
	// nobody decided yet. Fixed with the decision.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Reviewer string `json:"reviewer,omitempty"`
	// comment for the author. Required when the decision is Rejected. Unset: none.
	// Fixed with the decision.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Comment string `json:"comment,omitempty"`
	// checklist that the reviewer went through. Unset: none. Fixed with the
	// decision.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	Checklist []ChecklistItem `json:"checklist,omitempty"`
	// evidence that author and reviewer point to. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Evidence []Evidence `json:"evidence,omitempty"`
	// approvedPermissions are the declared permissions that the reviewer agrees
	// to; host apps grant no others. Unset: all that the version declares. It must
	// hold every permission that the version needs as Required, else the approval
	// does not count. Write [none] to agree to none. Fixed with the decision.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=set
	// +optional
	ApprovedPermissions []string `json:"approvedPermissions,omitempty"`
	// supersedes names an earlier Review of the same digest and role whose
	// rejection this one lifts. Unset: it lifts none. Fixed with the decision.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Supersedes string `json:"supersedes,omitempty"`
}

// RolloutStepReference names one step of one attempt of a Rollout in the same
// namespace.
type RolloutStepReference struct {
	// name of the Rollout.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// attempt of the Rollout, from 1. A retry or another target is another
	// attempt, and is approved anew.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	// +required
	Attempt int32 `json:"attempt,omitempty"`
	// step in spec.steps of the Rollout, from 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=19
	// +required
	Step int32 `json:"step"`
}

// ChecklistItem is one thing that the reviewer looked at.
type ChecklistItem struct {
	// item that was looked at.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Item string `json:"item,omitempty"`
	// result of the look.
	// +kubebuilder:validation:Enum=Pass;Fail;NotApplicable
	// +required
	Result string `json:"result,omitempty"`
	// note about it. Unset: none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Note string `json:"note,omitempty"`
}

// Evidence is something to look at.
type Evidence struct {
	// title of it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Title string `json:"title,omitempty"`
	// url of it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://`
	// +required
	URL string `json:"url,omitempty"`
}

// ReviewStatus tells whether a review counts.
// +kubebuilder:validation:MinProperties=0
type ReviewStatus struct {
	// conditions are Ready, which is True when there is nothing more to do with
	// the review, and Reconciling and Stalled while they are true.
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
	// recordTime is when the decision was written to where it outlives the Review:
	// a rejection to the MiniProgram's status, an approval to the version's. A
	// decided Review cannot be deleted before. Unset: not yet.
	// +optional
	RecordTime *metav1.Time `json:"recordTime,omitempty"`
}

// ReviewList is a list of Reviews.
// +kubebuilder:object:root=true
type ReviewList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Review `json:"items"`
}
