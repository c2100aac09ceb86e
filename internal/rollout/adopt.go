package rollout

import (
	"slices"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// adopt starts from what the ledger remembers, so that nobody loses what is
// installed: a rollout that has recorded nothing, and one that others have
// overtaken, whose record tells of versions that users no longer have. Of the
// latter what people said stays: the attempts, the last action, and what was refused.
func (d *decider) adopt() {
	blank := d.st.Sequence == 0 && d.st.Attempt == 0 && d.st.Stable == nil
	if !d.seen.Overtaken && (!blank || d.plan.Deleting) {
		return
	}
	if d.seen.Overtaken {
		d.clearTarget()
		d.st.Stable, d.st.Rollbacks, d.st.Recalls, d.st.Outcome = nil, nil, nil, ""
	}
	if d.seen.Adopt == nil {
		return
	}
	d.st.Stable = d.seen.Adopt.DeepCopy()
	if doc := d.st.Document; doc != nil && (!d.plan.Deleting || d.lastAvailability() != delivery.Removed) {
		// It is approved where others have served it. Only what takes it from devices goes further.
		doc.HostApps = slices.DeleteFunc(doc.HostApps, func(h string) bool { return !slices.Contains(d.seen.StableHostApps, h) })
	}
	if d.seen.LastDelivery > d.st.Stable.Delivery {
		// Somebody has a target that was under way: containers that only go forward need a higher number.
		d.st.Stable.Delivery = d.nextDelivery()
	}
}
