package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of MiniProgramVersion spec.review and spec.availability.
const (
	ReviewNotRequested = "NotRequested"
	ReviewRequested    = "Requested"

	AvailabilityActive    = "Active"
	AvailabilityWithdrawn = "Withdrawn"
)

// MiniProgramVersion is one version of a mini program: where its bundle comes
// from, and the artifact that it became.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mpv,categories=miniprogram-all
// +kubebuilder:printcolumn:name="Program",type=string,JSONPath=`.spec.miniProgramRef.name`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Approved",type=string,JSONPath=`.status.conditions[?(@.type=="Approved")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name="Digest",type=string,priority=1,JSONPath=`.status.artifact.digest`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MiniProgramVersion struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the developer handed in.
	// +required
	Spec MiniProgramVersionSpec `json:"spec"`
	// status is what the controller made of it.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status MiniProgramVersionStatus `json:"status,omitempty"`
}

// MiniProgramVersionSpec is fixed but for review and availability: what was
// reviewed is what is served.
// +kubebuilder:validation:XValidation:rule="self.miniProgramRef == oldSelf.miniProgramRef",message="spec.miniProgramRef may not change; create another version instead"
// +kubebuilder:validation:XValidation:rule="self.version == oldSelf.version",message="spec.version may not change; create another version instead"
// +kubebuilder:validation:XValidation:rule="self.source == oldSelf.source",message="spec.source may not change; create another version instead"
// +kubebuilder:validation:XValidation:rule="has(self.versionCode) == has(oldSelf.versionCode) && (!has(self.versionCode) || self.versionCode == oldSelf.versionCode)",message="spec.versionCode may not change; create another version instead"
// +kubebuilder:validation:XValidation:rule="has(self.format) == has(oldSelf.format) && (!has(self.format) || self.format == oldSelf.format)",message="spec.format may not change; create another version instead"
// +kubebuilder:validation:XValidation:rule="has(self.compatibility) == has(oldSelf.compatibility) && (!has(self.compatibility) || self.compatibility == oldSelf.compatibility)",message="spec.compatibility may not change; create another version instead"
// +kubebuilder:validation:XValidation:rule="has(self.install) == has(oldSelf.install) && (!has(self.install) || self.install == oldSelf.install)",message="spec.install may not change; create another version instead"
// +kubebuilder:validation:XValidation:rule="has(self.releaseNotes) == has(oldSelf.releaseNotes) && (!has(self.releaseNotes) || self.releaseNotes == oldSelf.releaseNotes)",message="spec.releaseNotes may not change; create another version instead"
// +kubebuilder:validation:XValidation:rule="has(self.submittedBy) == has(oldSelf.submittedBy) && (!has(self.submittedBy) || self.submittedBy == oldSelf.submittedBy)",message="spec.submittedBy may not change; create another version instead"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.review) || oldSelf.review != 'Requested' || (has(self.review) && self.review == 'Requested')",message="spec.review may not go back from Requested"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.availability) || oldSelf.availability != 'Withdrawn' || (has(self.availability) && self.availability == 'Withdrawn')",message="spec.availability may not go back from Withdrawn; create another version instead"
type MiniProgramVersionSpec struct {
	// miniProgramRef names the MiniProgram, in the same namespace. May not change.
	// +required
	MiniProgramRef MiniProgramReference `json:"miniProgramRef"`
	// version by semver.org 2.0.0. It is the artifact's tag, with "_" for "+". May not change.
	// +kubebuilder:validation:MinLength=5
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`
	// +required
	Version string `json:"version"`
	// versionCode orders versions for containers that compare numbers. Unset: from the bundle, else
	// major*10000 + minor*100 + patch of the version. May not change.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	// +optional
	VersionCode *int64 `json:"versionCode,omitempty"`
	// source is where the bundle comes from. May not change.
	// +required
	Source BundleSource `json:"source"`
	// format of the bundle. Auto tells by its root files. May not change.
	// +kubebuilder:validation:Enum=Auto;MiniApp;Dimina;Web
	// +kubebuilder:default=Auto
	// +optional
	Format string `json:"format,omitempty"`
	// compatibility says where the version runs. Unset: everywhere. May not change.
	// +optional
	Compatibility *Compatibility `json:"compatibility,omitempty"`
	// install tells host apps how to bring it onto a device. May not change.
	// +optional
	Install *Install `json:"install,omitempty"`
	// releaseNotes for reviewers and users. May not change.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	ReleaseNotes string `json:"releaseNotes,omitempty"`
	// submittedBy is the author: the user who creates the version. Where the cluster has a
	// MutatingAdmissionPolicy for it, it is stamped when unset. Naming somebody else needs verb submit-as
	// on miniprogramversions. The author may not approve, unless a policy says so. May not change.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	SubmittedBy string `json:"submittedBy,omitempty"`
	// review is Requested when reviewers should look at it. One way.
	// +kubebuilder:validation:Enum=NotRequested;Requested
	// +kubebuilder:default=NotRequested
	// +optional
	Review string `json:"review,omitempty"`
	// availability is Withdrawn when the version must never be served again; running rollouts of it abort. One way.
	// +kubebuilder:validation:Enum=Active;Withdrawn
	// +kubebuilder:default=Active
	// +optional
	Availability string `json:"availability,omitempty"`
}

// BundleSource is exactly one place that a bundle is fetched from.
// +kubebuilder:validation:XValidation:rule="(has(self.oci) ? 1 : 0) + (has(self.http) ? 1 : 0) + (has(self.configMap) ? 1 : 0) == 1",message="spec.source needs exactly one of oci, http and configMap"
type BundleSource struct {
	// oci is an artifact in a registry.
	// +optional
	OCI *OCISource `json:"oci,omitempty"`
	// http is a file on a web server.
	// +optional
	HTTP *HTTPSource `json:"http,omitempty"`
	// configMap is a file in a ConfigMap of the same namespace.
	// +optional
	ConfigMap *ConfigMapSource `json:"configMap,omitempty"`
}

// OCISource is an artifact in a registry whose first layer is the bundle.
type OCISource struct {
	// ref is registry/repository with :tag or @digest. A tag is resolved once.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=512
	// +required
	Ref string `json:"ref"`
	// secretRef names a Secret of type kubernetes.io/dockerconfigjson.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// HTTPSource is a file on a web server.
type HTTPSource struct {
	// url of the archive; https unless the manager was started with --allow-insecure-sources.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s/]+/.*$`
	// +required
	URL string `json:"url"`
	// sha256 of the archive, in hexadecimal digits. Unset: whatever the server sends.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +optional
	SHA256 string `json:"sha256,omitempty"`
	// secretRef names a Secret with username and password, or token.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// ConfigMapSource is a file in a ConfigMap of the same namespace, for bundles below 1 MiB.
type ConfigMapSource struct {
	// name of the ConfigMap.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
	// key in its binaryData (or data).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Key string `json:"key"`
	// sha256 of the archive, in hexadecimal digits. Unset: whatever is there.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +optional
	SHA256 string `json:"sha256,omitempty"`
}

// MiniProgramVersionStatus is what the controller made of a version.
type MiniProgramVersionStatus struct {
	// observedGeneration is the generation that the conditions speak of; -1 before the first pass.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// summary says in one line what the version waits for, and who can give it.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Summary string `json:"summary,omitempty"`
	// conditions: Published, Verified, PolicyPassed, Approved, Ready, Reconciling, Stalled.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// artifact in the registry.
	// +optional
	Artifact *Artifact `json:"artifact,omitempty"`
	// bundle as it was checked.
	// +optional
	Bundle *BundleStatus `json:"bundle,omitempty"`
	// declaration of the MiniProgram, frozen when the version was packaged.
	// +optional
	Declaration *Declaration `json:"declaration,omitempty"`
	// hostApps that the MiniProgram was meant for when the version was packaged. An approval for all host
	// apps speaks for these; one that was added later needs an approval that names it.
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	HostApps []string `json:"hostApps,omitempty"`
	// findings of the checks.
	// +optional
	Findings *FindingsStatus `json:"findings,omitempty"`
	// reviews tells which approvals are needed and which are missing.
	// +optional
	Reviews *ReviewsStatus `json:"reviews,omitempty"`
	// approvedHostApps lists the host apps for which every approval is there.
	// +kubebuilder:validation:MaxItems=50
	// +listType=set
	// +optional
	ApprovedHostApps []string `json:"approvedHostApps,omitempty"`
	// decisions that reviewers took on this digest, newest last.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	Decisions []Decision `json:"decisions,omitempty"`
	// policies that the version was judged by.
	// +kubebuilder:validation:MaxItems=50
	// +listType=map
	// +listMapKey=name
	// +optional
	Policies []JudgedBy `json:"policies,omitempty"`
	// author of the version and how sure that is.
	// +optional
	Author *Author `json:"author,omitempty"`
}

// Artifact is a version's object in the registry.
type Artifact struct {
	// repository with registry and path.
	// +required
	Repository string `json:"repository"`
	// digest of the manifest: what reviews and rollouts are bound to.
	// +required
	Digest string `json:"digest"`
	// mediaType of the manifest.
	// +optional
	MediaType string `json:"mediaType,omitempty"`
	// sizeBytes of manifest, config and layers together.
	// +optional
	SizeBytes int64 `json:"sizeBytes,omitempty"`
	// pushTime is when the tag was there.
	// +optional
	PushTime *metav1.Time `json:"pushTime,omitempty"`
	// archive is the bundle as it came.
	// +optional
	Archive *Blob `json:"archive,omitempty"`
	// content is the deterministic tar of its files, compressed.
	// +optional
	Content *Blob `json:"content,omitempty"`
}

// BundleStatus is what the checks read in the bundle.
type BundleStatus struct {
	// format that was found.
	// +optional
	Format string `json:"format,omitempty"`
	// sha256 of the archive as it came, with the prefix "sha256:".
	// +optional
	SHA256 string `json:"sha256,omitempty"`
	// contentDigest identifies the files, however they were compressed.
	// +optional
	ContentDigest string `json:"contentDigest,omitempty"`
	// sizeBytes of the archive.
	// +optional
	SizeBytes int64 `json:"sizeBytes,omitempty"`
	// files in it.
	// +optional
	Files int32 `json:"files,omitempty"`
	// appID that its manifest names, or that of the MiniProgram where the format carries none.
	// +optional
	AppID string `json:"appID,omitempty"`
	// versionCode that holds for the version.
	// +optional
	VersionCode int64 `json:"versionCode,omitempty"`
	// pages that it declares, by number.
	// +optional
	Pages int32 `json:"pages,omitempty"`
	// entryPage is the page that opens first.
	// +optional
	EntryPage string `json:"entryPage,omitempty"`
}

// FindingsStatus counts findings and shows the first.
type FindingsStatus struct {
	// errors is how many findings keep the version from being released.
	// +optional
	Errors int32 `json:"errors"`
	// warnings is how many do not.
	// +optional
	Warnings int32 `json:"warnings"`
	// first ten findings.
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	// +optional
	First []Finding `json:"first,omitempty"`
}

// Finding is one thing that a check found.
type Finding struct {
	// rule that found it, such as PageMissing.
	// +required
	Rule string `json:"rule"`
	// severity is error or warning.
	// +required
	Severity string `json:"severity"`
	// file in the bundle. Unset: the bundle as a whole.
	// +optional
	File string `json:"file,omitempty"`
	// message says what is wrong and what to do.
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Message string `json:"message"`
}

// ReviewsStatus tells which approvals are needed and which are missing.
type ReviewsStatus struct {
	// required approvals, summed over roles and host apps.
	Required int32 `json:"required"`
	// approved of them.
	Approved int32 `json:"approved"`
	// missing approvals.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	Missing []MissingApproval `json:"missing,omitempty"`
	// withheldPermissions are declared permissions that a reviewer did not agree to: the published
	// document leaves them out.
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=set
	// +optional
	WithheldPermissions []string `json:"withheldPermissions,omitempty"`
}

// MissingApproval is a number of approvals that are waited for.
type MissingApproval struct {
	// role of the reviewers.
	// +required
	Role string `json:"role"`
	// hostApp that they approve for; unset for all.
	// +optional
	HostApp string `json:"hostApp,omitempty"`
	// count of distinct people.
	// +required
	Count int32 `json:"count"`
}

// Decision is one reviewer's word that the gate has seen. It stays when the Review is deleted.
type Decision struct {
	// review that holds it.
	// +required
	Review string `json:"review"`
	// role in which it was given.
	// +required
	Role string `json:"role"`
	// hostApp that it is for; unset for all.
	// +optional
	HostApp string `json:"hostApp,omitempty"`
	// reviewer who gave it.
	// +required
	Reviewer string `json:"reviewer"`
	// decision: Approved or Rejected.
	// +required
	Decision string `json:"decision"`
	// digest that it is about.
	// +required
	Digest string `json:"digest"`
	// time at which the controller first saw it.
	// +required
	Time metav1.Time `json:"time"`
}

// JudgedBy names a ReviewPolicy in the generation that was applied.
type JudgedBy struct {
	// name of the ReviewPolicy.
	// +required
	Name string `json:"name"`
	// generation of it.
	// +required
	Generation int64 `json:"generation"`
	// sha256 of its spec in canonical JSON, with the prefix "sha256:": a policy that was deleted and
	// created anew begins again at generation 1.
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +optional
	SHA256 string `json:"sha256,omitempty"`
}

// Author is who handed the version in.
type Author struct {
	// name of the user.
	// +optional
	Name string `json:"name,omitempty"`
	// standing is Proven when admission checked the name, Declared when somebody with submit-as wrote it, Unknown without one.
	// +kubebuilder:validation:Enum=Proven;Declared;Unknown
	// +optional
	Standing string `json:"standing,omitempty"`
}

// MiniProgramVersionList is a list of MiniProgramVersions.
// +kubebuilder:object:root=true
type MiniProgramVersionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MiniProgramVersion `json:"items"`
}
