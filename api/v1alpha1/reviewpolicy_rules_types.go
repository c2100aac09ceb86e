package v1alpha1

import "k8s.io/apimachinery/pkg/util/intstr"

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
	// first share of users to everybody: the sum of pause.seconds and analysis.seconds between them, and bakeSeconds
	// where the last share is below 100. Pauses for a person count nothing, for they may be over at once. Unset: any.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	MinBakeSeconds int64 `json:"minBakeSeconds,omitempty"`
	// guardrails that watch every rollout, beside its own. Where one of its own has the same name,
	// both are watched. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=10
	// +listType=map
	// +listMapKey=name
	// +optional
	Guardrails []Guardrail `json:"guardrails,omitempty"`
	// calendar that holds for every rollout, beside its own. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Calendar []CalendarEntry `json:"calendar,omitempty"`
}
