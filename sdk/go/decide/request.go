package decide

import (
	"slices"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/internal/version"
)

// The attributes that stand in for fields of a request, and the other way round.
const (
	attributePlatform         = "platform"
	attributeHostVersion      = "hostAppVersion"
	attributeContainerVersion = "containerVersion"
)

// field returns what compatibility compares: the field, else the attribute.
func (r *Request) field(value, attribute string) string {
	if value != "" {
		return value
	}
	return r.Attributes[attribute]
}

// attribute returns what rules compare: the attribute, else the field.
func (r *Request) attribute(name string) string {
	if value := r.Attributes[name]; value != "" {
		return value
	}
	switch name {
	case attributePlatform:
		return r.Platform
	case attributeHostVersion:
		return r.HostVersion
	case attributeContainerVersion:
		return r.ContainerVersion
	default:
		return ""
	}
}

// key returns what a split hashes with its seed.
func (r *Request) key(by string) string {
	switch by {
	case document.ByUser:
		return r.User
	case document.ByDevice:
		return r.Device
	default:
		return r.attribute(by)
	}
}

// listed reports whether the user is in an audience's include or exclude list,
// or in a part that continues it. Nobody without a user key is.
func listed(a *document.Audience, list string, req *Request) bool {
	if a == nil || req.User == "" {
		return false
	}
	set := a.Include
	if list == document.PartExclude {
		set = a.Exclude
	}
	if set.Has(a.Seed, req.User) {
		return true
	}
	if req.InPart == nil || len(a.Parts) == 0 {
		return false
	}
	hash := document.SumKey(a.Seed, req.User)
	return slices.ContainsFunc(a.Parts, func(part document.Part) bool {
		return part.List == list && req.InPart(part, hash)
	})
}

func allHold(rules []document.Rule, req *Request, t *trace) bool {
	for i, rule := range rules {
		if t.holds(i, !holds(rule, req.attribute(rule.Attribute))) {
			return false
		}
	}
	return true
}

// holds applies a rule to an attribute's value. A lacking value fulfils none,
// and neither does an operator that is not known.
func holds(rule document.Rule, value string) bool {
	if value == "" || len(rule.Values) == 0 {
		return false
	}
	first, last := rule.Values[0], rule.Values[len(rule.Values)-1]
	switch rule.Operator {
	case document.In:
		return slices.Contains(rule.Values, value)
	case document.NotIn:
		return !slices.Contains(rule.Values, value)
	case document.StartsWith:
		return slices.ContainsFunc(rule.Values, func(prefix string) bool { return strings.HasPrefix(value, prefix) })
	case document.AtLeast:
		return atLeast(value, first)
	case document.AtMost:
		return atLeast(first, value)
	case document.Between:
		return atLeast(value, first) && atLeast(last, value)
	default:
		return false
	}
}

// atLeast compares versions; what is no version is not at least anything.
func atLeast(a, b string) bool {
	order, ok := version.Compare(a, b)
	return ok && order >= 0
}

func open(w *document.Window, now time.Time) bool {
	if w == nil {
		return true
	}
	return !now.IsZero() && !now.Before(w.Start.Time) && (w.End.IsZero() || now.Before(w.End.Time))
}

// fits reports whether the host app can run a variant. What the request does
// not say meets no bound.
func fits(v *document.Variant, req *Request) bool {
	c := &v.Compatibility
	container := req.field(req.ContainerVersion, attributeContainerVersion)
	if c.MinContainerVersion != "" && !atLeast(container, c.MinContainerVersion) {
		return false
	}
	if len(c.Platforms) == 0 {
		return true
	}
	platform := req.field(req.Platform, attributePlatform)
	host := req.field(req.HostVersion, attributeHostVersion)
	return slices.ContainsFunc(c.Platforms, func(p document.Platform) bool {
		return p.OS == platform &&
			(p.MinHostVersion == "" || atLeast(host, p.MinHostVersion)) &&
			(p.MaxHostVersion == "" || atLeast(p.MaxHostVersion, host))
	})
}

// newestFitting returns the fallback with the highest version code that fits,
// the first of several, or nil.
func newestFitting(fallbacks []document.Variant, req *Request, t *trace) *document.Variant {
	var newest *document.Variant
	for i := range fallbacks {
		v := &fallbacks[i]
		if fits(v, req) && (newest == nil || v.VersionCode > newest.VersionCode) {
			newest = v
		}
	}
	t.fallsBack(newest)
	return newest
}

// recallState is what the recalls say about one request.
type recallState struct {
	// delivery is the highest number among the recalls that the user is in.
	delivery int64
	// named: a recall names what is installed.
	named bool
	// installed: what is installed was taken back, as far as can be known.
	installed bool
}

func recalled(recalls []document.Recall, req *Request) recallState {
	var state recallState
	for i := range recalls {
		r := &recalls[i]
		named := r.Digest != "" && r.Digest == req.InstalledDigest
		member := named || hadTarget(r, req)
		if !member {
			continue
		}
		state.delivery = max(state.delivery, r.Delivery)
		state.named = state.named || named
		// A recall that names its variant does not take away another one.
		if named || r.Digest == "" && req.InstalledDigest != "" {
			state.installed = true
		}
	}
	return state
}

// hadTarget reports whether the user could have had the target of a recall. Its
// rules are not looked at: an attribute may have changed since.
func hadTarget(r *document.Recall, req *Request) bool {
	if listed(r.Audience, document.PartExclude, req) {
		return false
	}
	if listed(r.Audience, document.PartInclude, req) {
		return true
	}
	key := req.key(r.By)
	return key != "" && bucket.Of(r.Seed, key) < int(r.BasisPoints)
}
