package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Validity is how long host apps may act on a document after it was issued.
// RenewAfter is the age at which it is signed anew.
const (
	Validity   = 7 * 24 * time.Hour
	RenewAfter = Validity / 3
)

// What DocumentFacts.Availability says of a Rollout that was deleted: Removed
// takes the mini program from devices, Retained leaves stable to host apps.
// NotTaken says that its host apps do not take the mini program: nothing is handed
// out, and what is installed stays.
const (
	Removed  = "Removed"
	Retained = "Retained"
	NotTaken = "NotTaken"
)

// tombstoneValidity is that of a last document: nobody is left to sign it anew.
const tombstoneValidity = 10 * 365 * 24 * time.Hour

// ErrNothingRecorded says that a rollout has decided nothing yet, so that there
// is no document.
var ErrNothingRecorded = errors.New("the rollout has recorded no decision yet")

// Render returns the document that the status of the rollout prescribes. The
// same status gives the same document. It fails with ErrNothingRecorded before
// the first decision.
func Render(namespace, rollout, channel string, st *v1alpha1.RolloutStatus) (*document.Release, error) {
	if st.Document == nil || st.Sequence == 0 {
		return nil, ErrNothingRecorded
	}
	facts := st.Document
	kind := document.TypeRelease
	if channel == v1alpha1.ChannelTrial {
		kind = document.TypeTrial
	}
	doc := &document.Release{
		Type:           kind,
		AppID:          facts.AppID,
		Channel:        channel,
		HostApps:       slices.Sorted(slices.Values(facts.HostApps)),
		Rollout:        document.Rollout{Namespace: namespace, Name: rollout},
		Sequence:       st.Sequence,
		IssuedAt:       document.At(facts.IssuedAt.Time),
		ExpiresAt:      document.At(facts.IssuedAt.Add(Validity)),
		PollSeconds:    facts.PollSeconds,
		Availability:   document.Availability(facts.Availability),
		MinimumVersion: facts.MinimumVersion,
		Listing:        listing(facts),
		Stable:         variant(st.Stable),
		Decide:         document.DecideHost,
	}
	switch facts.Availability {
	case NotTaken:
		notTaken(doc, facts)
		return doc, nil
	case Removed, Retained:
		bury(doc, facts)
		if doc.Stable != nil {
			doc.Recalls = recalls(st) // who had the target gets stable, as after an abort
			doc.Decide = decider(doc)
		}
		return doc, nil
	}
	if st.Target != nil {
		doc.Target = variant(st.Target)
		doc.Split = &document.Split{
			Algorithm: bucket.Algorithm, By: facts.By, Seed: facts.Seed, BasisPoints: st.BasisPoints,
		}
		doc.Audience, doc.Window = audience(facts.Audience), window(facts.Window)
	}
	doc.Fallbacks = fallbacks(st)
	doc.Recalls = recalls(st)
	doc.AlsoServed = alsoServed(st)
	doc.Decide = decider(doc)
	return doc, nil
}

func recalls(st *v1alpha1.RolloutStatus) []document.Recall {
	var out []document.Recall
	for _, r := range st.Recalls {
		out = append(out, document.Recall{
			By: r.By, Seed: r.Seed, BasisPoints: r.BasisPoints, Delivery: r.Delivery, Digest: r.Digest, Audience: recalled(r.Audience),
		})
	}
	return out
}

// bury makes a document the last of its Rollout.
func bury(doc *document.Release, facts *v1alpha1.DocumentFacts) {
	doc.Availability = document.Removed
	doc.ExpiresAt = document.At(facts.IssuedAt.Add(tombstoneValidity))
	doc.Tombstone = &document.Tombstone{Reason: "RolloutDeleted", Installed: document.Retain}
	if facts.Availability == Removed {
		doc.Stable = nil
		doc.Tombstone.Installed = document.Remove
	}
}

// notTaken makes a document one that hands out nothing and takes nothing from
// devices. It holds for long, for a copy of it does no harm, and it may be the last.
func notTaken(doc *document.Release, facts *v1alpha1.DocumentFacts) {
	doc.Availability = document.Removed
	doc.ExpiresAt = document.At(facts.IssuedAt.Add(tombstoneValidity))
	doc.Stable = nil
	doc.Tombstone = &document.Tombstone{Reason: "HostAppDoesNotTakeIt", Installed: document.Retain}
}

// alsoServed lists what the service must still hand out by digest although no
// user is sent there now: the versions that can be rolled back to.
func alsoServed(st *v1alpha1.RolloutStatus) []string {
	var digests []string
	for _, v := range st.Rollbacks {
		digests = append(digests, v.Archive.Digest, v.Content.Digest)
	}
	slices.Sort(digests)
	return slices.Compact(digests)
}

func listing(f *v1alpha1.DocumentFacts) *document.Listing {
	if f.DisplayName == "" {
		return nil
	}
	l := &document.Listing{DisplayName: f.DisplayName, Description: f.Description}
	for _, loc := range f.Locales {
		l.Locales = append(l.Locales, document.Locale{
			Lang: loc.Lang, DisplayName: loc.DisplayName, Description: loc.Description,
		})
	}
	return l
}

func variant(v *v1alpha1.Variant) *document.Variant {
	if v == nil {
		return nil
	}
	out := &document.Variant{
		Delivery: v.Delivery, Version: v.Version, VersionCode: v.VersionCode,
		Digest: v.Digest, ContentDigest: v.ContentDigest, Format: v.Format,
		Archive: blob(v.Archive), Content: blob(v.Content),
	}
	if d := v.Declaration; d != nil {
		out.Declaration = declaration(d)
	}
	if v.EntryPage != "" {
		out.Declaration.EntryPages = []string{v.EntryPage}
	}
	if c := v.Compatibility; c != nil {
		out.Compatibility.MinContainerVersion = c.MinContainerVersion
		for _, p := range c.Platforms {
			out.Compatibility.Platforms = append(out.Compatibility.Platforms, document.Platform{
				OS: p.OS, MinHostVersion: p.MinHostVersion, MaxHostVersion: p.MaxHostVersion,
			})
		}
	}
	if i := v.Install; i != nil {
		out.Install = document.Install{Download: i.Download, Mode: i.Mode, Update: i.Update}
	}
	return out
}

func blob(b v1alpha1.Blob) document.Blob {
	return document.Blob{Digest: b.Digest, Size: b.SizeBytes, MediaType: b.MediaType}
}

func declaration(d *v1alpha1.Declaration) document.Declaration {
	var out document.Declaration
	for _, p := range d.Permissions {
		out.Permissions = append(out.Permissions, document.Permission{Name: p.Name, Reason: p.Reason, Need: p.Need})
	}
	if m := d.Domains; m != nil {
		out.Domains = document.Domains{
			Request: origins(m.Request), WebView: origins(m.WebView), Socket: origins(m.Socket),
			Upload: origins(m.Upload), Download: origins(m.Download),
		}
	}
	if p := d.Privacy; p != nil {
		out.Privacy = &document.Privacy{PolicyURL: p.PolicyURL, Contact: p.Contact}
		for _, x := range p.Data {
			data := document.PrivacyData{Name: x.Name, Purpose: x.Purpose}
			if x.RetentionDays != nil {
				data.RetentionDays = *x.RetentionDays
			}
			out.Privacy.Data = append(out.Privacy.Data, data)
		}
	}
	return out
}

func origins[T ~string](list []T) []string {
	var out []string
	for _, o := range list {
		out = append(out, string(o))
	}
	return out
}

// Percent writes basis points (0 to 10000) as people do: "5%", "0.25%".
func Percent(basisPoints int32) string {
	s := strconv.FormatInt(int64(basisPoints/100), 10)
	if rest := basisPoints % 100; rest != 0 {
		s += "." + strings.TrimRight(fmt.Sprintf("%02d", rest), "0")
	}
	return s + "%"
}
