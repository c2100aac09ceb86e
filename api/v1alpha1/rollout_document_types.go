package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Variant is a version with all that the document says of it.
type Variant struct {
	// versionRef is the name of the MiniProgramVersion.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	VersionRef string `json:"versionRef,omitempty"`
	// version by semver.org.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Version string `json:"version,omitempty"`
	// versionCode orders versions for containers that compare numbers.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +optional
	VersionCode int64 `json:"versionCode,omitempty"`
	// format of the bundle.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +optional
	Format string `json:"format,omitempty"`
	// entryPage is the page that opens first. Unset: the bundle names none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	EntryPage string `json:"entryPage,omitempty"`
	// repository of the artifact.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Repository string `json:"repository,omitempty"`
	// digest of the artifact.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +required
	Digest string `json:"digest,omitempty"`
	// contentDigest identifies its files.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +optional
	ContentDigest string `json:"contentDigest,omitempty"`
	// archive is the bundle as it came.
	// +required
	Archive Blob `json:"archive,omitzero"`
	// content is the deterministic tar of its files, compressed.
	// +required
	Content Blob `json:"content,omitzero"`
	// delivery number under which containers that only go forward get it. Unset
	// before it was first served.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +optional
	Delivery int64 `json:"delivery,omitempty"`
	// declaration that was frozen and approved.
	// +optional
	Declaration *Declaration `json:"declaration,omitempty"`
	// compatibility of the version. Unset: it runs everywhere.
	// +optional
	Compatibility *Compatibility `json:"compatibility,omitempty"`
	// install hints of the version. Unset: none.
	// +optional
	Install *Install `json:"install,omitempty"`
}

// DocumentFacts are what the document says beside stable and target, as
// recorded.
type DocumentFacts struct {
	// appID of the mini program.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	AppID string `json:"appID,omitempty"`
	// hostApps that are served. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	// +optional
	HostApps []string `json:"hostApps,omitempty"`
	// availability is Listed, Hidden or Suspended, Withdrawn when nothing is left
	// that may be served, NotTaken when its host apps no longer take the mini
	// program, Retained or Removed after deletion.
	// +kubebuilder:validation:Enum=Listed;Hidden;Suspended;Withdrawn;NotTaken;Retained;Removed
	// +required
	Availability string `json:"availability,omitempty"`
	// minimumVersion that host apps still open. Unset: any.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	MinimumVersion string `json:"minimumVersion,omitempty"`
	// displayName for listings.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// description for listings. Unset: none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Description string `json:"description,omitempty"`
	// locales for listings. Unset: none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=50
	// +listType=map
	// +listMapKey=lang
	// +optional
	Locales []LocalizedText `json:"locales,omitempty"`
	// pollSeconds is the time that host apps should keep between two questions, in
	// seconds.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	// +optional
	PollSeconds int32 `json:"pollSeconds,omitempty"`
	// by is the key of the split. Unset: nothing is split.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +optional
	By string `json:"by,omitempty"`
	// seed of the split. Unset: nothing is split.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Seed string `json:"seed,omitempty"`
	// audience of the target. Unset: everybody.
	// +optional
	Audience *AudienceFacts `json:"audience,omitempty"`
	// window of the target. Unset: always open.
	// +optional
	Window *WindowFacts `json:"window,omitempty"`
	// fallbacks are the digests of those of status.rollbacks that host apps get that are too old for
	// stable, newest first. Unset: there is none.
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=5
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=71
	// +listType=atomic
	// +optional
	Fallbacks []string `json:"fallbacks,omitempty"`
	// issuedAt is when the document was decided or signed anew.
	// +optional
	IssuedAt metav1.Time `json:"issuedAt,omitzero"`
}

// PublishedDocument is a document in the publication namespace.
type PublishedDocument struct {
	// configMap that holds it, as namespace/name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +required
	ConfigMap string `json:"configMap,omitempty"`
	// sequence of it.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9007199254740991
	// +required
	Sequence int64 `json:"sequence,omitempty"`
	// sha256 of the envelope, with the prefix "sha256:".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=71
	// +required
	SHA256 string `json:"sha256,omitempty"`
	// time by which it was out.
	// +required
	Time metav1.Time `json:"time"`
}
