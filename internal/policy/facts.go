package policy

import (
	"slices"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// MaxPlaces is how many places of one API or one pattern facts keep. Which one
// is found must be known, not where the hundredth is.
const MaxPlaces = 10

// Facts are what is known of a bundle, of its version, and of the program that
// both belong to. They marshal to JSON under names that stay, so that a later
// release can hold a version against a policy that was written after it. Their
// size is bounded: Paths and PageList by the limits under which the bundle was
// read, Uses and Matches by AddUses and AddMatches, all else by the API.
type Facts struct {
	// ArchiveBytes is the size of the archive as it came.
	ArchiveBytes int64 `json:"archiveBytes"`
	// Files is the number of regular files in it.
	Files int `json:"files"`
	// Pages is the number of pages that it declares.
	Pages int `json:"pages"`
	// Format of the bundle: MiniApp, Dimina or Web. Named in messages; may be empty.
	Format string `json:"format,omitempty"`
	// Declaration as it is frozen in the version.
	Declaration v1alpha1.Declaration `json:"declaration"`
	// BundlePermissions are the names that the bundle's own manifest requests.
	BundlePermissions []string `json:"bundlePermissions,omitempty"`

	// Inspected tells that the fields below, up to Uses, were filled. While it is false, rules about
	// them cannot be answered, and that is a finding: nothing passes for not having been looked at.
	Inspected bool `json:"inspected"`
	// Paths are the files, sorted by path.
	Paths []File `json:"paths,omitempty"`
	// PageList are the routes of the pages in the manifest's order, EntryPage the one that opens first.
	PageList  []string `json:"pageList,omitempty"`
	EntryPage string   `json:"entryPage,omitempty"`
	// Uses are the sensitive APIs that the built-in table knows and the scripts use.
	Uses []Use `json:"uses,omitempty"`

	// Searched are the keys of the patterns that all files were searched for (Patterns.Keys).
	// A pattern that is not among them is not answered, however few Matches there are.
	Searched []string `json:"searched,omitempty"`
	// Matches are what was found of them.
	Matches []Match `json:"matches,omitempty"`

	// Program and Version are what the objects say beside the declaration.
	Program ProgramFacts `json:"program"`
	Version VersionFacts `json:"version"`
}

// File is one regular file of a bundle.
type File struct {
	// Path has slashes and is relative to the archive's root.
	Path string `json:"path"`
	// SizeBytes is its size, expanded.
	SizeBytes int64 `json:"sizeBytes"`
}

// Use is one place in a bundle's scripts that uses a sensitive API.
type Use struct {
	// API as the table calls it, such as wx.getLocation.
	API string `json:"api"`
	// Permission that must be declared for it. Empty where the script computes the API's name, so
	// that nobody can tell which it is.
	Permission string `json:"permission"`
	File       string `json:"file"`
	// Line and Column begin at 1; columns count characters.
	Line   int `json:"line"`
	Column int `json:"column"`
}

// ProgramFacts are what a MiniProgram says of itself, beside its declaration.
type ProgramFacts struct {
	Namespace      string        `json:"namespace"`
	Name           string        `json:"name"`
	AppID          string        `json:"appID"`
	Kind           string        `json:"kind"`
	DisplayName    string        `json:"displayName"`
	Description    string        `json:"description"`
	Icon           string        `json:"icon"`
	Categories     []string      `json:"categories"`
	Owners         []string      `json:"owners"`
	Locales        []LocaleFacts `json:"locales"`
	HostApps       []string      `json:"hostApps"`
	MinimumVersion string        `json:"minimumVersion"`
	Availability   string        `json:"availability"`
	// Verified tells that spec.verification asks for signatures.
	Verified bool `json:"verified"`
	// Labels are those under LabelPrefix only: no other is guarded.
	Labels map[string]string `json:"labels"`
}

// LocaleFacts are names in one language.
type LocaleFacts struct {
	Lang        string `json:"lang"`
	DisplayName string `json:"displayName"`
	Description string `json:"description"`
}

// VersionFacts are what a MiniProgramVersion says of itself.
type VersionFacts struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	VersionCode  int64  `json:"versionCode"`
	ReleaseNotes string `json:"releaseNotes"`
	// Author is who submitted it, AuthorStanding how sure that is: Proven, Declared or Unknown.
	Author              string          `json:"author"`
	AuthorStanding      string          `json:"authorStanding"`
	Source              SourceFacts     `json:"source"`
	Platforms           []PlatformFacts `json:"platforms"`
	MinContainerVersion string          `json:"minContainerVersion"`
	Install             InstallFacts    `json:"install"`
}

// SourceFacts tell where a bundle came from.
type SourceFacts struct {
	// Kind is OCI, HTTP or ConfigMap.
	Kind string `json:"kind"`
	// Address is the reference, the URL, or the ConfigMap's name.
	Address string `json:"address"`
	// Pinned tells that the spec itself names exact bytes.
	Pinned bool `json:"pinned"`
	// VerifiedBy says whose signature it carried, where one was asked for.
	VerifiedBy string `json:"verifiedBy"`
}

// PlatformFacts bound the host app's versions on one platform.
type PlatformFacts struct {
	OS             string `json:"os"`
	MinHostVersion string `json:"minHostVersion"`
	MaxHostVersion string `json:"maxHostVersion"`
}

// InstallFacts are hints for host apps.
type InstallFacts struct {
	Download string `json:"download"`
	Mode     string `json:"mode"`
	Update   string `json:"update"`
}

// ProgramFactsOf are the facts about p.
func ProgramFactsOf(p *v1alpha1.MiniProgram) ProgramFacts {
	s := &p.Spec
	f := ProgramFacts{
		Namespace: p.Namespace, Name: p.Name, AppID: s.AppID, Kind: s.Kind, DisplayName: s.DisplayName, Description: s.Description,
		Icon: s.Icon, Categories: slices.Clone(s.Categories), Owners: slices.Clone(s.Owners), HostApps: slices.Clone(s.HostApps),
		MinimumVersion: s.MinimumVersion, Availability: s.Availability, Verified: s.Verification != nil,
	}
	for _, l := range s.Locales {
		f.Locales = append(f.Locales, LocaleFacts(l))
	}
	for key, value := range p.Labels {
		if strings.HasPrefix(key, LabelPrefix) {
			if f.Labels == nil {
				f.Labels = map[string]string{}
			}
			f.Labels[key] = value
		}
	}
	return f
}

// VersionFactsOf are the facts about v, of which the bundle's own version code
// and the author's standing are known once it is packaged.
func VersionFactsOf(v *v1alpha1.MiniProgramVersion) VersionFacts {
	s := &v.Spec
	f := VersionFacts{
		Name: v.Name, Version: s.Version, VersionCode: s.VersionCode, ReleaseNotes: s.ReleaseNotes,
		Author: s.SubmittedBy, Source: sourceFactsOf(s.Source),
	}
	if b := v.Status.Bundle; b != nil {
		f.VersionCode = b.VersionCode
	}
	if a := v.Status.Author; a != nil {
		f.AuthorStanding = a.Standing
	}
	if from := v.Status.Source; from != nil {
		f.Source.VerifiedBy = from.VerifiedBy
	}
	if c := s.Compatibility; c != nil {
		f.MinContainerVersion = c.MinContainerVersion
		for _, p := range c.Platforms {
			f.Platforms = append(f.Platforms, PlatformFacts(p))
		}
	}
	if i := s.Install; i != nil {
		f.Install = InstallFacts(*i)
	}
	return f
}

// sourceFactsOf looks at what the spec says: a tag that was resolved later has
// named other bytes before, and nobody chose these.
func sourceFactsOf(s v1alpha1.BundleSource) SourceFacts {
	switch {
	case s.OCI != nil:
		return SourceFacts{Kind: "OCI", Address: s.OCI.Ref, Pinned: strings.Contains(s.OCI.Ref, "@sha256:")}
	case s.HTTP != nil:
		return SourceFacts{Kind: "HTTP", Address: s.HTTP.URL, Pinned: s.HTTP.SHA256 != ""}
	case s.ConfigMap != nil:
		return SourceFacts{Kind: "ConfigMap", Address: s.ConfigMap.Name, Pinned: s.ConfigMap.SHA256 != ""}
	}
	return SourceFacts{}
}

// AddUses adds uses; of each API with one permission the first MaxPlaces stay.
func (f *Facts) AddUses(uses ...Use) {
	type what struct{ api, permission string }
	places := map[what]int{}
	for _, u := range f.Uses {
		places[what{u.API, u.Permission}]++
	}
	for _, u := range uses {
		if places[what{u.API, u.Permission}]++; places[what{u.API, u.Permission}] <= MaxPlaces {
			f.Uses = append(f.Uses, u)
		}
	}
}

// AddMatches adds matches; of each pattern the first MaxPlaces stay.
func (f *Facts) AddMatches(matches ...Match) {
	places := map[string]int{}
	for _, m := range f.Matches {
		places[m.Pattern]++
	}
	for _, m := range matches {
		if places[m.Pattern]++; places[m.Pattern] <= MaxPlaces {
			f.Matches = append(f.Matches, m)
		}
	}
}
