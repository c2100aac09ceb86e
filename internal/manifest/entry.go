package manifest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// Reasons why a ConfigMap's content is not taken over: the values of a metric's
// label.
const (
	reasonDeleted    = "Deleted"    // it is gone
	reasonIncomplete = "Incomplete" // it lacks a key
	reasonSignature  = "Signature"  // no trusted key signed the envelope, or it is none
	reasonType       = "Type"       // the signed bytes are something else than a document
	reasonMalformed  = "Malformed"  // the document, or the host app's configuration, cannot be read
	reasonName       = "Name"       // the content belongs to a ConfigMap of another name
	reasonRolledBack = "RolledBack" // it is older than what is in service
	reasonConflict   = "Conflict"   // it says something else under the same number and time
	reasonPart       = "Part"       // a part of its audience is not there, or is another one
)

// rejection is why a ConfigMap's content is not taken over.
type rejection struct {
	reason string
	err    error
}

func (r *rejection) Error() string { return r.err.Error() }

func reject(reason, format string, arguments ...any) *rejection {
	return &rejection{reason: reason, err: fmt.Errorf(format, arguments...)}
}

// record is what the service reads of a ConfigMap, and keeps on disk.
type record struct {
	// Name of the ConfigMap.
	Name string `json:"name"`
	// Kind is the value of the label delivery.DocumentLabel.
	Kind string `json:"kind"`
	// Data has only the keys that are read.
	Data map[string]string `json:"data"`
	// Part has the bytes of a part of an audience.
	Part []byte `json:"part,omitempty"`
}

func (r *record) equal(other *record) bool {
	if r == nil || other == nil {
		return r == other
	}
	return r.Name == other.Name && r.Kind == other.Kind && maps.Equal(r.Data, other.Data) && bytes.Equal(r.Part, other.Part)
}

// entry is a checked document. It is immutable.
type entry struct {
	configMap string
	doc       *document.Release
	seen      release.Seen
	payload   [sha256.Size]byte // hash of the signed bytes
	digest    string            // of the envelope
	body      *encoded          // the envelope
	line      json.RawMessage   // what lists of programs say of it
	// texts of stable and target for answers to resolve, made when they are first asked for.
	texts [2]atomic.Pointer[variantText]
	// repositories, separated by spaces, are where its blobs may be.
	repositories string
	// parts of its audience and of those of its recalls, by digest; inPart looks a user up.
	parts  map[string]document.PartData
	inPart func(document.Part, document.KeyHash) bool
}

// envelope is the raw bytes, as they were published.
func (e *entry) envelope() []byte { return e.body.identity.bytes }

// same tells whether a record has what the entry was made of.
func (e *entry) same(r *record) bool {
	return string(e.envelope()) == r.Data[delivery.KeyEnvelope] && e.repositories == r.Data[delivery.KeyRepository]
}

// slot is what a host app asks for.
type slot struct{ appID, channel string }

func (e *entry) slot() slot { return slot{e.doc.AppID, e.doc.Channel} }

// readEntry checks a rollout's record: signature, type, content, name. Whether
// it is expired is for those who act on it, for its bytes still say what was
// decided last.
func readEntry(r *record, keys []dsse.Key) (*entry, error) {
	raw := []byte(r.Data[delivery.KeyEnvelope])
	if len(raw) == 0 {
		return nil, reject(reasonIncomplete, "the key %s is missing", delivery.KeyEnvelope)
	}
	payload, err := verify(raw, keys)
	if err != nil {
		return nil, err
	}
	doc, err := document.Parse(payload)
	if err != nil {
		if field, ok := errors.AsType[*document.FieldError](err); ok && field.Pointer == "/type" {
			return nil, reject(reasonType, "%w", err)
		}
		return nil, reject(reasonMalformed, "%w", err)
	}
	// Else a signed document could be served twice, or kept alive under a name that nobody writes any more.
	if want := delivery.RolloutConfigMap(doc.Rollout.Namespace, doc.Rollout.Name); want != r.Name {
		return nil, reject(reasonName, "the document belongs into ConfigMap %s", want)
	}
	e := &entry{
		configMap: r.Name, doc: doc, payload: sha256.Sum256(payload), digest: digestOf(raw),
		seen:         release.Seen{Sequence: doc.Sequence, IssuedAt: doc.IssuedAt.Time},
		body:         encode(document.EnvelopeMediaType, raw),
		repositories: r.Data[delivery.KeyRepository],
	}
	e.line, err = marshal(programLine{
		AppID: doc.AppID, Channel: doc.Channel, Sequence: doc.Sequence, IssuedAt: doc.IssuedAt,
		Availability: doc.Availability, EnvelopeDigest: e.digest, Listing: doc.Listing,
	})
	if err != nil {
		return nil, reject(reasonMalformed, "writing its line of a list: %w", err)
	}
	return e, nil
}

// verify returns the payload of an envelope that a trusted key signed.
func verify(raw []byte, keys []dsse.Key) ([]byte, error) {
	payloadType, payload, _, err := dsse.Verify(raw, release.MaxEnvelopeSize, keys)
	if err != nil {
		return nil, reject(reasonSignature, "%w", err)
	}
	if payloadType != document.PayloadType {
		return nil, reject(reasonType, "the payload type is %q, want %q", payloadType, document.PayloadType)
	}
	return payload, nil
}

// replaces says whether e may take the place of old, which the same ConfigMap
// held before.
func (e *entry) replaces(old *entry) error {
	switch order := compareSeen(e.seen, old.seen); {
	case order < 0:
		return reject(reasonRolledBack, "its sequence is %d of %s, in service is %d of %s",
			e.seen.Sequence, e.doc.IssuedAt.Format(timeFormat), old.seen.Sequence, old.doc.IssuedAt.Format(timeFormat))
	case order == 0 && e.payload != old.payload:
		return reject(reasonConflict, "it differs from the document in service, which has the same sequence %d of %s",
			e.seen.Sequence, e.doc.IssuedAt.Format(timeFormat))
	default:
		return nil
	}
}

const timeFormat = "2006-01-02T15:04:05Z"

func compareSeen(a, b release.Seen) int {
	return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), a.IssuedAt.Compare(b.IssuedAt))
}

// variants are all that the document can hand out.
func (e *entry) variants() []*document.Variant {
	all := make([]*document.Variant, 0, 2+len(e.doc.Fallbacks))
	for _, v := range []*document.Variant{e.doc.Stable, e.doc.Target} {
		if v != nil {
			all = append(all, v)
		}
	}
	for i := range e.doc.Fallbacks {
		all = append(all, &e.doc.Fallbacks[i])
	}
	return all
}

// handsOut tells whether anybody gets anything by the document.
func (e *entry) handsOut() bool {
	switch e.doc.Availability {
	case document.Listed, document.Hidden:
		return true
	case document.Removed:
		return e.doc.Tombstone.Installed == document.Retain
	default:
		return false
	}
}

// blobs are all blobs that the service hands out because of this document.
func (e *entry) blobs() []document.Blob {
	if !e.handsOut() {
		return nil
	}
	var all []document.Blob
	for _, v := range e.variants() {
		archive, content := v.Archive, v.Content
		if archive.MediaType == "" {
			archive.MediaType = document.ArchiveMediaType
		}
		if content.MediaType == "" {
			content.MediaType = document.ContentMediaType
		}
		all = append(all, archive, content)
	}
	if e.doc.Listing != nil && e.doc.Listing.Icon != nil {
		all = append(all, *e.doc.Listing.Icon)
	}
	for _, digest := range e.doc.AlsoServed {
		if !slices.ContainsFunc(all, func(b document.Blob) bool { return b.Digest == digest }) {
			all = append(all, document.Blob{Digest: digest})
		}
	}
	return all
}

// blockedBy returns the host app's block that the document falls under, or nil.
// A document is served whole or not at all, for it is signed: so a block of any
// digest that it could hand out blocks the document.
func (e *entry) blockedBy(blocks []delivery.Block) *delivery.Block {
	for i := range blocks {
		b := &blocks[i]
		named := slices.ContainsFunc(e.variants(), func(v *document.Variant) bool { return v.Digest == b.Digest })
		if b.AppID == e.doc.AppID || b.Digest != "" && named {
			return b
		}
	}
	return nil
}

// readHostApp checks a host app's record. It is not signed: it can keep things
// from a host app, and give it nothing.
func readHostApp(r *record) (*delivery.HostAppConfig, error) {
	text := r.Data[delivery.KeyHostApp]
	if text == "" {
		return nil, reject(reasonIncomplete, "the key %s is missing", delivery.KeyHostApp)
	}
	config, err := delivery.ParseHostApp(text)
	if err != nil {
		return nil, reject(reasonMalformed, "%w", err)
	}
	if want := delivery.HostAppConfigMap(config.Name); want != r.Name {
		return nil, reject(reasonName, "the configuration belongs into ConfigMap %s", want)
	}
	if config.Availability != hostAppActive && config.Availability != hostAppDisabled {
		return nil, reject(reasonMalformed, "availability is %q, want %s or %s", config.Availability, hostAppActive, hostAppDisabled)
	}
	return config, nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// blobPath is where the service hands out a digest of the form sha256:hex.
func blobPath(digest string) string { return blobFolder + digest[len("sha256:"):] }

const blobFolder = "/v1/blobs/sha256/"
