package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of audience.completion, window.afterWindow and the operators of rules.
const (
	CompletionManual    = "Manual"
	CompletionAutomatic = "Automatic"

	AfterWindowHold  = "Hold"
	AfterWindowAbort = "Abort"
)

// Audience says who may get the target, and who gets it by name.
// +kubebuilder:validation:MinProperties=0
type Audience struct {
	// include are users who get the target whatever the rules, the window and the share say. Unset:
	// nobody.
	// +optional
	Include *AudienceKeys `json:"include,omitempty"`
	// exclude are users who never get the target before it is stable; this wins over include. Unset:
	// nobody.
	// +optional
	Exclude *AudienceKeys `json:"exclude,omitempty"`
	// rules that all must hold. An attribute that host apps do not send fulfils none. Unset: no
	// condition.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Rules []AudienceRule `json:"rules,omitempty"`
	// completion is Manual when a target that not everybody may get (rules, exclude, or a window) waits
	// for promote-full after its last step, and Automatic when it becomes stable for everybody by
	// itself. Unset means Manual.
	// +kubebuilder:validation:Enum=Manual;Automatic
	// +optional
	Completion string `json:"completion,omitempty"`
}

// AudienceKeys are keys of users as host apps send them. They are published only as hashes.
// +kubebuilder:validation:ExactlyOneOf=users;from
type AudienceKeys struct {
	// users by their keys. Unset: from has them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=set
	// +optional
	Users []string `json:"users,omitempty"`
	// from are lists that are kept elsewhere, one key a line; 100,000 keys together at most. They are
	// read when a target starts and when this spec changes. Unset: users has them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	// +optional
	From []AudienceSource `json:"from,omitempty"`
}

// AudienceSource is a list of keys that is kept elsewhere.
type AudienceSource struct {
	// configMap in the namespace of the Rollout.
	// +required
	ConfigMap AudienceConfigMap `json:"configMap,omitzero"`
}

// AudienceConfigMap is a list in a ConfigMap.
type AudienceConfigMap struct {
	// name of the ConfigMap.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// key under which the list stands.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Key string `json:"key,omitempty"`
	// sha256 that the list must have, in lower-case hexadecimal digits. Unset: any.
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +optional
	SHA256 string `json:"sha256,omitempty"`
}

// AudienceRule is a condition on one attribute.
// +kubebuilder:validation:XValidation:rule="!(self.operator in ['AtLeast', 'AtMost']) || size(self.values) == 1",message="AtLeast and AtMost take one value"
// +kubebuilder:validation:XValidation:rule="self.operator != 'Between' || size(self.values) == 2",message="Between takes two values, the lower first"
type AudienceRule struct {
	// attribute that host apps send: city, deviceModel, osVersion, platform, network, hostAppVersion,
	// language, or one of the host app's own.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9._-]*$`
	// +required
	Attribute string `json:"attribute,omitempty"`
	// operator that compares. In, NotIn and StartsWith compare text; AtLeast, AtMost and Between compare versions, and
	// what is no version fulfils none of these three.
	// +kubebuilder:validation:Enum=In;NotIn;AtLeast;AtMost;Between;StartsWith
	// +required
	Operator string `json:"operator,omitempty"`
	// values to compare with.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=atomic
	// +required
	Values []string `json:"values,omitempty"`
}

// Window is when, and for how many users, the target is handed out. Who is included by name gets
// it all the same.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.start) || !has(self.end) || self.start < self.end",message="window.start must be before window.end"
type Window struct {
	// start of the window, which belongs to it. Unset: open.
	// +optional
	Start *metav1.Time `json:"start,omitempty"`
	// end of the window, which does not belong to it. Unset: open.
	// +optional
	End *metav1.Time `json:"end,omitempty"`
	// users after which the window closes: about as many, counted from what host apps with tokens report as
	// installed. Unset: any number.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000
	// +optional
	Users int64 `json:"users,omitempty"`
	// afterWindow says what becomes of the target when the window has closed: Hold keeps it for those who
	// are included by name until a person goes on, Abort takes it back. Unset means Hold.
	// +kubebuilder:validation:Enum=Hold;Abort
	// +optional
	AfterWindow string `json:"afterWindow,omitempty"`
}
