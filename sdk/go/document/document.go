// Package document has the published document: what a rollout tells host apps,
// as types, with a strict reader and a writer whose bytes depend on the value
// alone.
//
// A document says which variants of one mini program there are (stable, and
// while a rollout is under way a target), who gets which, and until when that
// is true. It travels in a signed envelope (package dsse), is believed after the
// checks of package release, and is applied to one user by package decide.
package document

// The types of document. A trial document is never read where a release is
// asked for.
const (
	TypeRelease = "miniprogram.release/v1"
	TypeTrial   = "miniprogram.trial/v1"
)

// PayloadType is the DSSE payload type of both types of document.
const PayloadType = "application/vnd.miniprogram.release.v1+json"

// Media types of what a document leads to.
const (
	// EnvelopeMediaType is that of a signed envelope.
	EnvelopeMediaType = "application/vnd.dsse.envelope.v1+json"
	// ArchiveMediaType is that of the archive as its developer made it.
	ArchiveMediaType = "application/vnd.miniprogram.archive.v1+zip"
	// ContentMediaType is that of the deterministic tar of the same files.
	ContentMediaType = "application/vnd.miniprogram.content.v1.tar+zstd"
)

// Channels. A document's channel and its type go together.
const (
	ChannelRelease = "release"
	ChannelTrial   = "trial"
)

// MaxSize bounds a document, in bytes.
const MaxSize = 256 << 10

// Availability says whether a program is handed out at all.
type Availability string

// The values of Availability. From Suspended on, nothing is handed out and what
// is installed goes; Removed leaves it to the document's tombstone.
const (
	Listed    Availability = "Listed"
	Hidden    Availability = "Hidden"    // only to who asks for it by its ID
	Suspended Availability = "Suspended" // by whoever runs the platform
	Withdrawn Availability = "Withdrawn" // the last version that could be served was withdrawn
	Blocked   Availability = "Blocked"   // by the host app
	Removed   Availability = "Removed"   // the rollout, or its part for these host apps, is over
)

// Decider says who can apply a document to a user.
type Decider string

// The values of Decider.
const (
	DecideHost    Decider = "Host"    // the document is enough
	DecideService Decider = "Service" // it needs lists that only the manifest service holds
)

// Retention says what becomes of what is installed when a rollout is over.
type Retention string

// The values of Retention.
const (
	Retain Retention = "Retain" // it stays; a stable variant in the tombstone is handed out as before
	Remove Retention = "Remove" // it goes, and nothing is handed out
)

// What Split.By and Recall.By name, beside any attribute of the request.
const (
	ByUser   = "user"
	ByDevice = "device"
)

// Release is the published document of one rollout.
type Release struct {
	// Type is TypeRelease or TypeTrial.
	Type string `json:"type"`
	// AppID is what host apps ask by: [A-Za-z0-9][A-Za-z0-9._-]{2,63}.
	AppID string `json:"appID"`
	// Channel is ChannelRelease or ChannelTrial.
	Channel string `json:"channel"`
	// HostApps are the host apps that it is for; at least one, unless Removed.
	HostApps []string `json:"hostApps,omitempty"`
	// Rollout is where it comes from, for people.
	Rollout Rollout `json:"rollout"`
	// Sequence rises with every decision: 1 to 2^53-1.
	Sequence int64 `json:"sequence"`
	// IssuedAt orders documents of one sequence: signing anew moves only this and ExpiresAt.
	IssuedAt Time `json:"issuedAt"`
	// ExpiresAt is when it may no longer be acted upon; after IssuedAt.
	ExpiresAt Time `json:"expiresAt"`
	// PollSeconds is how long to wait before asking again: 1 to 604800.
	PollSeconds int32 `json:"pollSeconds"`
	// Availability says whether anything is handed out at all.
	Availability Availability `json:"availability"`
	// Tombstone stands there if and only if Availability is Removed.
	Tombstone *Tombstone `json:"tombstone,omitempty"`
	// MinimumVersion is the lowest version that may still be opened; empty: any.
	MinimumVersion string `json:"minimumVersion,omitempty"`
	// Listing is what a host app shows in its catalogue.
	Listing *Listing `json:"listing,omitempty"`
	// Stable is what everybody gets who does not get the target; absent before the first release.
	Stable *Variant `json:"stable,omitempty"`
	// Target is what is being rolled out; there is one if and only if there is a Split.
	Target *Variant `json:"target,omitempty"`
	// Split says which users get the target.
	Split *Split `json:"split,omitempty"`
	// Recalls are the cohorts that had a target which was taken back; at most 20.
	Recalls []Recall `json:"recalls,omitempty"`
	// Audience narrows or widens who gets the target; absent: everybody in the split.
	Audience *Audience `json:"audience,omitempty"`
	// Window is when the split applies; absent: always.
	Window *Window `json:"window,omitempty"`
	// Fallbacks are older variants for host apps too old for stable; at most 5.
	Fallbacks []Variant `json:"fallbacks,omitempty"`
	// AlsoServed are further digests that the service serves: rollback history, icons.
	AlsoServed []string `json:"alsoServed,omitempty"`
	// Decide says who can apply the document.
	Decide Decider `json:"decide"`
}

// Rollout names the object that a document comes from.
type Rollout struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Tombstone says how a rollout ended.
type Tombstone struct {
	// Reason is one CamelCase word for people and metrics: RolloutDeleted, HostAppRemoved.
	Reason string `json:"reason,omitempty"`
	// Installed says what becomes of what is installed.
	Installed Retention `json:"installed"`
}

// Listing is how a program presents itself.
type Listing struct {
	DisplayName string   `json:"displayName"`
	Description string   `json:"description,omitempty"`
	Kind        string   `json:"kind,omitempty"`
	Categories  []string `json:"categories,omitempty"`
	Icon        *Blob    `json:"icon,omitempty"`
	Locales     []Locale `json:"locales,omitempty"`
}

// Locale is a listing in one language (BCP 47).
type Locale struct {
	Lang        string `json:"lang"`
	DisplayName string `json:"displayName,omitempty"`
	Description string `json:"description,omitempty"`
}

// Variant is one version that can be handed out.
type Variant struct {
	// Delivery is this variant's number for containers that only go forward; above 0.
	Delivery int64 `json:"delivery"`
	// Version is the semantic version, for people and for MinimumVersion.
	Version string `json:"version"`
	// VersionCode orders the versions of one program; 0 or more.
	VersionCode int64 `json:"versionCode"`
	// Digest is that of the artifact, and the variant's identity: sha256 and 64 hexadecimal digits.
	Digest string `json:"digest"`
	// ContentDigest is that of the unpacked files' deterministic tar.
	ContentDigest string `json:"contentDigest"`
	// Archive and Content are two forms of the same files to download.
	Archive Blob `json:"archive"`
	Content Blob `json:"content"`
	// Format is MiniApp, Dimina or Web.
	Format string `json:"format,omitempty"`
	// Declaration is the one that was frozen when the version was packaged.
	Declaration Declaration `json:"declaration"`
	// Compatibility says which host apps it runs in; empty: all.
	Compatibility Compatibility `json:"compatibility"`
	// Install says how a host app should install it.
	Install Install `json:"install"`
}

// Blob is something to download by digest. Size is in bytes.
type Blob struct {
	Digest    string `json:"digest"`
	Size      int64  `json:"size,omitempty"`
	MediaType string `json:"mediaType,omitempty"`
}

// Declaration is what a version says it uses; a container grants no more.
type Declaration struct {
	Permissions []Permission `json:"permissions,omitempty"`
	Domains     Domains      `json:"domains"`
	// EntryPages are the pages that may be opened from outside.
	EntryPages []string `json:"entryPages,omitempty"`
	Privacy    *Privacy `json:"privacy,omitempty"`
}

// Permission is one declared permission. Need is Required or Optional.
type Permission struct {
	Name   string `json:"name"`
	Reason string `json:"reason,omitempty"`
	Need   string `json:"need,omitempty"`
}

// Domains are the https and wss origins that a version may reach, by use.
type Domains struct {
	Request  []string `json:"request,omitempty"`
	WebView  []string `json:"webView,omitempty"`
	Socket   []string `json:"socket,omitempty"`
	Upload   []string `json:"upload,omitempty"`
	Download []string `json:"download,omitempty"`
}

// Privacy is what a version says about the data that it handles.
type Privacy struct {
	PolicyURL string        `json:"policyURL,omitempty"`
	Contact   string        `json:"contact,omitempty"`
	Data      []PrivacyData `json:"data,omitempty"`
}

// PrivacyData is one kind of data. RetentionDays of 0: not said.
type PrivacyData struct {
	Name          string `json:"name"`
	Purpose       string `json:"purpose,omitempty"`
	RetentionDays int32  `json:"retentionDays,omitempty"`
}

// Compatibility says which host apps a variant runs in.
type Compatibility struct {
	// Platforms of which one must fit; empty: all do.
	Platforms []Platform `json:"platforms,omitempty"`
	// MinContainerVersion is the lowest version of the container; empty: any.
	MinContainerVersion string `json:"minContainerVersion,omitempty"`
}

// Platform is a range of host app versions on one operating system. Both ends
// belong to it; an empty end is open.
type Platform struct {
	OS             string `json:"os"`
	MinHostVersion string `json:"minHostVersion,omitempty"`
	MaxHostVersion string `json:"maxHostVersion,omitempty"`
}

// Install is how a host app should install a variant; empty members leave it
// to the host app.
type Install struct {
	Download string `json:"download,omitempty"` // WiFi or Any
	Mode     string `json:"mode,omitempty"`     // Preload or Lazy
	Update   string `json:"update,omitempty"`   // Normal or Immediate
}

// Split says which share of users gets the target.
type Split struct {
	// Algorithm is always bucket/v1.
	Algorithm string `json:"algorithm"`
	// By is ByUser, ByDevice or the name of an attribute: what is hashed with Seed.
	By   string `json:"by"`
	Seed string `json:"seed"`
	// BasisPoints is the share in hundredths of a percent: 0 to 10000.
	BasisPoints int32 `json:"basisPoints"`
}

// Recall is a cohort that had a target which was taken back. Its members are
// handed stable under a number of their own, so that containers that only go
// forward take it; with no stable, what they have is removed.
type Recall struct {
	By   string `json:"by"`
	Seed string `json:"seed"`
	// BasisPoints is the highest share that the target had: 0 to 10000.
	BasisPoints int32 `json:"basisPoints"`
	// Delivery is the number under which the cohort gets stable; above 0.
	Delivery int64 `json:"delivery"`
	// Digest is the variant that was taken back, where it is known: whoever
	// reports it as installed belongs to the cohort.
	Digest string `json:"digest,omitempty"`
	// Audience is who got the target by name, or could not; its rules do not
	// count here, for attributes change and the target was installed before.
	Audience *Audience `json:"audience,omitempty"`
}

// Audience is who may get the target. Keys of users stand in it only as hashes.
type Audience struct {
	// Seed is hashed with each key: see HashKey.
	Seed string `json:"seed,omitempty"`
	// Include get the target whatever the rules, the window and the share.
	Include KeySet `json:"include,omitzero"`
	// Exclude never get it; this wins over Include.
	Exclude KeySet `json:"exclude,omitzero"`
	// Rules must all hold.
	Rules []Rule `json:"rules,omitempty"`
	// Parts continue Include and Exclude where they are too long for a
	// document; the document's Decide is then Service.
	Parts []Part `json:"parts,omitempty"`
}

// KeySet is a set of hashed user keys, sorted by bytes, each there once; at
// most MaxHashes.
type KeySet struct {
	Hashes []string `json:"hashes,omitempty"`
}

// IsZero reports whether the set is empty, so that it is left out.
func (k KeySet) IsZero() bool { return len(k.Hashes) == 0 }

// Part is a list of hashed keys that is kept beside the document.
type Part struct {
	// List is PartInclude or PartExclude.
	List string `json:"list"`
	// Digest is the SHA-256 of the part's bytes (PartData), in the form sha256:hex.
	Digest string `json:"digest"`
	// Keys is how many it has.
	Keys int32 `json:"keys,omitempty"`
}

// The values of Part.List.
const (
	PartInclude = "Include"
	PartExclude = "Exclude"
)

// Rule is a condition on one attribute of a request. An attribute that the
// request lacks, or has as an empty string, fulfils no rule.
type Rule struct {
	Attribute string   `json:"attribute"`
	Operator  Operator `json:"operator"`
	Values    []string `json:"values"`
}

// Operator compares an attribute with a rule's values.
type Operator string

// The operators. In, NotIn and StartsWith compare text byte by byte; the others
// compare versions: numbers separated by dots, so that 8.0.10 is more than
// 8.0.9 and 8 equals 8.0. What is no version fulfils none of these three.
const (
	In         Operator = "In"
	NotIn      Operator = "NotIn"
	StartsWith Operator = "StartsWith" // with any of the values
	AtLeast    Operator = "AtLeast"    // one value, which belongs to the range
	AtMost     Operator = "AtMost"     // one value, which belongs to the range
	Between    Operator = "Between"    // two values, which both belong to the range
)

// Window is a span of time: Start belongs to it, End does not; an absent end
// is open.
type Window struct {
	Start Time `json:"start,omitzero"`
	End   Time `json:"end,omitzero"`
}

// Variant returns the stable, target or fallback variant with this digest, or
// nil. The answer points into the document.
func (r *Release) Variant(digest string) *Variant {
	for _, v := range []*Variant{r.Stable, r.Target} {
		if v != nil && v.Digest == digest {
			return v
		}
	}
	for i := range r.Fallbacks {
		if r.Fallbacks[i].Digest == digest {
			return &r.Fallbacks[i]
		}
	}
	return nil
}
