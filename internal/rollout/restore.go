package rollout

import (
	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// restore brings a record up to what users have that is older than that, for it came
// back from a backup. The document says little, and what it says is kept: a target
// has the share that it had, since now, what was stable is stable, what was taken back stays
// out, and whoever has a target that the record does not know gets stable.
func (d *decider) restore() {
	out := d.seen.Out
	if out == nil || d.st.Sequence == 0 || out.Sequence <= d.st.Sequence || d.seen.Overtaken || d.plan.Deleting {
		return
	}
	d.restoreStable(out)
	const since = "it was taken back after the backup was made that this record comes from"
	switch t := d.st.Target; {
	case t == nil:
		if c := d.seen.Candidate; c != nil && d.st.Refused == nil && d.recalled(out, c.Variant.Digest) {
			d.st.Refused = &v1alpha1.Refused{VersionRef: c.Variant.VersionRef, Digest: c.Variant.Digest, Reason: since}
			d.st.Attempt = max(d.st.Attempt, 1) // there was one, and a retry has to name it
		}
	case is(out.Target, t):
		if out.Split.BasisPoints >= d.st.BasisPoints && d.st.Step != nil {
			d.goTo(d.st.Step.Index) // when the recorded step began is about a smaller share, or about what was not out by then
		}
		d.setShare(out.Split.BasisPoints)
		d.restoreAudience(out)
		return
	case is(out.Stable, t):
		stable := t.Version
		d.complete(v1alpha1.OutcomePromoted)
		d.say(TakeBack, "Restored", stable+" is stable for everybody, as it was before this record came back from a backup")
	default:
		d.abort(since)
	}
	if out.Target != nil {
		had := v1alpha1.Recall{By: out.Split.By, Seed: out.Split.Seed, BasisPoints: out.Split.BasisPoints, Digest: out.Target.Digest}
		if a := out.Audience; a != nil && len(a.Include.Hashes)+len(includes(partsOut(a))) > 0 {
			had.Audience = &v1alpha1.RecallAudience{Seed: a.Seed, Include: a.Include.Hashes, Parts: includes(partsOut(a))}
		}
		d.recall(had)
	}
}

// restoreStable takes up what became stable in an attempt that the record knows nothing
// of: everybody has it, and nobody is to get what was stable before it.
func (d *decider) restoreStable(out *document.Release) {
	known := d.seen.OutStable
	if known == nil || out.Stable == nil || known.Digest != out.Stable.Digest || d.st.Stable != nil && d.st.Stable.Digest == known.Digest {
		return
	}
	if t := d.st.Target; t != nil && is(out.Stable, t) {
		return // of this one the record knows nearly everything
	}
	if t := d.st.Target; t != nil && t.Digest == known.Digest {
		d.clearTarget() // it was begun anew, and completed
	}
	stable := known.DeepCopy()
	stable.Delivery = out.Stable.Delivery
	d.setStable(stable)
	if d.st.Refused != nil && d.st.Refused.Digest == stable.Digest {
		d.st.Refused = nil // somebody has tried it again
	}
	d.say(TakeBack, "Restored", stable.Version+" is stable for everybody, as it was before this record came back from a backup")
}

// restoreAudience keeps the share that is out to whom it is out: the record may be of
// a time without the rules of now, and while the gate is shut the spec's do not count.
func (d *decider) restoreAudience(out *document.Release) {
	facts := d.st.Document
	if facts == nil {
		return
	}
	next := v1alpha1.AudienceFacts{Seed: d.audienceSeed()}
	if a := out.Audience; a != nil {
		next.Seed, next.Include, next.Exclude = a.Seed, a.Include.Hashes, a.Exclude.Hashes
		next.Parts = partsOut(a)
		for _, r := range a.Rules {
			next.Rules = append(next.Rules, v1alpha1.AudienceRule{Attribute: r.Attribute, Operator: string(r.Operator), Values: r.Values})
		}
	}
	d.setAudience(next)
	facts.Window = nil
	if w := out.Window; w != nil {
		facts.Window = Window{Start: w.Start.Time, End: w.End.Time}.facts()
		if n := d.plan.Window.Users; n > 0 && !w.End.IsZero() && !w.End.Equal(d.plan.Window.End) {
			end := metav1.NewTime(w.End.Time)
			facts.Window.Installed, facts.Window.Closed = n, &end // there were enough of them
		}
	}
}

// partsOut are the parts that a document names.
func partsOut(a *document.Audience) []v1alpha1.AudiencePart {
	var parts []v1alpha1.AudiencePart
	for _, p := range a.Parts {
		parts = append(parts, v1alpha1.AudiencePart{List: p.List, Digest: p.Digest, Keys: p.Keys})
	}
	return parts
}

// outNumbers keeps delivery numbers above those that are out, whatever the record and
// the ledger remember of them.
func (d *decider) outNumbers() {
	out := d.seen.Out
	if out == nil || out.Sequence <= d.st.Sequence {
		return
	}
	for _, v := range []*document.Variant{out.Stable, out.Target} {
		if v != nil {
			d.seen.LastDelivery = max(d.seen.LastDelivery, v.Delivery)
		}
	}
	for _, r := range out.Recalls {
		d.seen.LastDelivery = max(d.seen.LastDelivery, r.Delivery)
	}
}

// is tells that a variant of the document is the recorded one, in the same attempt.
func is(v *document.Variant, recorded *v1alpha1.Variant) bool {
	return v != nil && v.Digest == recorded.Digest && v.Delivery == recorded.Delivery
}

// recalled tells that the document recalls a digest which the record knows nothing of.
func (d *decider) recalled(out *document.Release, digest string) bool {
	for _, r := range d.st.Recalls {
		if r.Digest == digest {
			return false
		}
	}
	for _, r := range out.Recalls {
		if r.Digest == digest && (out.Target == nil || out.Target.Digest != digest) && (out.Stable == nil || out.Stable.Digest != digest) {
			return true
		}
	}
	return false
}
