package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of HostApp spec.dialects, spec.availability and spec.access.type.
const (
	DialectSigned  = "Signed"
	DialectResolve = "Resolve"
	DialectDimina  = "Dimina"
	DialectFiles   = "Files"

	HostAppActive   = "Active"
	HostAppDisabled = "Disabled"

	AccessPublic = "Public"
	AccessToken  = "Token"
)

// AccessTokensLabel is true on Secrets whose values are access tokens: of another
// Secret nothing is published, not even a hash.
const AccessTokensLabel = "miniprogram.dev/access-tokens"

// HostApp is an app that runs mini programs: its platforms, what its container
// grants, which developer groups it takes programs from, and what it blocks.
// It belongs to the platform's administrators.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=mph,categories=miniprogram-all
// +kubebuilder:printcolumn:name="Name",type=string,JSONPath=`.spec.displayName`,priority=1
// +kubebuilder:printcolumn:name="Availability",type=string,JSONPath=`.spec.availability`
// +kubebuilder:printcolumn:name="Programs",type=integer,JSONPath=`.status.miniPrograms`
// +kubebuilder:printcolumn:name="Access",type=string,JSONPath=`.spec.access.type`,priority=1
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type HostApp struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the administrators say.
	// +required
	Spec HostAppSpec `json:"spec,omitzero"`
	// status is what the controller observed.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status HostAppStatus `json:"status"`
}

// HostAppSpec is what an app that runs mini programs can do and takes. All of
// it may change.
// +kubebuilder:validation:XValidation:rule="!has(self.channels) || !('trial' in self.channels) || (has(self.access) && self.access.type == 'Token')",message="spec.channels has trial only with spec.access.type Token: who asks in a tester's name must be the host app"
// +kubebuilder:validation:XValidation:rule="!has(self.dialects) || !('Files' in self.dialects) || !has(self.access) || self.access.type == 'Public'",message="spec.dialects has Files only with spec.access.type Public: the pages that load single files carry no access token"
type HostAppSpec struct {
	// displayName is the app's name for people.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	DisplayName string `json:"displayName,omitempty"`
	// platforms on which the app exists. Unset: not said.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=10
	// +listType=map
	// +listMapKey=os
	// +optional
	Platforms []HostPlatform `json:"platforms,omitempty"`
	// origins of the web pages that are this host app, such as
	// https://wallet.example.com: browsers let these, and no others, read what the
	// manifest service answers. Unset: it has no web pages.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=30
	// +listType=set
	// +optional
	Origins []HTTPSOrigin `json:"origins,omitempty"`
	// capabilities are the permissions that its container can grant. Unset: all.
	// Write [none] where it grants none.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=200
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=set
	// +optional
	Capabilities []string `json:"capabilities,omitempty"`
	// namespaceSelector selects the developer groups whose programs it may be
	// sent, by the labels of their namespaces. Unset: all.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// miniProgramSelector selects the mini programs that it may be sent, by labels
	// whose keys begin with policy.miniprogram.dev/; changing those takes verb
	// classify. Unset: all of the groups that namespaceSelector selects.
	// +kubebuilder:validation:XValidation:rule="(!has(self.matchLabels) || self.matchLabels.all(k, k.startsWith('policy.miniprogram.dev/'))) && (!has(self.matchExpressions) || self.matchExpressions.all(e, e.key.startsWith('policy.miniprogram.dev/')))",message="spec.miniProgramSelector selects by labels whose keys begin with policy.miniprogram.dev/: others may be changed by whoever edits a mini program"
	// +optional
	MiniProgramSelector *metav1.LabelSelector `json:"miniProgramSelector,omitempty"`
	// dialects in which the manifest service answers. Signed lets the host app
	// check and decide by itself; Resolve, Dimina and Files make it trust the service
	// and are opt-in. Files hands web containers the single files of a version, on
	// the run host, and needs access Public. Unset: Signed.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:items:Enum=Signed;Resolve;Dimina;Files
	// +listType=set
	// +optional
	Dialects []string `json:"dialects,omitempty"`
	// channels that the host app takes. trial hands versions that nobody approved to the
	// testers whom mini programs name, and needs access tokens. Unset: release.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:Enum=release;trial
	// +listType=set
	// +optional
	Channels []string `json:"channels,omitempty"`
	// access says who may ask in the host app's name. Unset: everybody.
	// +optional
	Access *HostAccess `json:"access,omitempty"`
	// poll tells the host app how often to ask. Unset: every 1800 seconds, and
	// every 300 while a rollout is under way.
	// +optional
	Poll *PollHints `json:"poll,omitempty"`
	// blocks win over every rollout: what they name is not served to this host
	// app. Unset: nothing is blocked.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=200
	// +listType=atomic
	// +optional
	Blocks []Block `json:"blocks,omitempty"`
	// availability is Active, or Disabled when nothing at all may be served to it.
	// Unset: Active.
	// +kubebuilder:validation:Enum=Active;Disabled
	// +kubebuilder:default=Active
	// +optional
	Availability string `json:"availability,omitempty"`
}

// HostPlatform is one platform of a host app.
type HostPlatform struct {
	// os is the platform's name, such as Android, iOS, HarmonyOS or Web.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +required
	OS string `json:"os,omitempty"`
	// bundleID is the app's identity there, such as com.example.wallet. Unset: not
	// said.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	BundleID string `json:"bundleID,omitempty"`
}

// HostAccess says who may ask the manifest service in a host app's name.
// +kubebuilder:validation:XValidation:rule="self.type == 'Token' ? has(self.secretRef) : !has(self.secretRef)",message="spec.access needs secretRef with type Token, and has none with type Public"
type HostAccess struct {
	// type is Public, or Token where every request must carry one of the host app's
	// access tokens.
	// +kubebuilder:validation:Enum=Public;Token
	// +required
	Type string `json:"type,omitempty"`
	// secretRef names the Secret with the access tokens. Unset: type is Public.
	// +optional
	SecretRef *AccessSecretReference `json:"secretRef,omitempty"`
}

// AccessSecretReference names a Secret in the manager's namespace that carries
// the label miniprogram.dev/access-tokens=true. Each of its values is an access
// token: 32 to 512 letters, digits or characters of -._~+/=.
type AccessSecretReference struct {
	// name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
}

// PollHints tell a host app how often to ask.
// +kubebuilder:validation:MinProperties=0
type PollHints struct {
	// intervalSeconds is the time between two questions at rest, in seconds.
	// Unset: 1800.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	// +optional
	IntervalSeconds int32 `json:"intervalSeconds,omitempty"`
	// minSeconds is the time between two questions while a rollout is under way,
	// in seconds. Unset: 300.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	// +optional
	MinSeconds int32 `json:"minSeconds,omitempty"`
}

// Block is something that a host app must not be sent.
// +kubebuilder:validation:XValidation:rule="has(self.appID) != has(self.digest)",message="a block needs exactly one of appID and digest"
type Block struct {
	// appID blocks a mini program with all its versions. Unset: the block names a
	// digest.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=64
	// +optional
	AppID string `json:"appID,omitempty"`
	// digest blocks one artifact, as status.artifact.digest of its version shows
	// it. Unset: the block names an appID.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +optional
	Digest string `json:"digest,omitempty"`
	// reason of the block, for people.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Reason string `json:"reason,omitempty"`
}

// HostAppStatus is what the controller observed of a host app.
// +kubebuilder:validation:MinProperties=0
type HostAppStatus struct {
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
	// miniPrograms is the number of mini programs that name the host app and may
	// be sent to it.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +optional
	MiniPrograms int32 `json:"miniPrograms"`
	// keys that sign what it is sent. Host apps pin them.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=keyID
	// +optional
	Keys []SigningKey `json:"keys,omitempty"`
	// url is the address below which the manifest service answers it. Unset: not
	// known yet.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	URL string `json:"url,omitempty"`
	// runURL is the address of the run host, from which it loads single files.
	// Unset: it has not opted into Files, or the platform has no run host.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	RunURL string `json:"runURL,omitempty"`
}

// SigningKey is a public key that host apps pin.
type SigningKey struct {
	// keyID is the SHA-256 of the key's SubjectPublicKeyInfo, in hexadecimal
	// digits.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	KeyID string `json:"keyID,omitempty"`
	// algorithm of the signatures, such as ECDSA-P256-SHA256.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Algorithm string `json:"algorithm,omitempty"`
	// publicKey is the key as PEM.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	PublicKey string `json:"publicKey,omitempty"`
	// state is Next (announced, and does not sign yet), Active (signs) or Retiring
	// (signs for a while beside the one that follows it). A host app that is built
	// now pins those that are Next or Active.
	// +kubebuilder:validation:Enum=Next;Active;Retiring
	// +required
	State string `json:"state,omitempty"`
}

// HostAppList is a list of HostApps.
// +kubebuilder:object:root=true
type HostAppList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HostApp `json:"items"`
}
