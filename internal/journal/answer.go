package journal

import (
	"slices"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Known is an entry that was read, with what lies beside it.
type Known struct {
	Checked
	// Document of the entry; nil for a host app's, and where the entry cannot be believed.
	Document *document.Release
	// Parts of audiences, by their digest.
	Parts map[string][]byte
}

// Know checks an artifact with the keys.
func Know(a *Artifact, read func(*Artifact) (*Entry, *document.Release, error)) Known {
	e, doc, err := read(a)
	return Known{Checked: Checked{Tag: a.Tag, Digest: a.Digest, Entry: e, Err: err}, Document: doc, Parts: a.Parts}
}

// At returns the last entry that was written by then; nil: none was. An entry that cannot be
// believed is passed over, and so the answer is only as good as Gaps says.
func At(all []Known, at time.Time) *Known {
	var found *Known
	for i := range all {
		if k := &all[i]; k.Err == nil && !k.Entry.Written.After(at) && (found == nil || found.Entry.Compare(k.Entry.Order) < 0) {
			found = k
		}
	}
	return found
}

// Served returns the document that the manifest service served a host app: of the last of
// each Rollout, the one with the highest order that names the host app. logs are the
// entries of each Rollout.
func Served(logs [][]Known, hostApp, channel string, at time.Time) *Known {
	var found *Known
	for _, log := range logs {
		k := At(log, at)
		if k == nil || k.Document == nil || k.Document.Channel != channel || !slices.Contains(k.Document.HostApps, hostApp) {
			continue
		}
		if found == nil || found.Entry.Compare(k.Entry.Order) < 0 {
			found = k
		}
	}
	return found
}

// Blocks returns the block of the host app that the document falls under, or nil. A
// document is served whole or not at all.
func (h *HostApp) Blocks(doc *document.Release) *Block {
	if h == nil {
		return nil
	}
	var digests []string
	for _, v := range []*document.Variant{doc.Stable, doc.Target} {
		if v != nil {
			digests = append(digests, v.Digest)
		}
	}
	for i := range doc.Fallbacks {
		digests = append(digests, doc.Fallbacks[i].Digest)
	}
	for i := range h.Blocked {
		b := &h.Blocked[i]
		if b.AppID == doc.AppID || b.Digest != "" && slices.Contains(digests, b.Digest) {
			return b
		}
	}
	return nil
}

// InPart answers decide's question from the parts in the journal. It is nil where one of
// those that the document names is missing: then nobody can tell.
func (k *Known) InPart(named []document.Part) func(document.Part, document.KeyHash) bool {
	for _, p := range named {
		if _, there := k.Parts[p.Digest]; !there {
			return nil
		}
	}
	return func(p document.Part, hash document.KeyHash) bool {
		return document.PartData(k.Parts[p.Digest]).Has(hash)
	}
}

// Since returns the first entry of the unbroken run up to k with the same versions for the
// same share: who decided that decided what is handed out in k. log are the entries of k's
// Rollout, in their order.
func Since(log []Known, k *Known) *Known {
	found := k
	for i := len(log) - 1; i >= 0; i-- {
		e := &log[i]
		if e.Err != nil || e.Entry.Compare(k.Entry.Order) >= 0 {
			continue
		}
		if !sameShare(e.Document, k.Document) {
			break
		}
		found = e
	}
	return found
}

func sameShare(a, b *document.Release) bool {
	digest := func(v *document.Variant) string {
		if v == nil {
			return ""
		}
		return v.Digest
	}
	share := func(d *document.Release) int32 {
		if d.Split == nil {
			return 0
		}
		return d.Split.BasisPoints
	}
	return digest(a.Stable) == digest(b.Stable) && digest(a.Target) == digest(b.Target) && share(a) == share(b) && a.Availability == b.Availability
}
