package manifest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// Previews
//
// A preview's code is all that lets somebody in: 16 random bytes, good for one version
// in one host app and for some hours. No access token is asked for. Testers open it
// where there is none, in a browser or with an app that is not built yet, and handing
// them the host app's token would give them far more. That the host app takes trials,
// which it does only with tokens, is its word that versions may be tried that nobody
// approved.

// preview is a checked preview. It is immutable.
type preview struct {
	doc    *document.Preview
	record *record
}

// readPreview checks a preview's record: signature, type, content, name.
func readPreview(r *record, keys []dsse.Key) (*preview, error) {
	raw := []byte(r.Data[delivery.KeyEnvelope])
	if len(raw) == 0 {
		return nil, reject(reasonIncomplete, "the key %s is missing", delivery.KeyEnvelope)
	}
	payloadType, payload, _, err := dsse.Verify(raw, release.MaxEnvelopeSize, keys)
	if err != nil {
		return nil, reject(reasonSignature, "%w", err)
	}
	if payloadType != document.PreviewPayloadType {
		return nil, reject(reasonType, "the payload type is %q, want %q", payloadType, document.PreviewPayloadType)
	}
	doc, err := document.ParsePreview(payload)
	if err != nil {
		return nil, reject(reasonMalformed, "%w", err)
	}
	// Else a signed preview could be kept alive under another name, and one hash lead to two.
	if want := delivery.PreviewConfigMap(doc.CodeHash); want != r.Name {
		return nil, reject(reasonName, "the preview belongs into ConfigMap %s", want)
	}
	return &preview{doc: doc, record: r}, nil
}

// blobs are what is handed out because of it.
func (p *preview) blobs() []document.Blob {
	archive, content := p.doc.Version.Archive, p.doc.Version.Content
	archive.MediaType, content.MediaType = document.ArchiveMediaType, document.ContentMediaType
	return []document.Blob{archive, content}
}

// takePreview puts a preview in service. It may replace one of the same hash: what is
// signed later holds.
func (st *store) takePreview(c *change, r *record) error {
	old := st.previews[r.Name]
	if old != nil && old.record.equal(r) {
		return nil
	}
	p, err := readPreview(r, st.keys.Load().keys)
	if err != nil {
		return err
	}
	if old != nil && p.doc.IssuedAt.Before(old.doc.IssuedAt.Time) {
		return reject(reasonRolledBack, "it was issued before the one in service")
	}
	st.dropPreview(c, r.Name)
	st.previews[r.Name] = p
	c.blobs.addBlobs(p, p.blobs(), r.Data[delivery.KeyRepository], p.doc.ExpiresAt.Time)
	c.previews = true
	st.accepted(r)
	return nil
}

// dropPreview takes one out of service; it says whether there was one. Unlike a
// document's, the absence of a preview means its end: nothing is installed for it that
// could be taken away.
func (st *store) dropPreview(c *change, name string) bool {
	old := st.previews[name]
	if old == nil {
		return false
	}
	delete(st.previews, name)
	c.blobs.removeBlobs(old, old.blobs())
	c.previews = true
	return true
}

// forgetPreviews drops those whose ConfigMaps are gone.
func (st *store) forgetPreviews(c *change, gone func(name string) bool) {
	for _, name := range slices.Sorted(maps.Keys(st.previews)) {
		if gone(name) && st.dropPreview(c, name) {
			st.forgotten(name)
		}
	}
}

// distrustPreviews takes those out of service that no key signed.
func (st *store) distrustPreviews(c *change, keys []dsse.Key) {
	for _, name := range slices.Sorted(maps.Keys(st.previews)) {
		r := st.previews[name].record
		if _, err := readPreview(r, keys); err != nil {
			st.dropPreview(c, name)
			st.keep(name, err, r)
		}
	}
}

// previewAnswer is what a tester gets.
type previewAnswer struct {
	Preview *document.Preview `json:"preview"`
	// Envelope is the same, signed, for host apps that check it against the keys that they pin.
	Envelope json.RawMessage `json:"envelope"`
}

// getPreview answers who has a code. Why there is nothing is the same for all: who
// guesses learns nothing.
func (s *Service) getPreview(w http.ResponseWriter, r *http.Request) *Problem {
	p := s.findPreview(r.PathValue("code"))
	if p == nil {
		return problem(CodeUnknownPreview, "no preview has this code, or none any more: ask whoever gave it to you for another")
	}
	w.Header().Set("Referrer-Policy", "no-referrer") // the address is what lets somebody in
	return serveJSON(w, r, previewAnswer{Preview: p.doc, Envelope: json.RawMessage(p.record.Data[delivery.KeyEnvelope])}, cachePreview)
}

// findPreview finds a live one that its host app still takes. A block, or a host app
// that is disabled, bites here before the manager takes the preview back.
func (s *Service) findPreview(code string) *preview {
	if !document.IsPreviewCode(code) {
		return nil
	}
	now := s.store.current.Load()
	p := now.previews[delivery.PreviewConfigMap(document.HashPreviewCode(code))]
	if p == nil || !s.options.Now().Before(p.doc.ExpiresAt.Time) {
		return nil
	}
	h := now.hosts[p.doc.HostApp]
	if h == nil || h.config.Availability != hostAppActive || !h.config.Takes(document.ChannelTrial) {
		return nil
	}
	blocked := slices.ContainsFunc(h.config.Blocks, func(b delivery.Block) bool {
		return b.AppID == p.doc.AppID || b.Digest == p.doc.Version.Digest
	})
	if blocked {
		return nil
	}
	return p
}

// alive leaves out what only previews named that are over.
func alive(refs []blobRef, now time.Time) []blobRef {
	over := func(r blobRef) bool { return !r.until.IsZero() && !now.Before(r.until) }
	if !slices.ContainsFunc(refs, over) {
		return refs
	}
	return slices.DeleteFunc(slices.Clone(refs), over)
}
