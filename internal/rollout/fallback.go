package rollout

import (
	"slices"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// chooseFallbacks records the newest versions of the rollback history that host apps
// get that are too old for stable: those that are approved wherever the document goes.
// Where stable runs everywhere nobody needs one.
func (d *decider) chooseFallbacks(facts *v1alpha1.DocumentFacts) {
	before := facts.Fallbacks
	facts.Fallbacks = nil
	if d.st.Stable == nil || !Selective(d.st.Stable) {
		return
	}
	for i := len(d.st.Rollbacks) - 1; i >= 0 && len(facts.Fallbacks) < document.MaxFallbacks; i-- {
		digest := d.st.Rollbacks[i].Digest
		if d.mayFallBack(digest, facts.HostApps, slices.Contains(before, digest)) {
			facts.Fallbacks = append(facts.Fallbacks, digest)
		}
	}
}

// fitFallbacks drops the oldest while the document is too large with them: who is too old
// for stable must not keep it from everybody else.
func (d *decider) fitFallbacks(facts *v1alpha1.DocumentFacts) {
	for n := len(facts.Fallbacks); n > 0 && len(body(&d.st)) > document.MaxSize; n = len(facts.Fallbacks) {
		facts.Fallbacks = facts.Fallbacks[:n-1]
	}
}

// mayFallBack tells that a version may be handed to all the host apps. What is not
// known stays as it was.
func (d *decider) mayFallBack(digest string, hostApps []string, before bool) bool {
	if _, blocked := d.seen.Blocked[digest]; blocked {
		return false
	}
	approved, known := d.seen.FallbackHostApps[digest]
	if !known {
		return before
	}
	return !slices.ContainsFunc(hostApps, func(h string) bool { return !slices.Contains(approved, h) })
}

// Selective tells that a version does not run in every host app.
func Selective(v *v1alpha1.Variant) bool {
	c := v.Compatibility
	return c != nil && (c.MinContainerVersion != "" || len(c.Platforms) > 0)
}
