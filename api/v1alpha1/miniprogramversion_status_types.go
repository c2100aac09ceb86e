package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MiniProgramVersionStatus is what the controller made of a version.
// +kubebuilder:validation:MinProperties=0
type MiniProgramVersionStatus struct {
	// conditions are Published, Verified, PolicyPassed, Approved and Ready, and
	// Reconciling and Stalled while they are true; ArtifactDeleted where the artifact
	// is not to be kept. Ready does not mean approved.
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
	// summary says in one line what the version waits for, and who can give it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Summary string `json:"summary,omitempty"`
	// source is what the spec's source turned out to be. Unset: nothing had to be
	// found out, or nothing was yet.
	// +optional
	Source *SourceStatus `json:"source,omitempty"`
	// artifact in the registry. Unset: not published yet.
	// +optional
	Artifact *Artifact `json:"artifact,omitempty"`
	// bundle as it was checked. Unset: not published yet.
	// +optional
	Bundle *BundleStatus `json:"bundle,omitempty"`
	// declaration of the MiniProgram, frozen when the version was packaged.
	// +optional
	Declaration *Declaration `json:"declaration,omitempty"`
	// hostApps that the MiniProgram was meant for when the version was packaged.
	// An approval for all host apps speaks for these; one that was added later
	// needs an approval that names it.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	HostApps []string `json:"hostApps,omitempty"`
	// findings of the checks. Unset: there are none, or nothing was checked yet.
	// +optional
	Findings *FindingsStatus `json:"findings,omitempty"`
	// reviews tells which approvals are needed and which are missing. Unset:
	// nobody can tell yet.
	// +optional
	Reviews *ReviewsStatus `json:"reviews,omitempty"`
	// approvedHostApps lists the host apps for which every approval is there.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	ApprovedHostApps []string `json:"approvedHostApps,omitempty"`
	// decisions that reviewers took on this digest, newest last; 50 at most,
	// rejections before all others.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	Decisions []Decision `json:"decisions,omitempty"`
	// restored is what the journal knew of this version from before its namespace was
	// there: the cluster was lost, and nobody is asked twice. Unset: nothing.
	// +optional
	Restored *Restored `json:"restored,omitempty"`
	// policies that the version's content was held against; the first 50. That is done
	// when it is packaged, and anew while it waits for approval or a Rollout is to hand
	// it out: a change of a policy touches nothing else.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +listType=map
	// +listMapKey=name
	// +optional
	Policies []JudgedBy `json:"policies,omitempty"`
	// policyInputs is the sum of all that the content was held against: policies, what
	// the MiniProgram says of itself, and what its host apps grant. While it is the
	// same, nothing is checked anew. Unset: nothing was checked yet.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +optional
	PolicyInputs string `json:"policyInputs,omitempty"`
	// author of the version and how sure that is. Unset: not published yet.
	// +optional
	Author *Author `json:"author,omitempty"`
	// previews that were asked for by annotations, and are not over yet; 40 at most.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=40
	// +listType=map
	// +listMapKey=codeHash
	// +optional
	Previews []PreviewStatus `json:"previews,omitempty"`
}

// SourceStatus is what was found out about a version's source.
// +kubebuilder:validation:MinProperties=0
type SourceStatus struct {
	// resolved is the digest of the manifest that the tag of spec.source.oci.ref
	// named when it was resolved. The bundle is read from there, whatever the tag
	// names later. Unset: the source names no tag.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +optional
	Resolved string `json:"resolved,omitempty"`
	// verifiedBy says whose signature the source carried when the version was
	// packaged, such as "key release". Unset: spec.verification of the MiniProgram
	// asked for none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	VerifiedBy string `json:"verifiedBy,omitempty"`
}

// Artifact is a version's object in the registry.
type Artifact struct {
	// repository with registry and path.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Repository string `json:"repository,omitempty"`
	// digest of the manifest: what reviews and rollouts are bound to.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +required
	Digest string `json:"digest,omitempty"`
	// mediaType of the manifest.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +optional
	MediaType string `json:"mediaType,omitempty"`
	// sizeBytes of manifest, config and layers together.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +optional
	SizeBytes int64 `json:"sizeBytes,omitempty"`
	// pushTime is when the tag was there.
	// +optional
	PushTime *metav1.Time `json:"pushTime,omitempty"`
	// retirementTime is when the artifact was found to be older than those that
	// spec.history of the MiniProgram keeps. No rollout takes it from then on, and it
	// is deleted soon after. Unset: it is kept.
	// +optional
	RetirementTime *metav1.Time `json:"retirementTime,omitempty"`
	// deletionTime is when the artifact was deleted in the registry. What is said of
	// it here stays, for reviews speak of its digest. Unset: it is there.
	// +optional
	DeletionTime *metav1.Time `json:"deletionTime,omitempty"`
	// archive is the bundle as it came.
	// +optional
	Archive *Blob `json:"archive,omitempty"`
	// content is the deterministic tar of its files, compressed.
	// +optional
	Content *Blob `json:"content,omitempty"`
	// findings is the digest of the manifest that refers to the artifact and holds
	// all that the checks found. Unset: the registry refuses such manifests, so that
	// status.findings has all that was kept.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +optional
	Findings string `json:"findings,omitempty"`
}

// BundleStatus is what the checks read in the bundle.
// +kubebuilder:validation:MinProperties=0
type BundleStatus struct {
	// format that was found.
	// +kubebuilder:validation:Enum=MiniApp;Dimina;Web
	// +optional
	Format string `json:"format,omitempty"`
	// sha256 of the archive as it came, with the prefix "sha256:".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +optional
	SHA256 string `json:"sha256,omitempty"`
	// contentDigest identifies the files, however they were compressed.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +optional
	ContentDigest string `json:"contentDigest,omitempty"`
	// sizeBytes of the archive.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +optional
	SizeBytes int64 `json:"sizeBytes,omitempty"`
	// files is how many it holds.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	// +optional
	Files int32 `json:"files,omitempty"`
	// appID that its manifest names, or that of the MiniProgram where the format
	// carries none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	AppID string `json:"appID,omitempty"`
	// versionCode that holds for the version.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +optional
	VersionCode int64 `json:"versionCode,omitempty"`
	// pages is how many it declares. Unset: none.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	// +optional
	Pages int32 `json:"pages,omitempty"`
	// entryPage is the page that opens first. Unset: the bundle names none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	EntryPage string `json:"entryPage,omitempty"`
}

// FindingsStatus counts findings and shows the first.
type FindingsStatus struct {
	// errors is how many findings keep the version from being released.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +required
	Errors int32 `json:"errors"`
	// warnings is how many do not.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +required
	Warnings int32 `json:"warnings"`
	// first ten findings.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	// +optional
	First []Finding `json:"first,omitempty"`
}

// Finding is one thing that a check found.
type Finding struct {
	// rule that found it, such as PageMissing.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Rule string `json:"rule,omitempty"`
	// severity is error or warning.
	// +kubebuilder:validation:Enum=error;warning
	// +required
	Severity string `json:"severity,omitempty"`
	// file in the bundle. Unset: the bundle as a whole.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	File string `json:"file,omitempty"`
	// line in the file, from 1. Unset: the file as a whole.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	// +optional
	Line int32 `json:"line,omitempty"`
	// message says what is wrong and what to do.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Message string `json:"message,omitempty"`
}

// ReviewsStatus tells which approvals are needed and which are missing.
type ReviewsStatus struct {
	// required is how many approvals are needed, summed over roles and host apps.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +required
	Required int32 `json:"required"`
	// approved is how many of them are there.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +required
	Approved int32 `json:"approved"`
	// missing approvals; the first 50.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	Missing []MissingApproval `json:"missing,omitempty"`
	// withheldPermissions are declared permissions that a reviewer did not agree
	// to: the published document leaves them out.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=set
	// +optional
	WithheldPermissions []string `json:"withheldPermissions,omitempty"`
}

// MissingApproval is a number of approvals that are waited for.
type MissingApproval struct {
	// role of the reviewers.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +required
	Role string `json:"role,omitempty"`
	// hostApp that they approve for. Unset: for all.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	HostApp string `json:"hostApp,omitempty"`
	// count of distinct people.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	// +required
	Count int32 `json:"count,omitempty"`
}

// Decision is one reviewer's word that the gate has seen. It stays when the
// Review is deleted.
type Decision struct {
	// review is the name of the Review that holds it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Review string `json:"review,omitempty"`
	// role in which it was given.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +required
	Role string `json:"role,omitempty"`
	// hostApp that it is for. Unset: for all.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	HostApp string `json:"hostApp,omitempty"`
	// reviewer who gave it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Reviewer string `json:"reviewer,omitempty"`
	// decision that was taken.
	// +kubebuilder:validation:Enum=Approved;Rejected
	// +required
	Decision string `json:"decision,omitempty"`
	// digest that it is about.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +required
	Digest string `json:"digest,omitempty"`
	// time at which the controller first saw it.
	// +required
	Time metav1.Time `json:"time"`
}

// JudgedBy names a ReviewPolicy in the generation that was applied.
type JudgedBy struct {
	// name of the ReviewPolicy.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// generation of it, which counts the changes of its spec from 1.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +required
	Generation int64 `json:"generation,omitempty"`
	// sha256 of its spec as the controller encodes it in JSON: fields in the order of
	// the API, those that are unset left out. With the prefix "sha256:". It tells
	// a policy from one that was deleted and created anew, which begins again at
	// generation 1; other tools cannot be expected to arrive at the same sum.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +optional
	SHA256 string `json:"sha256,omitempty"`
	// errors is how many of its findings keep the version from being released.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +optional
	Errors int32 `json:"errors"`
	// warnings is how many do not: all that it finds, where it only warns or audits.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	// +optional
	Warnings int32 `json:"warnings"`
}
