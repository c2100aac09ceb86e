// Package decide applies a published document to one user: who gets what, why,
// and what a host app has to do about it.
//
// The order is part of the format, and the same in every language:
//
//  1. blocked, suspended, withdrawn or removed: nothing
//  2. no target: stable
//  3. excluded: stable
//  4. included: target
//  5. a rule that does not hold, a closed window, no key: stable
//  6. the user's bucket below the share: target, else stable
//  7. a target that does not fit the host app: stable; a stable that does not
//     fit: the newest fallback that does, else nothing. Never target
//
// sdk/vectors/decide-v1.json has cases that every evaluator must pass.
package decide

import (
	"errors"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// ErrServiceDecides is returned for a document that needs lists which only the
// manifest service holds, when the request does not come with them.
var ErrServiceDecides = errors.New("the document alone does not decide: ask the manifest service to resolve it")

// Request is what is known about the user, the device and the host app.
type Request struct {
	// User and Device are the keys that a split hashes. User is also the key that
	// include and exclude lists hold. Empty: not known.
	User, Device string
	// Attributes are what rules, and splits by an attribute, look at.
	Attributes map[string]string
	// InstalledDigest is the variant that is installed; empty: none.
	InstalledDigest string
	// InstalledVersionCode is its version code where it is known; 0: not known.
	InstalledVersionCode int64
	// Platform, HostVersion and ContainerVersion are what compatibility is about.
	// Where one is empty, the attribute platform, hostAppVersion or
	// containerVersion stands in, and where such an attribute is lacking a rule
	// sees the field.
	Platform, HostVersion, ContainerVersion string
	// Blocked says that the host app blocks this program. It does not come from a
	// signed document, so nothing is handed out and nothing is removed.
	Blocked bool
	// InPart says whether a hashed user key is in a part of an audience, also in one that
	// a recall has. Only the manifest service has it; nil: ErrServiceDecides where the
	// document asks for it.
	InPart func(part document.Part, hash document.KeyHash) bool
	// Now is the time at which windows are looked at. At the zero time every
	// window is closed.
	Now time.Time
}

// Action is what the host app has to do.
type Action string

// The actions.
const (
	ActionNone     Action = "none"     // keep what is there, or that nothing is
	ActionInstall  Action = "install"  // nothing is installed, Variant is due
	ActionUpdate   Action = "update"   // something else is installed, Variant is due
	ActionRollback Action = "rollback" // something newer is installed, Variant is due
	ActionRemove   Action = "remove"   // what is installed must go
)

// Cohort is which of the document's variants a user gets.
type Cohort string

// The cohorts. A fallback counts as stable.
const (
	CohortNone   Cohort = "none"
	CohortStable Cohort = "stable"
	CohortTarget Cohort = "target"
)

// The reasons for a decision, which are stable: metrics and tests compare them.
const (
	// Nothing is handed out, and all but the first remove what is installed.
	ReasonHostBlocked = "HostBlocked" // Request.Blocked
	ReasonBlocked     = "Blocked"
	ReasonSuspended   = "Suspended"
	ReasonWithdrawn   = "Withdrawn"
	ReasonRemoved     = "Removed"

	// Stable, or nothing where there is no stable.
	ReasonRetained       = "Retained" // the rollout is over, what was stable stays
	ReasonNoTarget       = "NoTarget" // nothing is being rolled out
	ReasonExcluded       = "Excluded"
	ReasonRuleNotMatched = "RuleNotMatched"
	ReasonWindowClosed   = "WindowClosed"
	ReasonNoKey          = "NoKey" // the request lacks what the split hashes
	ReasonOutsideShare   = "OutsideShare"

	// Target.
	ReasonIncluded = "Included"
	ReasonBucketed = "Bucketed"

	// Compatibility changed it.
	ReasonTargetIncompatible = "TargetIncompatible" // stable instead
	ReasonFallback           = "Fallback"           // an older variant instead of stable
	ReasonIncompatible       = "Incompatible"       // nothing fits this host app

	// There is no stable, and the user had a target that was taken back.
	ReasonRecalled = "Recalled"
)

// Decision is what a user gets.
type Decision struct {
	Action Action
	// Variant is what is due, also when it is installed already; nil: nothing. It
	// points into the document.
	Variant *document.Variant
	Cohort  Cohort
	// Reason is one of the constants.
	Reason string
	// Bucket is the user's, from 0 to 9999, or -1 when it did not come to that.
	Bucket int
	// Delivery is the number for containers that only go forward: the variant's,
	// or the recall's for who had a target that was taken back. 0 without variant.
	Delivery int64
}

// Decide applies a document, which must be valid, to a request. It is a function
// of its arguments alone and does not keep or change them.
//
// The only error is ErrServiceDecides.
func Decide(doc *document.Release, req Request) (Decision, error) {
	return decide(doc, &req, nil)
}

// decide tells the trace what it asks, where there is one.
func decide(doc *document.Release, req *Request, t *trace) (Decision, error) {
	if reason := refused(doc, req, t); reason != "" {
		action := ActionNone
		if reason != ReasonHostBlocked && req.InstalledDigest != "" {
			action = ActionRemove
		}
		return Decision{Action: action, Cohort: CohortNone, Reason: reason, Bucket: -1}, nil
	}
	if doc.Decide == document.DecideService && req.InPart == nil {
		return Decision{}, ErrServiceDecides
	}
	d := place(doc, req, t)
	d.fit(doc, req, t)
	d.act(doc, req, t)
	return d, nil
}

// refused says why nobody gets anything; empty when somebody may.
func refused(doc *document.Release, req *Request, t *trace) string {
	reason := unavailable(doc)
	switch {
	case t.asks(RuleAvailability, reason != ""):
		return reason
	case t.asks(RuleHostBlock, req.Blocked):
		return ReasonHostBlocked
	}
	return ""
}

// unavailable says why the document hands nothing to anybody; empty when it does.
func unavailable(doc *document.Release) string {
	switch doc.Availability {
	case document.Blocked:
		return ReasonBlocked
	case document.Suspended:
		return ReasonSuspended
	case document.Withdrawn:
		return ReasonWithdrawn
	case document.Removed:
		if doc.Tombstone != nil && doc.Tombstone.Installed == document.Remove {
			return ReasonRemoved
		}
	case document.Listed, document.Hidden:
	}
	return ""
}

// place says which cohort the user is in, whatever the host app can run.
func place(doc *document.Release, req *Request, t *trace) Decision {
	stable := func(reason string) Decision {
		return Decision{Cohort: CohortStable, Reason: reason, Bucket: -1}
	}
	audience := doc.Audience
	switch {
	case t.asks(RuleRetained, doc.Availability == document.Removed):
		return stable(ReasonRetained)
	case t.asks(RuleTarget, doc.Target == nil || doc.Split == nil):
		return stable(ReasonNoTarget)
	case t.asks(RuleExclude, listed(audience, document.PartExclude, req)):
		return stable(ReasonExcluded)
	case t.asks(RuleInclude, listed(audience, document.PartInclude, req)):
		return Decision{Cohort: CohortTarget, Reason: ReasonIncluded, Bucket: -1}
	case audience != nil && !allHold(audience.Rules, req, t):
		return stable(ReasonRuleNotMatched)
	case t.asks(RuleWindow, !open(doc.Window, req.Now)):
		return stable(ReasonWindowClosed)
	}
	key := req.key(doc.Split.By)
	if t.asks(RuleKey, key == "") {
		return stable(ReasonNoKey)
	}
	b := bucket.Of(doc.Split.Seed, key)
	t.draws(b)
	if b < int(doc.Split.BasisPoints) {
		return Decision{Cohort: CohortTarget, Reason: ReasonBucketed, Bucket: b}
	}
	return Decision{Cohort: CohortStable, Reason: ReasonOutsideShare, Bucket: b}
}

// fit chooses the variant of the cohort that the host app can run.
func (d *Decision) fit(doc *document.Release, req *Request, t *trace) {
	if d.Cohort == CohortTarget {
		if t.fits(RuleTargetFits, doc.Target, fits(doc.Target, req)) {
			d.Variant, d.Delivery = doc.Target, doc.Target.Delivery
			return
		}
		d.Cohort, d.Reason = CohortStable, ReasonTargetIncompatible
	}
	switch {
	case t.asks(RuleStable, doc.Stable == nil):
		d.Cohort = CohortNone
		if d.Reason == ReasonTargetIncompatible {
			d.Reason = ReasonIncompatible
		}
		return
	case t.fits(RuleStableFits, doc.Stable, fits(doc.Stable, req)):
		d.Variant, d.Delivery = doc.Stable, doc.Stable.Delivery
		return
	}
	fallback := newestFitting(doc.Fallbacks, req, t)
	if fallback == nil {
		d.Cohort, d.Reason = CohortNone, ReasonIncompatible
		return
	}
	d.Reason = ReasonFallback
	d.Variant, d.Delivery = fallback, fallback.Delivery
}

// act compares what is due with what is installed, and hears the recalls.
func (d *Decision) act(doc *document.Release, req *Request, t *trace) {
	recall := recalled(doc.Recalls, req)
	if d.Variant != nil && d.Variant == doc.Stable {
		d.Delivery = max(d.Delivery, recall.delivery)
	}
	t.hears(doc, &recall)
	switch {
	case d.Variant == nil && doc.Stable == nil && recall.installed:
		d.Action, d.Reason = ActionRemove, ReasonRecalled
	case d.Variant == nil || d.Variant.Digest == req.InstalledDigest:
		d.Action = ActionNone
	case req.InstalledDigest == "":
		d.Action = ActionInstall
	case d.Cohort == CohortStable && (recall.named || newerThan(d.Variant, doc, req)):
		d.Action = ActionRollback
	default:
		d.Action = ActionUpdate
	}
	t.acts(d)
}

// newerThan reports whether what is installed is known to be newer than v.
func newerThan(v *document.Variant, doc *document.Release, req *Request) bool {
	if installed := doc.Variant(req.InstalledDigest); installed != nil {
		return installed.VersionCode > v.VersionCode
	}
	return req.InstalledVersionCode > v.VersionCode
}
