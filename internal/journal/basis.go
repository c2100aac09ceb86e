package journal

import (
	"encoding/json"
	"slices"
	"time"
)

// Basis is what a document rests on: who said what about the versions in it.
type Basis struct {
	// Reason and Message say why the document was decided; empty: that is not known.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Action is the last that somebody asked for before it, if anybody did.
	Action *Action `json:"action,omitempty"`
	// Generation of the Rollout's spec, and its UID.
	Generation int64  `json:"generation,omitempty"`
	UID        string `json:"uid,omitempty"`
	// Versions that the document hands out.
	Versions []Version `json:"versions,omitempty"`
}

// Action is what a person asked for.
type Action struct {
	Value string `json:"value"`
	// User is who asked, as admission stamped it; empty: nobody was named.
	User   string    `json:"user,omitempty"`
	Result string    `json:"result"`
	Time   time.Time `json:"time"`
}

// Version is a MiniProgramVersion with what was said about it.
type Version struct {
	Digest string `json:"digest"`
	// Name, UID and Created are those of the object.
	Name    string    `json:"name"`
	UID     string    `json:"uid,omitempty"`
	Version string    `json:"version"`
	Created time.Time `json:"created"`
	// Author of the version, and how sure that is.
	Author   string `json:"author,omitempty"`
	Standing string `json:"standing,omitempty"`
	// HostApps that it was packaged for.
	HostApps []string `json:"hostApps,omitempty"`
	// Policies that covered it when it was judged.
	Policies []Policy `json:"policies,omitempty"`
	// Decisions about the digest.
	Decisions []Decision `json:"decisions,omitempty"`
}

// Policy is a ReviewPolicy as it was then.
type Policy struct {
	Name        string `json:"name"`
	Generation  int64  `json:"generation"`
	SHA256      string `json:"sha256"`
	Enforcement string `json:"enforcement"`
}

// Decision is a Review that was decided.
type Decision struct {
	// Review, UID and ResourceVersion are those of the object.
	Review          string `json:"review"`
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
	Digest          string `json:"digest"`
	Role            string `json:"role"`
	HostApp         string `json:"hostApp,omitempty"`
	// Rollout whose step it is about, with Attempt and Step; empty: it is about the version.
	Rollout    string `json:"rollout,omitempty"`
	Attempt    int32  `json:"attempt,omitempty"`
	Step       int32  `json:"step,omitempty"`
	Decision   string `json:"decision"`
	Reviewer   string `json:"reviewer"`
	Supersedes string `json:"supersedes,omitempty"`
	// Permissions that it agrees to; empty: to all.
	Permissions []string   `json:"permissions,omitempty"`
	Created     time.Time  `json:"created"`
	Decided     time.Time  `json:"decided"`
	Expires     *time.Time `json:"expires,omitempty"`
	// Counted says that the gate counted it for the version.
	Counted bool `json:"counted,omitempty"`
	// Entry from which it was restored, after the cluster that had the Review was lost;
	// empty: the Review was there.
	Entry string `json:"entry,omitempty"`
}

// maxDecisions of a version are kept: the newest, after those that counted.
const maxDecisions = 40

// Version returns what is known of a digest; nil: nothing is.
func (b *Basis) Version(digest string) *Version {
	if b == nil {
		return nil
	}
	i := slices.IndexFunc(b.Versions, func(v Version) bool { return v.Digest == digest })
	if i < 0 {
		return nil
	}
	return &b.Versions[i]
}

// With returns what is known of the digests: by found where that has them, and else as
// before. So what was said about a version stays with it for as long as it is handed out,
// also where the pass that writes a document did not look at it.
func With(digests []string, found []Version, before *Basis) []Version {
	var out []Version
	for _, digest := range digests {
		v := (&Basis{Versions: found}).Version(digest)
		if v == nil {
			v = before.Version(digest)
		}
		if v == nil || slices.ContainsFunc(out, func(o Version) bool { return o.Digest == digest }) {
			continue
		}
		out = append(out, *v.bounded())
	}
	return out
}

func (v *Version) bounded() *Version {
	out := *v
	out.Decisions = slices.Clone(v.Decisions)
	slices.SortStableFunc(out.Decisions, func(a, b Decision) int {
		if a.Counted != b.Counted {
			if a.Counted {
				return -1
			}
			return 1
		}
		return b.Decided.Compare(a.Decided)
	})
	out.Decisions = out.Decisions[:min(len(out.Decisions), maxDecisions)]
	return &out
}

// ParseBasis reads what a ConfigMap has of it; nil: it has none that can be read.
func ParseBasis(text string) *Basis {
	var b Basis
	if text == "" || json.Unmarshal([]byte(text), &b) != nil {
		return nil
	}
	return &b
}
