package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of ReviewPolicy spec.enforcement, of selfApproval and author, and the
// role that asks for nobody.
const (
	Enforce = "Enforce"
	Warn    = "Warn"
	Audit   = "Audit"

	SelfApprovalForbidden = "Forbidden"
	SelfApprovalAllowed   = "Allowed"

	AuthorAny    = "Any"
	AuthorProven = "Proven"

	// Required and Optional are the values of what a policy may ask for.
	Required = "Required"
	Optional = "Optional"

	// RoleNone in an approval says that a policy asks for no approval at all.
	RoleNone = "none"
)

// ReviewPolicy is what the platform's administrators ask of the versions of
// many developer groups: quality, privacy, rules of their own, and approvals.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=reviewpolicies,shortName=mpp,categories=miniprogram-all
// +kubebuilder:printcolumn:name="Enforcement",type=string,JSONPath=`.spec.enforcement`
// +kubebuilder:printcolumn:name="Enforced",type=string,JSONPath=`.status.conditions[?(@.type=="ApprovalPolicyEnforced")].status`
// +kubebuilder:printcolumn:name="Covered",type=integer,JSONPath=`.status.versions.covered`
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.versions.failed`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ReviewPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the policy asks for.
	// +required
	Spec ReviewPolicySpec `json:"spec,omitzero"`
	// status is what the controller observed.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status ReviewPolicyStatus `json:"status"`
}

// ReviewPolicySpec is what a policy asks for. All policies that cover a
// version apply together. All of it may change; what is stable already is not
// judged anew.
// +kubebuilder:validation:MinProperties=1
type ReviewPolicySpec struct {
	// namespaceSelector selects developer groups by the labels of their
	// namespaces. Unset: all.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// miniProgramSelector selects mini programs by labels whose keys begin with
	// policy.miniprogram.dev/; changing those takes verb classify. Unset: all.
	// +optional
	MiniProgramSelector *metav1.LabelSelector `json:"miniProgramSelector,omitempty"`
	// hostApps to which the policy applies. Unset: all.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	HostApps []string `json:"hostApps,omitempty"`
	// enforcement is Enforce when findings and missing approvals hold a release
	// back; Warn shows findings, Audit only counts them. Unset: Enforce.
	// +kubebuilder:validation:Enum=Enforce;Warn;Audit
	// +kubebuilder:default=Enforce
	// +optional
	Enforcement string `json:"enforcement,omitempty"`
	// quality rules about the bundle. Unset: none.
	// +optional
	Quality *QualityRules `json:"quality,omitempty"`
	// privacy rules about what is declared and what the bundle uses. Unset: none.
	// +optional
	Privacy *PrivacyRules `json:"privacy,omitempty"`
	// rules of the administrators' own, in CEL. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=name
	// +optional
	Rules []PolicyRule `json:"rules,omitempty"`
	// pinnedSource is Required when spec.source of a version must name exact
	// bytes: an oci reference with @digest, http and configMap with sha256. Unset
	// means Optional.
	// +kubebuilder:validation:Enum=Required;Optional
	// +optional
	PinnedSource string `json:"pinnedSource,omitempty"`
	// rollout bounds what the plan of every rollout of a covered mini program may
	// be. Unset: any plan.
	// +optional
	Rollout *RolloutRules `json:"rollout,omitempty"`
	// approvals that a version needs, by role. Unset: this policy asks for none;
	// where no policy does, nothing is approved.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=10
	// +listType=map
	// +listMapKey=role
	// +optional
	Approvals []ApprovalRule `json:"approvals,omitempty"`
}

// ApprovalRule asks for the approval of a number of people in a role.
// +kubebuilder:validation:XValidation:rule="!has(self.channels) || 'release' in self.channels",message="approvals[].channels must name release: what testers wait for, a release waits for as well"
type ApprovalRule struct {
	// role of the reviewers, such as quality or privacy; "none" says that this
	// policy asks for nobody.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9-]*[a-z0-9])?$`
	// +required
	Role string `json:"role,omitempty"`
	// count of distinct people. Unset: 1.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	// +optional
	Count int32 `json:"count,omitempty"`
	// hostApps for each of which the approval is asked separately. Unset: one
	// approval for all.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	HostApps []string `json:"hostApps,omitempty"`
	// selfApproval is Allowed when the version's author may be the reviewer. Unset
	// means Forbidden.
	// +kubebuilder:validation:Enum=Forbidden;Allowed
	// +optional
	SelfApproval string `json:"selfApproval,omitempty"`
	// author is Proven when the approval counts only for versions whose author
	// admission has checked (status.author.standing), not merely declared by an
	// account that may name others. Unset means Any.
	// +kubebuilder:validation:Enum=Any;Proven
	// +optional
	Author string `json:"author,omitempty"`
	// channels that wait for the approval. Only a release waits where it is unset. A trial waits for
	// it where trial is named too; what testers wait for, a release waits for as well.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:Enum=release;trial
	// +listType=set
	// +optional
	Channels []string `json:"channels,omitempty"`
	// validSeconds is how long a decision counts, in seconds. Unset: without end.
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=315360000
	// +optional
	ValidSeconds int64 `json:"validSeconds,omitempty"`
}

// ReviewPolicyStatus is what the controller observed of a policy.
// +kubebuilder:validation:MinProperties=0
type ReviewPolicyStatus struct {
	// conditions are Ready and ApprovalPolicyEnforced, and Reconciling and Stalled
	// while they are true.
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
	// versions counts those that the policy covers. Unset: not counted yet.
	// +optional
	Versions *PolicyVersions `json:"versions,omitempty"`
}

// PolicyVersions counts versions.
type PolicyVersions struct {
	// covered is how many the policy covers.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +required
	Covered int32 `json:"covered"`
	// passed is how many of them passed its content rules.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +required
	Passed int32 `json:"passed"`
	// failed is how many of them did not.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +required
	Failed int32 `json:"failed"`
}

// ReviewPolicyList is a list of ReviewPolicies.
// +kubebuilder:object:root=true
type ReviewPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ReviewPolicy `json:"items"`
}
