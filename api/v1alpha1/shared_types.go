package v1alpha1

// Condition types. Ready, Reconciling and Stalled follow kstatus; Reconciling
// and Stalled are present only while they are true.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"

	// ConditionPublished: the version's artifact is in the registry.
	ConditionPublished = "Published"
	// ConditionVerified: the bundle passed every check of its format.
	ConditionVerified = "Verified"
	// ConditionPolicyPassed: no enforcing ReviewPolicy has an objection.
	ConditionPolicyPassed = "PolicyPassed"
	// ConditionApproved: every required approval of the version's digest is there,
	// for all host apps.
	ConditionApproved = "Approved"

	// ConditionProgressing: the rollout moves from step to step (kstatus' meaning
	// for rollouts).
	ConditionProgressing = "Progressing"
	// ConditionPaused: the rollout holds until somebody lets it go on.
	ConditionPaused = "Paused"
	// ConditionGuardrailsHealthy: every guardrail of the target that is under way passed when
	// it was measured last; Unknown where that cannot be said.
	ConditionGuardrailsHealthy = "GuardrailsHealthy"
	// ConditionAborted: the target was taken back; it stays so until Git names
	// another or somebody retries.
	ConditionAborted = "Aborted"

	// ConditionArtifactDeleted: the artifact of a version is deleted in the registry,
	// or False and why not yet.
	ConditionArtifactDeleted = "ArtifactDeleted"

	// ConditionApprovalPolicyEnforced: admission keeps everybody without the right
	// from deciding a Review.
	ConditionApprovalPolicyEnforced = "ApprovalPolicyEnforced"
)

// Names of annotations, labels and finalizers that users and controllers
// exchange.
const (
	// ActionAnnotation asks for what needs no commit: on a Rollout
	// "<verb>@<attempt>[/<step or version>]", on a MiniProgram suspend, resume or
	// transfer, on a MiniProgramVersion withdraw.
	ActionAnnotation = "miniprogram.dev/action"
	// ActionByAnnotation names who set ActionAnnotation; admission compares it
	// with the requesting user.
	ActionByAnnotation = "miniprogram.dev/action-by"
	// SubmittedThroughAnnotation names who created a version, stamped by a
	// MutatingAdmissionPolicy.
	SubmittedThroughAnnotation = "miniprogram.dev/submitted-through"
	// SupersedesLabel marks decisions that lift a rejection ("true"); admission
	// compares only these with what they lift.
	SupersedesLabel = "miniprogram.dev/supersedes"
	// PublishedLabel marks every ConfigMap in the publication namespace ("true").
	PublishedLabel = "miniprogram.dev/published"
	// SourceLabel marks Secrets that the manager may read as a source's
	// credentials ("true").
	SourceLabel = "miniprogram.dev/source"
	// RolloutFinalizer keeps a Rollout until its published document is a
	// tombstone.
	RolloutFinalizer = "miniprogram.dev/published-document"
	// ArtifactFinalizer keeps a MiniProgramVersion until its artifact is deleted in
	// the registry. Without it the artifact stays there, which harms nobody.
	ArtifactFinalizer = "miniprogram.dev/artifact"
)

// MiniProgramReference names a MiniProgram in the same namespace.
type MiniProgramReference struct {
	// name of the MiniProgram.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
}

// VersionReference names a MiniProgramVersion in the same namespace.
type VersionReference struct {
	// name of the MiniProgramVersion.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
}

// SecretReference names a Secret in the same namespace. It must carry the
// label miniprogram.dev/source=true.
type SecretReference struct {
	// name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
}

// Permission is something that a mini program asks the host app for.
type Permission struct {
	// name of the permission, as the host app's container calls it, such as
	// "location" or "scope.userLocation".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Name string `json:"name,omitempty"`
	// reason in words that the user reads when asked. Unset: none is given, which
	// a ReviewPolicy may refuse.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Reason string `json:"reason,omitempty"`
	// need is Required when the mini program cannot work without it. Unset means
	// Required.
	// +kubebuilder:validation:Enum=Required;Optional
	// +optional
	Need string `json:"need,omitempty"`
}

// Domains are the origins that a mini program may reach, by the way it does.
// +kubebuilder:validation:MinProperties=0
type Domains struct {
	// request lists https origins for ordinary requests. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=30
	// +listType=set
	// +optional
	Request []HTTPSOrigin `json:"request,omitempty"`
	// webView lists https origins that may be shown in a web view. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=30
	// +listType=set
	// +optional
	WebView []HTTPSOrigin `json:"webView,omitempty"`
	// socket lists wss origins. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=30
	// +listType=set
	// +optional
	Socket []WSSOrigin `json:"socket,omitempty"`
	// upload lists https origins that files are sent to. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=30
	// +listType=set
	// +optional
	Upload []HTTPSOrigin `json:"upload,omitempty"`
	// download lists https origins that files are loaded from. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=30
	// +listType=set
	// +optional
	Download []HTTPSOrigin `json:"download,omitempty"`
}

// HTTPSOrigin is an origin with scheme https: no path, no wildcard.
// +kubebuilder:validation:MinLength=9
// +kubebuilder:validation:MaxLength=261
// +kubebuilder:validation:Pattern=`^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`
type HTTPSOrigin string

// WSSOrigin is an origin with scheme wss: no path, no wildcard.
// +kubebuilder:validation:MinLength=7
// +kubebuilder:validation:MaxLength=261
// +kubebuilder:validation:Pattern=`^wss://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`
type WSSOrigin string

// Privacy tells users and reviewers which personal data are processed.
// +kubebuilder:validation:MinProperties=0
type Privacy struct {
	// policyURL is the https address at which the privacy policy can be read.
	// Unset: none, which a ReviewPolicy may refuse.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://`
	// +optional
	PolicyURL string `json:"policyURL,omitempty"`
	// contact of whoever answers questions about it: an email address or a URL.
	// Unset: none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Contact string `json:"contact,omitempty"`
	// data lists what is processed. Unset: nothing is said.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +listType=map
	// +listMapKey=name
	// +optional
	Data []PersonalData `json:"data,omitempty"`
}

// PersonalData is one sort of personal data.
type PersonalData struct {
	// name of the data, such as "phone number".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Name string `json:"name,omitempty"`
	// purpose for which it is processed. Unset: not said.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Purpose string `json:"purpose,omitempty"`
	// retentionDays is how many days it is kept; 0 means that it is not stored.
	// Unset: not said.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=36500
	// +optional
	RetentionDays *int32 `json:"retentionDays,omitempty"`
}

// Declaration is what a MiniProgram said of itself when a version was
// packaged. Approving the version approves this.
// +kubebuilder:validation:MinProperties=0
type Declaration struct {
	// permissions that the mini program may ask for. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +listType=map
	// +listMapKey=name
	// +optional
	Permissions []Permission `json:"permissions,omitempty"`
	// domains that it may reach. Unset: none.
	// +optional
	Domains *Domains `json:"domains,omitempty"`
	// privacy facts. Unset: nothing is said.
	// +optional
	Privacy *Privacy `json:"privacy,omitempty"`
}

// Compatibility says where a version runs. What is unset fits everything.
// +kubebuilder:validation:MinProperties=0
type Compatibility struct {
	// platforms that the version runs on, each with the host app versions that it
	// fits. Unset: all.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	// +listType=map
	// +listMapKey=os
	// +optional
	Platforms []PlatformCompatibility `json:"platforms,omitempty"`
	// minContainerVersion is the lowest version of the mini program container that
	// runs it, such as "2.1". Unset: any.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+){0,3}$`
	// +optional
	MinContainerVersion string `json:"minContainerVersion,omitempty"`
}

// PlatformCompatibility bounds the host app's versions on one platform.
type PlatformCompatibility struct {
	// os is the platform's name, such as Android, iOS, HarmonyOS or Web.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +required
	OS string `json:"os,omitempty"`
	// minHostVersion is the lowest version of the host app, inclusive, such as
	// "8.0.2". Unset: any.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+){0,3}$`
	// +optional
	MinHostVersion string `json:"minHostVersion,omitempty"`
	// maxHostVersion is the highest version of the host app, inclusive. Unset:
	// any.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+){0,3}$`
	// +optional
	MaxHostVersion string `json:"maxHostVersion,omitempty"`
}

// Install tells host apps how to bring a version onto a device.
// +kubebuilder:validation:MinProperties=0
type Install struct {
	// download is WiFi when the bundle should wait for an unmetered network. Unset
	// means Any.
	// +kubebuilder:validation:Enum=WiFi;Any
	// +optional
	Download string `json:"download,omitempty"`
	// mode is Preload when it should be there before the first use. Unset means
	// Lazy.
	// +kubebuilder:validation:Enum=Preload;Lazy
	// +optional
	Mode string `json:"mode,omitempty"`
	// update is Immediate when a running mini program should restart with it.
	// Unset means Normal.
	// +kubebuilder:validation:Enum=Normal;Immediate
	// +optional
	Update string `json:"update,omitempty"`
}

// Blob is one piece of content in the registry.
type Blob struct {
	// digest of the bytes.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +required
	Digest string `json:"digest,omitempty"`
	// sizeBytes is their number.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9007199254740991
	// +required
	SizeBytes int64 `json:"sizeBytes"`
	// mediaType of the bytes. Unset: not known.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +optional
	MediaType string `json:"mediaType,omitempty"`
}
