package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Lists are those that an audience has in ConfigMaps, hashed and cut into parts for one
// target. A part is known by its digest; what it holds is not looked at here.
type Lists struct {
	// From and Seed say which lists these are, and of which target: see Audience.From and AudienceSeed.
	From, Seed string
	// Parts of include, then of exclude.
	Parts []v1alpha1.AudiencePart
}

// Bounds of parts: in one audience that is recorded, of those that exclude, and in all recalls.
const (
	maxParts         = 64
	maxExcludeParts  = 16
	maxRecalledParts = 32
)

// AudienceSeed is another for each target, so that nobody can tell from two documents
// whether they name the same user.
func AudienceSeed(appID, digest string) string { return appID + "@" + digest }

// From is one digest of all the lists that the spec names by theirs; empty: it names none.
func (a Audience) From() string {
	if len(a.IncludeFrom)+len(a.ExcludeFrom) == 0 {
		return ""
	}
	sum := sha256.Sum256([]byte("include " + strings.Join(a.IncludeFrom, " ") + "\nexclude " + strings.Join(a.ExcludeFrom, " ") + "\n"))
	return hex.EncodeToString(sum[:])
}

func digestsOf(from []v1alpha1.AudienceSource) []string {
	var all []string
	for _, f := range from {
		all = append(all, f.ConfigMap.SHA256)
	}
	return all
}

// withLists adds to the next audience the parts that its lists have become. Where they
// are not known, what is recorded stays in their place, and known is false.
func (d *decider) withLists(next v1alpha1.AudienceFacts) (_ v1alpha1.AudienceFacts, known bool) {
	from, was := d.plan.Audience.From(), d.st.Document.Audience
	if was == nil {
		was = &v1alpha1.AudienceFacts{}
	}
	switch l := d.seen.Lists; {
	case from == "":
		return next, true
	case l != nil && l.From == from && l.Seed == next.Seed:
		next.From, next.Parts = from, slices.Clone(l.Parts)
		return next, true
	case was.From == from && was.Seed == next.Seed:
		next.From, next.Parts = from, slices.Concat(includes(was.Parts), excludes(was.Parts))
		return next, true
	}
	if len(d.plan.Audience.IncludeFrom) > 0 {
		next.Include, next.Parts = was.Include, includes(was.Parts)
	}
	if len(d.plan.Audience.ExcludeFrom) > 0 {
		next.Exclude, next.Parts = was.Exclude, append(next.Parts, excludes(was.Parts)...)
	}
	return next, false
}

// unlisted says why the candidate must not go out, or further, for want of what its
// audience or its window rests on; nil: all is there.
func (d *decider) unlisted(c *Candidate) *Hold {
	if d.seen.Unlisted != nil {
		return d.seen.Unlisted
	}
	from, seed := d.plan.Audience.From(), AudienceSeed(d.seen.AppID, c.Variant.Digest)
	recorded := false
	if d.st.Target != nil && d.st.Document != nil && d.st.Document.Audience != nil {
		a := d.st.Document.Audience
		recorded = a.From == from && a.Seed == seed
	}
	if l := d.seen.Lists; from == "" || recorded || l != nil && l.From == from && l.Seed == seed {
		return nil
	}
	return &Hold{"AudienceNotRead", "the lists that spec.audience names in ConfigMaps are not read yet"}
}

// narrowLists gives the target to nobody new: lists of exclude come to those that are
// there, and one of include goes only where the next audience includes nobody.
func narrowLists(out *v1alpha1.AudienceFacts, was, next v1alpha1.AudienceFacts) {
	in, ex := includes(was.Parts), excludes(was.Parts)
	switch now := includes(next.Parts); {
	case slices.Equal(in, now):
	case len(now)+len(next.Include) == 0:
		in, out.Include = nil, nil
	default:
		out.Include = was.Include
	}
	all := slices.Clone(ex)
	for _, p := range excludes(next.Parts) {
		if !has(all, p.Digest) {
			all = append(all, p)
		}
	}
	if len(all) <= maxExcludeParts {
		ex = all
	}
	out.Parts = slices.Concat(in, ex)
	if slices.Equal(out.Parts, next.Parts) {
		out.From = next.From
	}
}

// keepParts tells of each part of the next audience whether somebody on it may have had
// the target, and keeps those by which somebody had it.
func (d *decider) keepParts(was *v1alpha1.AudienceFacts, next []v1alpha1.AudiencePart) []v1alpha1.AudiencePart {
	had := d.st.PeakBasisPoints > 0
	var before []v1alpha1.AudiencePart
	if was != nil {
		before = was.Parts
		had = had || len(was.Include)+len(was.Had) > 0 || listed(before, v1alpha1.PartInclude, v1alpha1.PartHad)
	}
	var out []v1alpha1.AudiencePart
	for _, p := range next {
		if p.List == v1alpha1.PartExclude {
			switch i := slices.IndexFunc(excludes(before), func(b v1alpha1.AudiencePart) bool { return b.Digest == p.Digest }); {
			case i >= 0:
				p.List = recordedAs(before, p.Digest)
			case had:
				p.List = v1alpha1.PartExcludeLater
			}
		}
		out = append(out, p)
	}
	for _, p := range before {
		gone := p.List == v1alpha1.PartHad || p.List == v1alpha1.PartInclude
		if gone && !has(includes(out), p.Digest) && len(out) < maxParts && !slices.ContainsFunc(out, func(o v1alpha1.AudiencePart) bool { return o.List == v1alpha1.PartHad && o.Digest == p.Digest }) {
			out = append(out, v1alpha1.AudiencePart{List: v1alpha1.PartHad, Digest: p.Digest, Keys: p.Keys})
		}
	}
	return out
}

func recordedAs(parts []v1alpha1.AudiencePart, digest string) string {
	for _, p := range parts {
		if p.Digest == digest && (p.List == v1alpha1.PartExclude || p.List == v1alpha1.PartExcludeLater) {
			return p.List
		}
	}
	return ""
}

// recalledParts are those by which somebody had the target, and those on which nobody
// ever had it.
func recalledParts(parts []v1alpha1.AudiencePart) []v1alpha1.AudiencePart {
	var out []v1alpha1.AudiencePart
	for _, p := range parts {
		switch p.List {
		case v1alpha1.PartHad:
			p.List = v1alpha1.PartInclude
		case v1alpha1.PartExcludeLater:
			continue
		}
		out = append(out, p)
	}
	return out
}

// namesLost tells that the recall has a part which is gone and cannot be made again.
func (d *decider) namesLost(r v1alpha1.Recall) bool {
	return r.Audience != nil && slices.ContainsFunc(r.Audience.Parts, func(p v1alpha1.AudiencePart) bool { return d.seen.Lost[p.Digest] })
}

// forgetLost gives stable a new number for everybody where it cannot be told any longer
// who had a target: a document that names a part which nobody has is adopted by nobody.
func (d *decider) forgetLost() {
	if slices.ContainsFunc(d.st.Recalls, d.namesLost) {
		d.renumber()
	}
}

// includes and excludes are the parts of one list, under its plain name.
func includes(parts []v1alpha1.AudiencePart) []v1alpha1.AudiencePart {
	return of(parts, v1alpha1.PartInclude, v1alpha1.PartInclude)
}

func excludes(parts []v1alpha1.AudiencePart) []v1alpha1.AudiencePart {
	return of(parts, v1alpha1.PartExclude, v1alpha1.PartExclude, v1alpha1.PartExcludeLater)
}

func of(parts []v1alpha1.AudiencePart, name string, lists ...string) []v1alpha1.AudiencePart {
	var out []v1alpha1.AudiencePart
	for _, p := range parts {
		if slices.Contains(lists, p.List) {
			p.List = name
			out = append(out, p)
		}
	}
	return out
}

func listed(parts []v1alpha1.AudiencePart, lists ...string) bool {
	return slices.ContainsFunc(parts, func(p v1alpha1.AudiencePart) bool { return slices.Contains(lists, p.List) })
}

func has(parts []v1alpha1.AudiencePart, digest string) bool {
	return slices.ContainsFunc(parts, func(p v1alpha1.AudiencePart) bool { return p.Digest == digest })
}
