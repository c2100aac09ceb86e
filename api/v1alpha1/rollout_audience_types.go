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
// +kubebuilder:validation:XValidation:rule="(has(self.include) && has(self.include.from) ? size(self.include.from) : 0) + (has(self.exclude) && has(self.exclude.from) ? size(self.exclude.from) : 0) <= 16",message="audience: include.from and exclude.from have 16 entries together at most"
type Audience struct {
	// include are users who get the target whatever the rules, the window and the share say. Unset:
	// nobody.
	// +optional
	Include *AudienceKeys `json:"include,omitempty"`
	// exclude are users who never get the target before it is stable; this wins over include. Unset:
	// nobody.
	// +optional
	Exclude *AudienceKeys `json:"exclude,omitempty"`
	// rules that all must hold. An attribute that host apps do not send fulfils none. Their values
	// have 16,384 characters together at most. Unset: no condition.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:XValidation:rule="self.map(r, r.values.map(v, size(v)).sum()).sum() <= 16384",message="audience.rules: the values of all rules together have 16384 characters at most"
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
	// from are lists of keys in ConfigMaps, for host apps with access Token only: the manifest
	// service decides there. All lists of include and exclude have 100,000 keys together at most.
	// Unset: users has them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	// +optional
	From []AudienceSource `json:"from,omitempty"`
}

// AudienceSource is where a list of keys is.
type AudienceSource struct {
	// configMap that holds it.
	// +required
	ConfigMap AudienceConfigMap `json:"configMap,omitzero"`
}

// AudienceConfigMap is a list of users' keys in a ConfigMap of the same namespace: one key of at
// most 128 characters a line. Blank lines do not count, and neither does a key that was there before.
type AudienceConfigMap struct {
	// name of the ConfigMap.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// key in its data (or binaryData).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Key string `json:"key,omitempty"`
	// sha256 of the list, in hexadecimal digits as sha256sum prints them. Another list, another digest: so
	// Git says who gets what.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +required
	SHA256 string `json:"sha256,omitempty"`
}

// AudienceRule is a condition on one attribute.
// +kubebuilder:validation:XValidation:rule="!(self.operator in ['AtLeast', 'AtMost']) || size(self.values) == 1",message="AtLeast and AtMost take one value"
// +kubebuilder:validation:XValidation:rule="self.operator != 'Between' || size(self.values) == 2",message="Between takes two values, the lower first"
// +kubebuilder:validation:XValidation:rule="!(self.operator in ['AtLeast', 'AtMost', 'Between']) || self.values.all(v, v.matches('^[0-9]+([.][0-9]+)*(-[0-9A-Za-z-]+([.][0-9A-Za-z-]+)*)?$'))",message="AtLeast, AtMost and Between compare versions: write values such as 8.0.10 or 8.1.0-rc.1"
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

// Window is when the target is handed out. Who is included by name gets it all the same.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.start) || !has(self.end) || self.start < self.end",message="window.start must be before window.end"
type Window struct {
	// start of the window, which belongs to it. Unset: open.
	// +optional
	Start *metav1.Time `json:"start,omitempty"`
	// end of the window, which does not belong to it. Unset: open.
	// +optional
	End *metav1.Time `json:"end,omitempty"`
	// users is how many may get the target before the window closes, as host apps report installations
	// (event installed): approximate, and for host apps with access Token only. Unset: as many as there are.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000
	// +optional
	Users int64 `json:"users,omitempty"`
	// afterWindow says what becomes of the target when the window has closed: Hold keeps it for those who
	// are included by name until a person goes on, Abort takes it back, also while it is paused. Unset means
	// Hold.
	// +kubebuilder:validation:Enum=Hold;Abort
	// +optional
	AfterWindow string `json:"afterWindow,omitempty"`
}

// AudienceFacts are who may get the target that is under way, as recorded. Of users' keys there are
// only hashes: the first 16 bytes of sha256(seed:key), base64url, sorted.
type AudienceFacts struct {
	// seed that is hashed with each key.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Seed string `json:"seed,omitempty"`
	// include has the hashes of who gets it by name. Unset: nobody.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=22
	// +kubebuilder:validation:items:MaxLength=22
	// +listType=atomic
	// +optional
	Include []string `json:"include,omitempty"`
	// exclude has the hashes of who never gets it. Unset: nobody.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=22
	// +kubebuilder:validation:items:MaxLength=22
	// +listType=atomic
	// +optional
	Exclude []string `json:"exclude,omitempty"`
	// rules that all must hold. Unset: no condition.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Rules []AudienceRule `json:"rules,omitempty"`
	// had has the hashes of who may have had it in this attempt and lost it by a change of the
	// lists; 1001: more than are told apart. Unset: nobody.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=1001
	// +kubebuilder:validation:items:MinLength=22
	// +kubebuilder:validation:items:MaxLength=22
	// +listType=atomic
	// +optional
	Had []string `json:"had,omitempty"`
	// from is the digest of the lists in ConfigMaps that the parts were made of. Unset: there are
	// none, or they are of no one edit.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	From string `json:"from,omitempty"`
	// parts are the lists that came from ConfigMaps. Unset: there are none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Parts []AudiencePart `json:"parts,omitempty"`
}

// Values of list of an AudiencePart.
const (
	// PartInclude gets the target, PartExclude never got it.
	PartInclude = "Include"
	PartExclude = "Exclude"
	// PartExcludeLater does not get it any more since an edit.
	PartExcludeLater = "ExcludeLater"
	// PartHad was included before an edit.
	PartHad = "Had"
)

// AudiencePart is a list of hashed keys that is published beside the document.
type AudiencePart struct {
	// list is Include, Exclude, ExcludeLater (since an edit, so that some may have had the target) or
	// Had (was included before an edit).
	// +kubebuilder:validation:Enum=Include;Exclude;ExcludeLater;Had
	// +required
	List string `json:"list,omitempty"`
	// digest of its bytes.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +required
	Digest string `json:"digest,omitempty"`
	// keys is how many it has.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16384
	// +required
	Keys int32 `json:"keys,omitempty"`
}

// WindowFacts are when the target that is under way is handed out, as recorded.
// +kubebuilder:validation:MinProperties=1
type WindowFacts struct {
	// start of the window, which belongs to it. Unset: open.
	// +optional
	Start *metav1.Time `json:"start,omitempty"`
	// end of the window, which does not belong to it. Unset: open.
	// +optional
	End *metav1.Time `json:"end,omitempty"`
	// users is how many may get the target before it closes. Unset: as many as there are.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000
	// +optional
	Users int64 `json:"users,omitempty"`
	// installed is how many installations of the target were reported in this attempt, to a tenth of
	// users. Unset: none, or nobody counts.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +optional
	Installed int64 `json:"installed,omitempty"`
	// closed is when there were enough of them. Unset: there are not.
	// +optional
	Closed *metav1.Time `json:"closed,omitempty"`
}

// RecallAudience is who had a target that was taken back by name, and who never had it, as hashes.
type RecallAudience struct {
	// seed that is hashed with each key.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Seed string `json:"seed,omitempty"`
	// include has the hashes of who had it by name, or lost it. Unset: nobody.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=22
	// +kubebuilder:validation:items:MaxLength=22
	// +listType=atomic
	// +optional
	Include []string `json:"include,omitempty"`
	// exclude has the hashes of who never had it. Unset: nobody.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=22
	// +kubebuilder:validation:items:MaxLength=22
	// +listType=atomic
	// +optional
	Exclude []string `json:"exclude,omitempty"`
	// parts are lists of who had it by name (Include) and who never had it (Exclude). Unset: there are
	// none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +optional
	Parts []AudiencePart `json:"parts,omitempty"`
}
