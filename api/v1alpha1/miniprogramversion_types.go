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
	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the developer handed in.
	// +required
	Spec MiniProgramVersionSpec `json:"spec,omitzero"`
	// status is what the controller made of it.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status MiniProgramVersionStatus `json:"status"`
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
	MiniProgramRef MiniProgramReference `json:"miniProgramRef,omitzero"`
	// version by semver.org 2.0.0. It is the artifact's tag, with "_" for "+". May
	// not change.
	// +kubebuilder:validation:MinLength=5
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`
	// +required
	Version string `json:"version,omitempty"`
	// versionCode orders versions for containers that compare numbers. Unset: from
	// the bundle, else major*10000 + minor*100 + patch of the version. One that is
	// written here or in the bundle stands for one content: another version cannot
	// have it for other content. May not change.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	// +optional
	VersionCode int64 `json:"versionCode,omitempty"`
	// source is where the bundle comes from. May not change.
	// +required
	Source BundleSource `json:"source,omitzero"`
	// format of the bundle. Auto tells by its root files. Unset: Auto. May not
	// change.
	// +kubebuilder:validation:Enum=Auto;MiniApp;Dimina;Web
	// +kubebuilder:default=Auto
	// +optional
	Format string `json:"format,omitempty"`
	// compatibility says where the version runs. Unset: everywhere. May not
	// change.
	// +optional
	Compatibility *Compatibility `json:"compatibility,omitempty"`
	// install tells host apps how to bring it onto a device. Unset: over any
	// network, lazily, without a restart. May not change.
	// +optional
	Install *Install `json:"install,omitempty"`
	// releaseNotes for reviewers and users. Unset: none. May not change.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	ReleaseNotes string `json:"releaseNotes,omitempty"`
	// submittedBy is the author: the user who creates the version. Naming somebody
	// else needs verb submit-as on miniprogramversions. The author may not
	// approve, unless a policy says so. Unset: stamped where the cluster has a
	// MutatingAdmissionPolicy for it, else nobody is named. May not change.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	SubmittedBy string `json:"submittedBy,omitempty"`
	// review is Requested when reviewers should look at it. Unset: NotRequested.
	// One way: a request is not taken back.
	// +kubebuilder:validation:Enum=NotRequested;Requested
	// +kubebuilder:default=NotRequested
	// +optional
	Review string `json:"review,omitempty"`
	// availability is Withdrawn when the version must never be served again;
	// running rollouts of it abort. Unset: Active. One way: a withdrawal is not
	// taken back.
	// +kubebuilder:validation:Enum=Active;Withdrawn
	// +kubebuilder:default=Active
	// +optional
	Availability string `json:"availability,omitempty"`
}

// BundleSource is exactly one place that a bundle is fetched from.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="(has(self.oci) ? 1 : 0) + (has(self.http) ? 1 : 0) + (has(self.configMap) ? 1 : 0) == 1",message="spec.source needs exactly one of oci, http and configMap"
type BundleSource struct {
	// oci is an artifact in a registry. Unset: the bundle comes from elsewhere.
	// +optional
	OCI *OCISource `json:"oci,omitempty"`
	// http is a file on a web server. Unset: the bundle comes from elsewhere.
	// +optional
	HTTP *HTTPSource `json:"http,omitempty"`
	// configMap is a file in a ConfigMap of the same namespace. Unset: the bundle
	// comes from elsewhere.
	// +optional
	ConfigMap *ConfigMapSource `json:"configMap,omitempty"`
}

// OCISource is an artifact in a registry that holds the bundle in one layer.
type OCISource struct {
	// ref is registry/repository with :tag or @digest. A tag is resolved once, into
	// status.source.resolved, before anything is fetched.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=512
	// +required
	Ref string `json:"ref,omitempty"`
	// secretRef names a Secret of type kubernetes.io/dockerconfigjson. Unset: no
	// credentials.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// HTTPSource is a file on a web server.
type HTTPSource struct {
	// url of the archive; https unless the manager was started with
	// --allow-insecure-sources.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s/]+/.*$`
	// +required
	URL string `json:"url,omitempty"`
	// sha256 of the archive, in hexadecimal digits. Unset: whatever the server
	// sends.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +optional
	SHA256 string `json:"sha256,omitempty"`
	// secretRef names a Secret with username and password, or token. Unset: no
	// credentials.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// ConfigMapSource is a file in a ConfigMap of the same namespace, for bundles
// below 1 MiB.
type ConfigMapSource struct {
	// name of the ConfigMap.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// key in its binaryData (or data).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Key string `json:"key,omitempty"`
	// sha256 of the archive, in hexadecimal digits. Unset: whatever is there.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +optional
	SHA256 string `json:"sha256,omitempty"`
}

// MiniProgramVersionList is a list of MiniProgramVersions.
// +kubebuilder:object:root=true
type MiniProgramVersionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MiniProgramVersion `json:"items"`
}

// Author is who handed the version in.
// +kubebuilder:validation:MinProperties=0
type Author struct {
	// name of the user. Unset: nobody was named.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Name string `json:"name,omitempty"`
	// standing is Proven when admission checked the name, Declared when somebody
	// with submit-as wrote it or it is a service account, Unknown without one.
	// +kubebuilder:validation:Enum=Proven;Declared;Unknown
	// +optional
	Standing string `json:"standing,omitempty"`
}
