package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

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

// QualityRules bound what a bundle may be and what its mini program must say.
// +kubebuilder:validation:MinProperties=0
type QualityRules struct {
	// maxBundleBytes is the size of the largest archive as it comes, in bytes.
	// Unset: as the manager's flag.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1073741824
	// +optional
	MaxBundleBytes int64 `json:"maxBundleBytes,omitempty"`
	// maxContentBytes is the largest sum of all files, expanded, in bytes. Unset:
	// any.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1073741824
	// +optional
	MaxContentBytes int64 `json:"maxContentBytes,omitempty"`
	// maxMainBytes is the largest sum of the files of the main bundle, expanded,
	// in bytes: of a Dimina bundle those below main/, of other formats all. Unset:
	// any.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1073741824
	// +optional
	MaxMainBytes int64 `json:"maxMainBytes,omitempty"`
	// maxSubBytes is the largest sum of the files of one sub bundle, expanded, in
	// bytes: of a Dimina bundle those below one sub_<name>/; other formats have
	// none. Unset: any.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1073741824
	// +optional
	MaxSubBytes int64 `json:"maxSubBytes,omitempty"`
	// maxFiles is the largest number of files. Unset: as the manager's flag.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	// +optional
	MaxFiles int32 `json:"maxFiles,omitempty"`
	// maxPages is the largest number of pages. Unset: any.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	// +optional
	MaxPages int32 `json:"maxPages,omitempty"`
	// requiredFields of spec of the MiniProgram, as paths: each must be set, and
	// not to blanks or to an empty list. Unset: none.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=12
	// +listType=set
	// +optional
	RequiredFields []RequiredField `json:"requiredFields,omitempty"`
	// requiredLocales are languages of which each must be in spec.locales of the
	// MiniProgram, such as "en" or "zh-CN"; case is not compared. Unset: none.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=2
	// +kubebuilder:validation:items:MaxLength=35
	// +listType=set
	// +optional
	RequiredLocales []string `json:"requiredLocales,omitempty"`
	// forbiddenFiles are patterns of files that a bundle may not hold. One without
	// a slash is compared with the file's name, one with a slash with the path
	// from the root of the archive. "?" is one character, "*" any number of them
	// within a name, "**" any number of folders; all else stands for itself,
	// whatever its case. Unset: none.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +listType=set
	// +optional
	ForbiddenFiles []FilePattern `json:"forbiddenFiles,omitempty"`
	// forbiddenText is what no file may hold. Unset: nothing is.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=pattern
	// +optional
	ForbiddenText []ForbiddenText `json:"forbiddenText,omitempty"`
}

// RequiredField is the path of a field of a MiniProgram, without "spec.".
// +kubebuilder:validation:Enum=description;icon;categories;owners;locales;permissions;domains;verification;minimumVersion;privacy.policyURL;privacy.contact;privacy.data
type RequiredField string

// FilePattern is a pattern of paths of files in a bundle.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:Pattern=`^[^/\\]+(/[^/\\]+)*$`
type FilePattern string

// TextPattern is a regular expression in the syntax of RE2, which is compared
// with a file as a whole: "(?i)" ignores case, "(?m)" lets ^ and $ match at lines.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
type TextPattern string

// ForbiddenText is something that files may not hold.
type ForbiddenText struct {
	// pattern of the text.
	// +required
	Pattern TextPattern `json:"pattern,omitempty"`
	// message that tells a developer what to do instead. Unset: that the text must
	// be removed.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Message string `json:"message,omitempty"`
	// files that are looked into, as patterns like those of forbiddenFiles. Unset:
	// all that are text.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=set
	// +optional
	Files []FilePattern `json:"files,omitempty"`
}

// PrivacyRules bound what a mini program may ask for and do.
// +kubebuilder:validation:MinProperties=0
type PrivacyRules struct {
	// allowedPermissions is all that may be declared. Unset: anything. Write
	// [none] where nothing may be.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=set
	// +optional
	AllowedPermissions []string `json:"allowedPermissions,omitempty"`
	// permissionReason is Required when every declared permission needs a reason.
	// Unset means Optional.
	// +kubebuilder:validation:Enum=Required;Optional
	// +optional
	PermissionReason string `json:"permissionReason,omitempty"`
	// privacyPolicy is Required when a policy URL must be declared. Unset means
	// Optional.
	// +kubebuilder:validation:Enum=Required;Optional
	// +optional
	PrivacyPolicy string `json:"privacyPolicy,omitempty"`
	// usedPermissions is Required when the permission of every sensitive API that
	// the bundle's scripts use must be declared, by the built-in table of such
	// APIs; Optional when the table does not apply. What detect finds must be
	// declared in both cases. Unset means Required, but not for versions that were
	// packaged by a release that did not look for uses.
	// +kubebuilder:validation:Enum=Required;Optional
	// +optional
	UsedPermissions string `json:"usedPermissions,omitempty"`
	// detect adds uses of sensitive APIs to those of the built-in table. Unset:
	// none.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=name
	// +optional
	Detect []DetectRule `json:"detect,omitempty"`
	// allowedDomains are the hosts of all origins that may be declared, whatever
	// their port: "api.example.com", or "*.example.com" for every host below
	// example.com, but not that itself. Unset: any. Write [none] where no domain
	// may be declared.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`
	// +listType=set
	// +optional
	AllowedDomains []string `json:"allowedDomains,omitempty"`
}

// DetectRule tells by which text the use of an API shows itself.
type DetectRule struct {
	// name of the API, for messages.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Name string `json:"name,omitempty"`
	// patterns of text; one is enough.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +listType=set
	// +required
	Patterns []TextPattern `json:"patterns,omitempty"`
	// permission that a mini program must declare for it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Permission string `json:"permission,omitempty"`
}

// PolicyRule is something that must be true of a version.
type PolicyRule struct {
	// name of the rule, for messages.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +required
	Name string `json:"name,omitempty"`
	// expression in CEL that must be true, over program, version, bundle and
	// declaration. A policy whose expression does not compile holds back what it
	// covers; one that fails when it is evaluated is a finding.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +required
	Expression string `json:"expression,omitempty"`
	// message that tells a developer what to do when it is false. Unset: the
	// expression is shown.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`
	// severity is warning when a policy that enforces should only warn of this
	// rule. Findings of policies that do not enforce are warnings whatever it is.
	// Unset: as spec.enforcement says.
	// +kubebuilder:validation:Enum=error;warning
	// +optional
	Severity string `json:"severity,omitempty"`
}

// RolloutRules bound the plans of rollouts.
// +kubebuilder:validation:MinProperties=1
type RolloutRules struct {
	// maxFirstPercent is the largest share of users that a plan may begin with: a
	// whole number from 0 to 100, or a string such as "0.25%" with at most two
	// decimals. A plan without a share begins with 100. Unset: any.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=7
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? (self >= 0 && self <= 100) : (self.matches('^([0-9]{1,2}([.][0-9]{1,2})?|100([.]0{1,2})?)%$'))",message="maxFirstPercent must be a whole number from 0 to 100, or a string such as \"0.25%\" with at most two decimals"
	// +optional
	MaxFirstPercent *intstr.IntOrString `json:"maxFirstPercent,omitempty"`
	// minBakeSeconds is the least time, in seconds, that a plan must take from the
	// first share of users to everybody: the sum of pause.seconds between them.
	// Pauses for a person count nothing, for they may be over at once. Unset: any.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	MinBakeSeconds int64 `json:"minBakeSeconds,omitempty"`
}

// ApprovalRule asks for the approval of a number of people in a role.
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
