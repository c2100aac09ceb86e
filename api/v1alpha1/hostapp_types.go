package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of HostApp spec.dialects and spec.availability.
const (
	DialectSigned  = "Signed"
	DialectResolve = "Resolve"
	DialectDimina  = "Dimina"

	HostAppActive   = "Active"
	HostAppDisabled = "Disabled"
)

// HostApp is an app that runs mini programs: its platforms, what its container
// grants, which developer groups it takes programs from, and what it blocks.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=mph,categories=miniprogram-all
// +kubebuilder:printcolumn:name="Name",type=string,JSONPath=`.spec.displayName`,priority=1
// +kubebuilder:printcolumn:name="Availability",type=string,JSONPath=`.spec.availability`
// +kubebuilder:printcolumn:name="Programs",type=integer,JSONPath=`.status.miniPrograms`
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type HostApp struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the administrators say.
	// +required
	Spec HostAppSpec `json:"spec"`
	// status is what the controller observed.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status HostAppStatus `json:"status,omitempty"`
}

// HostAppSpec is what an app that runs mini programs can do and takes.
type HostAppSpec struct {
	// displayName for people.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	DisplayName string `json:"displayName"`
	// platforms on which the app exists.
	// +kubebuilder:validation:MaxItems=10
	// +listType=map
	// +listMapKey=os
	// +optional
	Platforms []HostPlatform `json:"platforms,omitempty"`
	// capabilities are the permissions that its container can grant. Unset: all.
	// +kubebuilder:validation:MaxItems=200
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=set
	// +optional
	Capabilities []string `json:"capabilities,omitempty"`
	// namespaceSelector selects the developer groups whose programs it may be sent. Unset: all.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// dialects in which the manifest service answers. Signed lets the host app check and decide by itself; Resolve and
	// Dimina make it trust the service and are opt-in. Unset: Signed.
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:validation:items:Enum=Signed;Resolve;Dimina
	// +listType=set
	// +optional
	Dialects []string `json:"dialects,omitempty"`
	// poll hints for the host app.
	// +optional
	Poll *PollHints `json:"poll,omitempty"`
	// blocks win over every rollout: what they name is not served to this host app.
	// +kubebuilder:validation:MaxItems=200
	// +listType=atomic
	// +optional
	Blocks []Block `json:"blocks,omitempty"`
	// availability is Disabled when nothing at all may be served to it.
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
	OS string `json:"os"`
	// bundleID of the app there.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	BundleID string `json:"bundleID,omitempty"`
}

// PollHints tell a host app how often to ask.
type PollHints struct {
	// intervalSeconds at rest. Unset: 1800.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	// +optional
	IntervalSeconds *int32 `json:"intervalSeconds,omitempty"`
	// minSeconds while a rollout is under way. Unset: 300.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	// +optional
	MinSeconds *int32 `json:"minSeconds,omitempty"`
}

// Block is something that a host app must not be sent.
// +kubebuilder:validation:XValidation:rule="has(self.appID) != has(self.digest)",message="a block needs exactly one of appID and digest"
type Block struct {
	// appID of a mini program.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=64
	// +optional
	AppID string `json:"appID,omitempty"`
	// digest of one artifact.
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +optional
	Digest string `json:"digest,omitempty"`
	// reason, for people.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Reason string `json:"reason"`
}

// HostAppStatus is what the controller observed of a host app.
type HostAppStatus struct {
	// observedGeneration is the generation that the conditions speak of; -1 before the first pass.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions: Ready, Reconciling, Stalled.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// miniPrograms is how many mini programs name it and may.
	// +optional
	MiniPrograms int32 `json:"miniPrograms,omitempty"`
	// keys that sign what it is sent.
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=keyID
	// +optional
	Keys []SigningKey `json:"keys,omitempty"`
	// url below which the manifest service answers it.
	// +optional
	URL string `json:"url,omitempty"`
}

// SigningKey is a public key that host apps pin.
type SigningKey struct {
	// keyID is the SHA-256 of the key's SubjectPublicKeyInfo, in hexadecimal digits.
	// +required
	KeyID string `json:"keyID"`
	// algorithm of the signatures.
	// +required
	Algorithm string `json:"algorithm"`
	// publicKey as PEM.
	// +required
	PublicKey string `json:"publicKey"`
	// state is Active.
	// +kubebuilder:validation:Enum=Active
	// +required
	State string `json:"state"`
}

// HostAppList is a list of HostApps.
// +kubebuilder:object:root=true
type HostAppList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HostApp `json:"items"`
}
