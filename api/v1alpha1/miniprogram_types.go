package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of MiniProgram spec.availability.
const (
	AvailabilityListed    = "Listed"
	AvailabilityHidden    = "Hidden"
	AvailabilitySuspended = "Suspended"
)

// Values of MiniProgram spec.artifactDeletion.
const (
	ArtifactRetain = "Retain"
	ArtifactDelete = "Delete"
)

// MiniProgram is one mini program: its identity, owners, and what it declares
// about permissions, domains and privacy. Its versions are
// MiniProgramVersions; a Rollout hands one to host apps.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mp,categories=miniprogram-all
// +kubebuilder:printcolumn:name="App ID",type=string,JSONPath=`.spec.appID`
// +kubebuilder:printcolumn:name="Availability",type=string,JSONPath=`.spec.availability`
// +kubebuilder:printcolumn:name="Latest",type=string,JSONPath=`.status.latestVersion`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MiniProgram struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the developer group says.
	// +required
	Spec MiniProgramSpec `json:"spec,omitzero"`
	// status is what the controller observed.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status MiniProgramStatus `json:"status"`
}

// MiniProgramSpec is the identity and declaration of a mini program. What does
// not say otherwise may change; permissions, domains and privacy then hold for
// the versions packaged after that.
// +kubebuilder:validation:XValidation:rule="self.appID == oldSelf.appID",message="spec.appID may not change: host apps ask by it; create another MiniProgram instead"
// +kubebuilder:validation:XValidation:rule="has(self.kind) == has(oldSelf.kind) && (!has(self.kind) || self.kind == oldSelf.kind)",message="spec.kind may not change; create another MiniProgram instead"
type MiniProgramSpec struct {
	// appID is the name by which host apps ask for the mini program, unique in the
	// installation. May not change.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$`
	// +required
	AppID string `json:"appID,omitempty"`
	// kind of program. Unset: MiniProgram. May not change.
	// +kubebuilder:validation:Enum=MiniProgram;MiniGame;WebApp
	// +kubebuilder:default=MiniProgram
	// +optional
	Kind string `json:"kind,omitempty"`
	// displayName is the name that users see.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	DisplayName string `json:"displayName,omitempty"`
	// description that users see. Unset: none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Description string `json:"description,omitempty"`
	// icon is the https address of an image that stands for the mini program in
	// lists. Unset: none, which a ReviewPolicy may refuse.
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://[^\s/]+(/[^\s]*)?$`
	// +optional
	Icon string `json:"icon,omitempty"`
	// categories under which host apps list it. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +listType=set
	// +optional
	Categories []string `json:"categories,omitempty"`
	// owners are people or teams to ask; they carry no rights. Unset: nobody is
	// named.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +listType=set
	// +optional
	Owners []string `json:"owners,omitempty"`
	// locales carry names and descriptions in other languages. Unset: displayName
	// and description serve for all.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +listType=map
	// +listMapKey=lang
	// +optional
	Locales []LocalizedText `json:"locales,omitempty"`
	// hostApps are the names of the HostApps that it is meant for.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +required
	HostApps []string `json:"hostApps,omitempty"`
	// testers are users, by their keys, who get what a Rollout of channel trial names.
	// They are published only as hashes. Unset: nobody.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=set
	// +optional
	Testers []string `json:"testers,omitempty"`
	// permissions that it may ask the host app for. Unset: none. Copied into a
	// version when that is packaged.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +listType=map
	// +listMapKey=name
	// +optional
	Permissions []Permission `json:"permissions,omitempty"`
	// domains that it may reach. Unset: none. Copied into a version when that is
	// packaged.
	// +optional
	Domains *Domains `json:"domains,omitempty"`
	// privacy facts. Unset: nothing is said. Copied into a version when that is
	// packaged.
	// +optional
	Privacy *Privacy `json:"privacy,omitempty"`
	// verification names whose signature a version's source must carry; one is
	// enough. Versions then come from OCI registries only. Looked at when a version
	// is packaged: a change touches no version that is. Unset: none is asked for.
	// +optional
	Verification *Verification `json:"verification,omitempty"`
	// minimumVersion is the lowest version that host apps still open. Unset: any.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`
	// +optional
	MinimumVersion string `json:"minimumVersion,omitempty"`
	// availability is Listed for everybody, Hidden for who asks by app ID,
	// Suspended for nobody. Going into Suspended and out of it needs verb suspend
	// on miniprograms. Unset: Listed.
	// +kubebuilder:validation:Enum=Listed;Hidden;Suspended
	// +kubebuilder:default=Listed
	// +optional
	Availability string `json:"availability,omitempty"`
	// history says how much of the past is kept. Unset: the 10 newest versions.
	// +optional
	History *History `json:"history,omitempty"`
	// artifactDeletion is Delete when artifacts are deleted in the registry: those of
	// versions older than spec.history.versions, and that of a version that is
	// deleted. One that a Rollout hands out, is to hand out or can go back to is
	// kept in any case. With Retain the controller deletes nothing there. Unset:
	// Retain.
	// +kubebuilder:validation:Enum=Retain;Delete
	// +kubebuilder:default=Retain
	// +optional
	ArtifactDeletion string `json:"artifactDeletion,omitempty"`
}

// History says how much of the past is kept.
// +kubebuilder:validation:MinProperties=0
type History struct {
	// versions is how many of the newest keep their artifacts, counted by when they
	// were published. Unset: 10.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +kubebuilder:default=10
	// +optional
	Versions int32 `json:"versions,omitempty"`
}

// Verification is whose signatures are accepted, as cosign makes them.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="(has(self.keys) && self.keys.size() > 0) || (has(self.identities) && self.identities.size() > 0)",message="spec.verification needs a key or an identity: remove it where no signature is asked for"
type Verification struct {
	// keys that signatures are made with. Unset: none is accepted.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=name
	// +optional
	Keys []VerificationKey `json:"keys,omitempty"`
	// identities that certificates name, where signatures are made without a key of
	// one's own. They need a manager that knows a trusted root. Unset: none is
	// accepted.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +optional
	Identities []VerificationIdentity `json:"identities,omitempty"`
}

// VerificationKey is a public key.
type VerificationKey struct {
	// name of the key, which statuses and messages call it by.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +required
	Name string `json:"name,omitempty"`
	// publicKey in PEM, as "cosign public-key" prints it: ECDSA on P-256 or P-384,
	// Ed25519, or RSA of at least 2048 bits.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.startsWith('-----BEGIN PUBLIC KEY-----')",message="publicKey must be a public key in PEM: it begins with -----BEGIN PUBLIC KEY-----"
	// +required
	PublicKey string `json:"publicKey,omitempty"`
}

// VerificationIdentity is whom a certificate names.
// +kubebuilder:validation:XValidation:rule="has(self.subject) != has(self.subjectRegExp)",message="an identity of spec.verification needs exactly one of subject and subjectRegExp"
type VerificationIdentity struct {
	// issuer that vouches for it, such as https://token.actions.githubusercontent.com.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Issuer string `json:"issuer,omitempty"`
	// subject of the certificate: a mail address or a URL. Unset: subjectRegExp
	// tells.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Subject string `json:"subject,omitempty"`
	// subjectRegExp is a regular expression (RE2) that the whole subject matches.
	// Unset: subject tells.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	SubjectRegExp string `json:"subjectRegExp,omitempty"`
}

// LocalizedText is a name and a description in one language.
type LocalizedText struct {
	// lang is a BCP 47 language tag, such as "zh-CN".
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=35
	// +kubebuilder:validation:Pattern=`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`
	// +required
	Lang string `json:"lang,omitempty"`
	// displayName is the name in that language.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	DisplayName string `json:"displayName,omitempty"`
	// description in that language. Unset: none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Description string `json:"description,omitempty"`
}

// MiniProgramStatus is what the controller observed of a MiniProgram.
// +kubebuilder:validation:MinProperties=0
type MiniProgramStatus struct {
	// conditions are Ready, and Reconciling and Stalled while they are true.
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
	// releases tell which version everybody gets in which host app; the first 200.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=200
	// +listType=atomic
	// +optional
	Releases []Release `json:"releases,omitempty"`
	// rejections are vetoes that stay, also when the Review is deleted; the first
	// 200.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=200
	// +listType=atomic
	// +optional
	Rejections []Rejection `json:"rejections,omitempty"`
	// latestVersion is the highest version that is Ready. Unset: none is.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	LatestVersion string `json:"latestVersion,omitempty"`
	// lastAction answers the action transfer. The actions suspend and resume are not answered: they
	// hold for as long as the annotation is there.
	// +optional
	LastAction *ActionAnswer `json:"lastAction,omitempty"`
}

// Release is one version served to one host app.
type Release struct {
	// hostApp is the name of the HostApp that it is served to.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	HostApp string `json:"hostApp,omitempty"`
	// channel on which it is served.
	// +kubebuilder:validation:Enum=release;trial
	// +required
	Channel string `json:"channel,omitempty"`
	// version that everybody gets there who is not in the share of another.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Version string `json:"version,omitempty"`
	// digest of its artifact.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +required
	Digest string `json:"digest,omitempty"`
	// rollout is the name of the Rollout that serves it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Rollout string `json:"rollout,omitempty"`
}

// Rejection is a veto of one digest: it stays until a later Review supersedes
// it.
type Rejection struct {
	// digest that was rejected.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +required
	Digest string `json:"digest,omitempty"`
	// role in which it was.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +required
	Role string `json:"role,omitempty"`
	// hostApp is the HostApp that it was rejected for. Unset: for all.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	HostApp string `json:"hostApp,omitempty"`
	// reviewer who rejected it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Reviewer string `json:"reviewer,omitempty"`
	// review is the name of the Review that holds the comment.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Review string `json:"review,omitempty"`
	// time at which the controller first saw the rejection.
	// +required
	Time metav1.Time `json:"time"`
}

// MiniProgramList is a list of MiniPrograms.
// +kubebuilder:object:root=true
type MiniProgramList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MiniProgram `json:"items"`
}
