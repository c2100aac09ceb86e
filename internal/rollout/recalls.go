package rollout

import (
	"slices"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
)

// Bounds on what is remembered: so many recalls, and so many hashes of keys in all of
// them together.
const (
	maxRecalls  = 20
	maxRecalled = 2000
)

// recallTarget remembers who had the target: by the share, and by name. A rule that
// did not hold is forgotten, for attributes change.
func (d *decider) recallTarget() {
	facts := d.st.Document
	r := v1alpha1.Recall{By: facts.By, Seed: facts.Seed, BasisPoints: d.st.PeakBasisPoints, Digest: d.st.Target.Digest}
	if a := facts.Audience; a != nil {
		include, exclude := either(without(a.Include, a.Exclude), a.Had), without(a.Exclude, a.Had)
		if parts := recalledParts(a.Parts); len(include)+len(exclude)+len(parts) > 0 {
			r.Audience = &v1alpha1.RecallAudience{Seed: a.Seed, Include: include, Exclude: exclude, Parts: parts}
		}
	}
	if r.BasisPoints > 0 || r.Audience != nil && (len(r.Audience.Include) > 0 || listed(r.Audience.Parts, v1alpha1.PartInclude)) {
		d.recall(r)
	}
}

// tooManyRecalls tells that the recalls cannot be told apart any longer: they are too
// many, or name too many users.
func tooManyRecalls(recalls []v1alpha1.Recall) bool {
	hashes, parts := 0, 0
	for _, r := range recalls {
		if a := r.Audience; a != nil {
			hashes += len(a.Include) + len(a.Exclude)
			parts += len(a.Parts)
			if len(a.Include) > maxNamed {
				return true
			}
		}
	}
	return len(recalls) > maxRecalls || hashes > maxRecalled || parts > maxRecalledParts
}

// recall remembers who has to get stable under a new number. When there are too
// many to remember, everybody does.
func (d *decider) recall(r v1alpha1.Recall) {
	r.Delivery = d.nextDelivery()
	d.st.Recalls = append(d.st.Recalls, r)
	if tooManyRecalls(d.st.Recalls) || d.namesLost(r) {
		d.renumber()
	}
}

// renumber hands everybody stable under a new number, in place of those whom the recalls
// cannot tell apart any longer.
func (d *decider) renumber() {
	if d.st.Stable != nil {
		d.st.Stable.Delivery = d.nextDelivery()
		d.st.Recalls = nil
		return
	}
	// Without stable a recall only removes, and only the digest that it names.
	last := len(d.st.Recalls) - 1
	for i := range d.st.Recalls {
		if r := &d.st.Recalls[i]; i == last || d.namesLost(*r) {
			r.BasisPoints, r.Audience = everyone, nil
		}
	}
	if len(d.st.Recalls) > maxRecalls {
		d.st.Recalls = d.st.Recalls[1:]
	}
}

// pruneRecalls drops recalls that stable's own number has passed.
func (d *decider) pruneRecalls() {
	if d.st.Stable == nil {
		return
	}
	d.st.Recalls = slices.DeleteFunc(d.st.Recalls, func(r v1alpha1.Recall) bool {
		return r.Delivery < d.st.Stable.Delivery
	})
}
