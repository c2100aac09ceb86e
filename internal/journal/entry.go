package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// What entries are called.
const (
	// Type is that of an entry.
	Type = "miniprogram.journal/v1"
	// PayloadType is the DSSE payload type of an entry. It is not that of documents, so that
	// neither can be taken for the other.
	PayloadType = "application/vnd.miniprogram.journal.v1+json"
	// ArtifactType is that of an entry in the registry, and EntryMediaType that of its first
	// layer, which is the signed envelope around the entry.
	ArtifactType   = "application/vnd.miniprogram.journal.v1"
	EntryMediaType = "application/vnd.miniprogram.journal.v1.dsse+json"
	// PartMediaType is that of a layer with a part of an audience.
	PartMediaType = "application/vnd.miniprogram.audience-part.v1"
	// IndexType is the artifact type of what names a Rollout in AppRepository.
	IndexType = "application/vnd.miniprogram.journal.index.v1+json"
)

// MaxSize bounds the envelope of an entry, in bytes.
const MaxSize = 3 << 20

// Entry is one document, or one change of a host app, with what it rests on.
type Entry struct {
	Type string `json:"type"`
	Order
	// Rollout and AppID are those of a document.
	Rollout *document.Rollout `json:"rollout,omitempty"`
	AppID   string            `json:"appID,omitempty"`
	// HostApp is what host apps' entries are about.
	HostApp *HostApp `json:"hostApp,omitempty"`
	// Written is when it came into the cluster's ConfigMap, by the manager's clock: from then
	// on the manifest service handed it out.
	Written time.Time `json:"written"`
	// Previous is the entry before; nil: it is the first.
	Previous *Link `json:"previous,omitempty"`
	// Late says that the journal had later entries already. It is no part of their chain.
	Late bool `json:"late,omitempty"`
	// Lost are documents before this one that were out and are not in the journal, for the
	// registry was away for too long.
	Lost *Lost `json:"lost,omitempty"`
	// Envelope is the digest of the document's envelope, which is the artifact's next layer.
	Envelope string `json:"envelope,omitempty"`
	// MissingParts are the digests of parts of audiences that could not be read any more. All
	// others that the document names are layers.
	MissingParts []string `json:"missingParts,omitempty"`
	// Basis is what the document rests on; nil: that is not known.
	Basis *Basis `json:"basis,omitempty"`
	// Record is the Rollout's status of which the document is made; empty: it is not known.
	Record json.RawMessage `json:"record,omitempty"`
}

// Link names another entry of the same journal.
type Link struct {
	Tag string `json:"tag"`
	// Digest of its manifest.
	Digest string `json:"digest"`
}

// Lost counts what is missing.
type Lost struct {
	Count int64 `json:"count"`
	// First and Last are the sequences of the first and of the last of them.
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// HostApp is what decides, beside the documents, what a host app is handed.
type HostApp struct {
	Name         string   `json:"name"`
	Availability string   `json:"availability"`
	Channels     []string `json:"channels,omitempty"`
	Blocked      []Block  `json:"blocks,omitempty"`
}

// Block is an app ID or a digest that is not handed out.
type Block struct {
	AppID  string `json:"appID,omitempty"`
	Digest string `json:"digest,omitempty"`
	Reason string `json:"reason"`
}

// Index names a Rollout that has published for an app ID.
type Index struct {
	AppID     string `json:"appID"`
	Namespace string `json:"namespace"`
	Rollout   string `json:"rollout"`
}

// Marshal gives the same bytes for the same entry.
func (e *Entry) Marshal() ([]byte, error) {
	e.Type, e.Written = Type, e.Written.UTC()
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("writing the journal's entry: %w", err)
	}
	return raw, nil
}

// Artifact is an entry as the registry holds it.
type Artifact struct {
	Tag, Digest string
	// Entry is the signed envelope, Document that of the document; nil: it has none.
	Entry, Document []byte
	// Parts of audiences, by their digest.
	Parts map[string][]byte
}

// Read checks an artifact and returns what it says. It fails unless one of the keys has
// signed the entry, and its tag and its document are those that it speaks of. The document
// is nil in an entry of a host app.
func Read(a *Artifact, keys []dsse.Key) (*Entry, *document.Release, error) {
	kind, payload, _, err := dsse.Verify(a.Entry, MaxSize, keys)
	if err != nil {
		return nil, nil, fmt.Errorf("checking the signature of entry %s: %w", a.Tag, err)
	}
	e, err := parse(kind, payload)
	if err != nil {
		return nil, nil, fmt.Errorf("reading entry %s: %w", a.Tag, err)
	}
	if e.Tag() != a.Tag {
		return nil, nil, fmt.Errorf("entry %s speaks of %s: somebody has moved it", a.Tag, e.Tag())
	}
	if e.Rollout == nil {
		return e, nil, nil
	}
	doc, err := documentOf(e, a.Document)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the document of entry %s: %w", a.Tag, err)
	}
	return e, doc, nil
}

func parse(kind string, payload []byte) (*Entry, error) {
	if kind != PayloadType {
		return nil, fmt.Errorf("the payload type is %q, want %q", kind, PayloadType)
	}
	var e Entry
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, err
	}
	if e.Type != Type || (e.Rollout == nil) == (e.HostApp == nil) {
		return nil, fmt.Errorf("it is no entry of type %s about a Rollout or a host app", Type)
	}
	return &e, nil
}

// documentOf needs no key: the entry that is signed names the envelope's digest.
func documentOf(e *Entry, envelope []byte) (*document.Release, error) {
	if Digest(envelope) != e.Envelope {
		return nil, errors.New("it is not the one that was written down")
	}
	doc, order, err := Document(envelope)
	if err != nil {
		return nil, err
	}
	if order != e.Order || doc.Rollout != *e.Rollout || doc.AppID != e.AppID {
		return nil, errors.New("it is of another Rollout, app ID or sequence")
	}
	return doc, nil
}

// Document reads an envelope without checking who signed it.
func Document(envelope []byte) (*document.Release, Order, error) {
	sealed, err := dsse.Parse(envelope, MaxSize)
	if err != nil {
		return nil, Order{}, err
	}
	payload, err := sealed.Unverified()
	if err != nil {
		return nil, Order{}, err
	}
	doc, err := document.Parse(payload)
	if err != nil {
		return nil, Order{}, err
	}
	return doc, Order{Number: doc.Sequence, Second: doc.IssuedAt.Unix()}, nil
}

// SameDocument tells that two envelopes hold the same document, whoever signed them.
func SameDocument(a, b []byte) bool {
	x, errX := payloadOf(a)
	y, errY := payloadOf(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func payloadOf(envelope []byte) ([]byte, error) {
	sealed, err := dsse.Parse(envelope, MaxSize)
	if err != nil {
		return nil, err
	}
	return sealed.Unverified()
}

// Digest is "sha256:…" of the bytes.
func Digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Marshal gives the same bytes for the same index.
func (x *Index) Marshal() ([]byte, error) {
	raw, err := json.Marshal(x)
	if err != nil {
		return nil, fmt.Errorf("writing the journal's index: %w", err)
	}
	return raw, nil
}
