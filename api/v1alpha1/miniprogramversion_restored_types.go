package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Restored is what was decided about a version before its cluster was lost, by an entry
// of the journal that the installation has signed.
type Restored struct {
	// entry of the journal that tells it, such as
	// "journal.v1/rollouts/shop-team/shop:s1790000000-1790000000".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Entry string `json:"entry,omitempty"`
	// decisions that held then. One whose Review is there again is left to that.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	Decisions []RestoredDecision `json:"decisions,omitempty"`
}

// RestoredDecision is a reviewer's word that only the journal has. It counts like that of
// a Review until a Review of its name is there.
type RestoredDecision struct {
	// review is the name of the Review that held it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Review string `json:"review,omitempty"`
	// role in which it was given.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +required
	Role string `json:"role,omitempty"`
	// hostApp that it is for. Unset: for all.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	HostApp string `json:"hostApp,omitempty"`
	// reviewer who gave it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Reviewer string `json:"reviewer,omitempty"`
	// decision that was taken.
	// +kubebuilder:validation:Enum=Approved;Rejected
	// +required
	Decision string `json:"decision,omitempty"`
	// supersedes is the Review whose rejection it lifts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Supersedes string `json:"supersedes,omitempty"`
	// approvedPermissions are those that it agrees to. Unset: all.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=set
	// +optional
	ApprovedPermissions []string `json:"approvedPermissions,omitempty"`
	// creationTime of the Review.
	// +required
	CreationTime metav1.Time `json:"creationTime"`
	// time at which the controller first saw the decision.
	// +required
	Time metav1.Time `json:"time"`
	// expirationTime from which on it does not count. Unset: it has no end of its own.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`
}
