package document

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/internal/version"
)

// Bounds of a document's numbers and lists.
const (
	// MaxNumber is the largest number that every JSON reader keeps exactly.
	MaxNumber      = 1<<53 - 1
	MaxPollSeconds = 7 * 24 * 60 * 60
	MaxRecalls     = 20
	MaxFallbacks   = 5
	MaxParts       = 32 // 16 that include and 16 that exclude
)

// Validate checks every field that a host app acts upon. Its error is a
// *FieldError about the first one that is wrong.
func (r *Release) Validate() error {
	c := new(checker)
	c.identity(r)
	c.availability(r)
	c.variants(r)
	c.split(r)
	c.audience("/audience", r.Audience, r.Decide)
	if w := r.Window; w != nil && !w.Start.IsZero() && !w.End.IsZero() {
		c.that(w.End.After(w.Start.Time), "/window/end", "must be after the start")
	}
	c.recalls(r)
	if c.err != nil {
		return c.err
	}
	return nil
}

// checker keeps the first error, so that a check reads as a list of sentences.
type checker struct{ err *FieldError }

func (c *checker) that(ok bool, pointer, problem string) {
	if c.err == nil && !ok {
		c.err = &FieldError{Pointer: pointer, Problem: problem}
	}
}

func (c *checker) digest(pointer, digest string) {
	c.that(IsDigest(digest), pointer, "must be sha256: and 64 lower-case hexadecimal digits")
}

func (c *checker) number(pointer string, n, least int64) {
	if n < least || n > MaxNumber {
		c.that(false, pointer, fmt.Sprintf("must be from %d to 2^53-1", least))
	}
}

func (c *checker) version(pointer, text string) {
	c.that(version.Valid(text), pointer, "must be a version: numbers separated by dots")
}

func (c *checker) identity(r *Release) {
	switch r.Type {
	case TypeRelease:
		c.that(r.Channel == ChannelRelease, "/channel", `must be "release" in a document of type `+r.Type)
	case TypeTrial:
		c.that(r.Channel == ChannelTrial, "/channel", `must be "trial" in a document of type `+r.Type)
	default:
		c.that(false, "/type", fmt.Sprintf("must be %q or %q", TypeRelease, TypeTrial))
	}
	c.that(IsAppID(r.AppID), "/appID", "must match [A-Za-z0-9][A-Za-z0-9._-]{2,63}")
	c.that(len(r.HostApps) > 0 || r.Availability == Removed, "/hostApps", "must name at least one host app")
	for i, name := range r.HostApps {
		at := "/hostApps/" + strconv.Itoa(i)
		c.that(name != "", at, "must not be empty")
		c.that(!slices.Contains(r.HostApps[:i], name), at, "stands there twice")
	}
	c.that(r.Rollout.Namespace != "", "/rollout/namespace", "must not be empty")
	c.that(r.Rollout.Name != "", "/rollout/name", "must not be empty")
	c.number("/sequence", r.Sequence, 1)
	c.that(!r.IssuedAt.IsZero(), "/issuedAt", "must be a time like 2006-01-02T15:04:05Z")
	c.that(r.ExpiresAt.After(r.IssuedAt.Time), "/expiresAt", "must be after issuedAt")
	c.that(r.PollSeconds > 0 && r.PollSeconds <= MaxPollSeconds, "/pollSeconds", fmt.Sprintf("must be from 1 to %d", MaxPollSeconds))
	if r.MinimumVersion != "" {
		c.version("/minimumVersion", r.MinimumVersion)
	}
}

func (c *checker) availability(r *Release) {
	switch r.Availability {
	case Listed, Hidden, Suspended, Withdrawn, Blocked:
		c.that(r.Tombstone == nil, "/tombstone", "is only for availability Removed")
	case Removed:
		c.tombstone(r)
	default:
		c.that(false, "/availability", "must be Listed, Hidden, Suspended, Withdrawn, Blocked or Removed")
	}
	switch r.Decide {
	case DecideHost, DecideService:
	default:
		c.that(false, "/decide", "must be Host or Service")
	}
}

func (c *checker) tombstone(r *Release) {
	if r.Tombstone == nil {
		c.that(false, "/tombstone", "must say what becomes of what is installed")
		return
	}
	c.that(r.Target == nil, "/target", "must be absent in a tombstone")
	switch r.Tombstone.Installed {
	case Retain:
	case Remove:
		c.that(r.Stable == nil, "/stable", "must be absent in a tombstone that removes")
	default:
		c.that(false, "/tombstone/installed", "must be Retain or Remove")
	}
}

func (c *checker) variants(r *Release) {
	c.variant("/stable", r.Stable)
	c.variant("/target", r.Target)
	c.that(len(r.Fallbacks) == 0 || r.Stable != nil, "/fallbacks", "must be empty without stable")
	c.that(len(r.Fallbacks) <= MaxFallbacks, "/fallbacks", fmt.Sprintf("must have at most %d entries", MaxFallbacks))
	for i := range r.Fallbacks {
		c.variant("/fallbacks/"+strconv.Itoa(i), &r.Fallbacks[i])
	}
	for i, digest := range r.AlsoServed {
		c.digest("/alsoServed/"+strconv.Itoa(i), digest)
	}
	if r.Listing != nil && r.Listing.Icon != nil {
		c.blob("/listing/icon", *r.Listing.Icon)
	}
}

func (c *checker) variant(at string, v *Variant) {
	if v == nil {
		return
	}
	c.number(at+"/delivery", v.Delivery, 1)
	c.version(at+"/version", v.Version)
	c.number(at+"/versionCode", v.VersionCode, 0)
	c.digest(at+"/digest", v.Digest)
	c.digest(at+"/contentDigest", v.ContentDigest)
	c.blob(at+"/archive", v.Archive)
	c.blob(at+"/content", v.Content)
	at += "/compatibility"
	if v.Compatibility.MinContainerVersion != "" {
		c.version(at+"/minContainerVersion", v.Compatibility.MinContainerVersion)
	}
	for i, p := range v.Compatibility.Platforms {
		platform := at + "/platforms/" + strconv.Itoa(i)
		c.that(p.OS != "", platform+"/os", "must not be empty")
		if p.MinHostVersion != "" {
			c.version(platform+"/minHostVersion", p.MinHostVersion)
		}
		if p.MaxHostVersion != "" {
			c.version(platform+"/maxHostVersion", p.MaxHostVersion)
		}
	}
}

func (c *checker) blob(at string, b Blob) {
	c.digest(at+"/digest", b.Digest)
	c.number(at+"/size", b.Size, 0)
}

func (c *checker) split(r *Release) {
	s := r.Split
	if s == nil {
		c.that(r.Target == nil, "/split", "must say who gets the target")
		return
	}
	c.that(r.Target != nil, "/target", "must be there to be split")
	c.that(s.Algorithm == bucket.Algorithm, "/split/algorithm", "must be "+bucket.Algorithm)
	c.share("/split", s.By, s.BasisPoints)
}

func (c *checker) share(at, by string, basisPoints int32) {
	c.that(by != "", at+"/by", "must be user, device or an attribute")
	c.that(basisPoints >= 0 && basisPoints <= bucket.Count, at+"/basisPoints", "must be from 0 to 10000")
}

func (c *checker) recalls(r *Release) {
	c.that(len(r.Recalls) <= MaxRecalls, "/recalls", fmt.Sprintf("must have at most %d entries", MaxRecalls))
	for i := range r.Recalls {
		recall, at := &r.Recalls[i], "/recalls/"+strconv.Itoa(i)
		c.share(at, recall.By, recall.BasisPoints)
		c.number(at+"/delivery", recall.Delivery, 1)
		if recall.Digest != "" {
			c.digest(at+"/digest", recall.Digest)
		}
		c.audience(at+"/audience", recall.Audience, r.Decide)
	}
}

func (c *checker) audience(at string, a *Audience, decide Decider) {
	if a == nil {
		return
	}
	c.keys(at+"/include/hashes", a.Include.Hashes)
	c.keys(at+"/exclude/hashes", a.Exclude.Hashes)
	for i, rule := range a.Rules {
		c.rule(at+"/rules/"+strconv.Itoa(i), rule)
	}
	c.that(len(a.Parts) <= MaxParts, at+"/parts", fmt.Sprintf("must have at most %d entries", MaxParts))
	c.that(len(a.Parts) == 0 || decide == DecideService, "/decide", "must be Service when an audience has parts")
	for i, part := range a.Parts {
		at := at + "/parts/" + strconv.Itoa(i)
		c.that(part.List == PartInclude || part.List == PartExclude, at+"/list", "must be Include or Exclude")
		c.digest(at+"/digest", part.Digest)
		c.that(part.Keys >= 0, at+"/keys", "must not be negative")
	}
}

// keys insists on the order, for a list out of order silently loses members in
// a binary search.
func (c *checker) keys(at string, hashes []string) {
	c.that(len(hashes) <= MaxHashes, at, fmt.Sprintf("must have at most %d entries", MaxHashes))
	for i, hash := range hashes {
		if len(hash) != HashLength || !only(hash, base64url) {
			c.that(false, at+"/"+strconv.Itoa(i), "must be 16 bytes in base64url without padding")
		}
		if i > 0 && hashes[i-1] >= hash {
			c.that(false, at+"/"+strconv.Itoa(i), "must come after the one before: sorted, each once")
		}
	}
}

func (c *checker) rule(at string, rule Rule) {
	c.that(rule.Attribute != "", at+"/attribute", "must not be empty")
	want := 1
	switch rule.Operator {
	case In, NotIn, StartsWith:
		c.that(len(rule.Values) > 0, at+"/values", "must not be empty")
		return
	case AtLeast, AtMost:
	case Between:
		want = 2
	default:
		c.that(false, at+"/operator", "must be In, NotIn, StartsWith, AtLeast, AtMost or Between")
	}
	c.that(len(rule.Values) == want, at+"/values", fmt.Sprintf("must have %d for operator %s", want, rule.Operator))
	for i, value := range rule.Values {
		c.version(at+"/values/"+strconv.Itoa(i), value)
	}
}

const (
	lowerHex     = "0123456789abcdef"
	alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base64url    = alphanumeric + "-_"
)

// IsDigest reports whether text is sha256: and 64 lower-case hexadecimal digits.
func IsDigest(text string) bool {
	hex, ok := strings.CutPrefix(text, "sha256:")
	return ok && len(hex) == 64 && only(hex, lowerHex)
}

// IsAppID reports whether text matches [A-Za-z0-9][A-Za-z0-9._-]{2,63}.
func IsAppID(text string) bool {
	return len(text) >= 3 && len(text) <= 64 &&
		only(text[:1], alphanumeric) && only(text[1:], alphanumeric+"._-")
}

func only(text, allowed string) bool {
	for i := range len(text) {
		if strings.IndexByte(allowed, text[i]) < 0 {
			return false
		}
	}
	return true
}
