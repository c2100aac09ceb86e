package rollout

import (
	"fmt"
	"slices"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Why a target waits whose audience has it, or whose window is not open.
const (
	ReasonAudienceServed = "AudienceServed"
	ReasonWindowClosed   = "WindowClosed"
	reasonWindowNotOpen  = "WindowNotOpen"
)

// maxNamed bounds one list of hashes in the record, as a document has it.
const maxNamed = document.MaxHashes

// everyone is the share of all who are in the audience.
const everyone = 10000

// Audience is who may get the target, and who gets it by name; the zero value is
// everybody. The keys are those of users: only their hashes are ever recorded.
type Audience struct {
	Include, Exclude []string
	// IncludeFrom and ExcludeFrom are the digests of lists in ConfigMaps: see Lists.
	IncludeFrom, ExcludeFrom []string
	Rules                    []v1alpha1.AudienceRule
	Completion               string // Manual, Automatic, or empty for Manual
}

func audienceOf(a *v1alpha1.Audience) Audience {
	if a == nil {
		return Audience{}
	}
	out := Audience{Rules: a.Rules, Completion: a.Completion}
	if a.Include != nil {
		out.Include, out.IncludeFrom = a.Include.Users, digestsOf(a.Include.From)
	}
	if a.Exclude != nil {
		out.Exclude, out.ExcludeFrom = a.Exclude.Users, digestsOf(a.Exclude.From)
	}
	return out
}

// restricted tells that not everybody may get the target.
func (p Plan) restricted() bool {
	return len(p.Audience.Rules) > 0 || len(p.Audience.Exclude)+len(p.Audience.ExcludeFrom) > 0 || p.Window != (Window{})
}

// facts are what is recorded of the audience, hashed with the seed.
func (a Audience) facts(seed string) v1alpha1.AudienceFacts {
	return v1alpha1.AudienceFacts{Seed: seed, Include: hashed(seed, a.Include), Exclude: hashed(seed, a.Exclude), Rules: a.Rules}
}

func hashed(seed string, keys []string) []string {
	if len(keys) == 0 {
		return nil
	}
	return document.HashKeys(seed, keys)
}

// followAudience takes over what the spec says of the audience and the window of
// the target that is under way, also while it is paused: a pause is about the share.
// While the gate is shut it takes over only what gives the target to nobody new.
func (d *decider) followAudience() {
	if d.st.Target == nil || d.st.Document == nil || d.plan.Trial && d.seen.Program == nil {
		return // who the testers are is not known without the program
	}
	c, facts := d.seen.Candidate, d.st.Document
	next, known := d.withLists(d.plan.Audience.facts(d.audienceSeed()))
	window := d.plan.Window.facts()
	open := known && c != nil && c.Variant.Digest == d.st.Target.Digest && d.gate(c) == nil
	if !open {
		next, window = narrowed(facts.Audience, next), facts.Window
	}
	d.setAudience(next)
	facts.Window = d.countInstalled(facts.Window, window, open)
}

// beginAudience records the audience and the window of a target that starts.
func (d *decider) beginAudience() {
	d.st.Document.Audience = nil
	next, _ := d.withLists(d.plan.Audience.facts(d.audienceSeed())) // known: the gate asks
	d.setAudience(next)
	d.st.Document.Window = d.plan.Window.facts()
}

func (d *decider) audienceSeed() string { return AudienceSeed(d.seen.AppID, d.st.Target.Digest) }

// narrowed is what is recorded, without whom next no longer names, and with whom it excludes.
func narrowed(was *v1alpha1.AudienceFacts, next v1alpha1.AudienceFacts) v1alpha1.AudienceFacts {
	if was == nil {
		was = &v1alpha1.AudienceFacts{}
	}
	out := v1alpha1.AudienceFacts{Seed: next.Seed, Rules: was.Rules, Exclude: was.Exclude}
	out.Include = both(was.Include, next.Include)
	if all := either(was.Exclude, next.Exclude); len(all) <= maxNamed {
		out.Exclude = all
	}
	narrowLists(&out, *was, next)
	return out
}

// setAudience records the next audience, and who lost the target by it.
func (d *decider) setAudience(next v1alpha1.AudienceFacts) {
	facts := d.st.Document
	if was := facts.Audience; was != nil {
		next.Had = either(was.Had, without(was.Include, next.Include))
		excluded := without(next.Exclude, was.Exclude)
		if d.st.PeakBasisPoints == 0 && !listed(was.Parts, v1alpha1.PartInclude, v1alpha1.PartHad) {
			excluded = both(excluded, was.Include)
		}
		next.Had = either(next.Had, excluded)
	} else if d.st.PeakBasisPoints > 0 {
		next.Had = next.Exclude
	}
	if len(next.Had) > maxNamed {
		next.Had = next.Had[:maxNamed+1]
	}
	next.Parts = d.keepParts(facts.Audience, next.Parts)
	facts.Audience = nil
	if len(next.Include)+len(next.Exclude)+len(next.Rules)+len(next.Had)+len(next.Parts) > 0 {
		facts.Audience = &next
	}
}

// awaitCompletion tells whether a target that has passed all its steps may become
// stable. One that not everybody may get goes to all of its audience, and waits there
// for a person: what the audience has is not yet meant for everybody.
func (d *decider) awaitCompletion() bool {
	completes := !d.plan.restricted() || d.plan.Audience.Completion == v1alpha1.CompletionAutomatic || d.st.Promotion == v1alpha1.PromotionFull
	switch {
	case (completes || d.st.BasisPoints < everyone) && !d.mayGrow():
		return false
	case completes:
		return true
	}
	d.setShare(everyone)
	d.say(Wait, ReasonAudienceServed, fmt.Sprintf("%s has gone to all whom spec.audience and spec.window admit: annotate miniprogram.dev/action=promote-full@%d to make it stable for everybody, or abort@%d",
		d.st.Target.Version, d.st.Attempt, d.st.Attempt))
	d.move.Waits = true
	return false
}

// hasAudience tells that everybody whom a restricted target may go to has it: then
// its place in any plan that goes less far is the end.
func (d *decider) hasAudience() bool {
	return d.plan.restricted() && d.st.BasisPoints == everyone
}

// either, both and without treat sorted lists as sets; an empty one is nil, as JSON gives it back.
func either(a, b []string) []string {
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	if len(all) == 0 {
		return nil
	}
	return slices.Compact(all)
}

func both(a, b []string) []string {
	return kept(a, func(s string) bool { _, in := slices.BinarySearch(b, s); return in })
}

func without(a, b []string) []string {
	return kept(a, func(s string) bool { _, in := slices.BinarySearch(b, s); return !in })
}

func kept(list []string, keep func(string) bool) []string {
	var out []string
	for _, s := range list {
		if keep(s) {
			out = append(out, s)
		}
	}
	return out
}
