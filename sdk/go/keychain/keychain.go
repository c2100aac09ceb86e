// Package keychain has the documents that say which keys sign (type
// miniprogram.keys/v1), and follows them from keys that were pinned to those that
// count today.
//
// A host app pins keys when it is built. When the installation changes its key, it
// publishes numbered documents, each signed by a key that the one before trusts: first
// the new key is announced (Next), then both sign (the new one is Active, the old one
// Retiring), then the old one is gone. Who follows them from a pinned key needs no new
// build, and never goes back in the number.
package keychain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/internal/strictjson"
)

// What a key document is called.
const (
	// Type of the document.
	Type = "miniprogram.keys/v1"
	// PayloadType is its DSSE payload type.
	PayloadType = "application/vnd.miniprogram.keys.v1+json"
	// Algorithm of every key: signatures are ASN.1 DER.
	Algorithm = "ECDSA-P256-SHA256"
)

// Bounds.
const (
	// MaxKeys of one document.
	MaxKeys = 8
	// MaxSize of one document, in bytes.
	MaxSize = 16 << 10
	// MaxDocuments of a chain.
	MaxDocuments = 64
	// MaxChainSize is that of the answer of GET /v1/keys, in bytes.
	MaxChainSize = 512 << 10
)

// State says what a key is good for.
type State string

// The states of a key, in the order in which it has them. A key that a document does
// not list is not trusted.
const (
	// Next is announced: it is trusted, and does not sign yet.
	Next State = "Next"
	// Active signs.
	Active State = "Active"
	// Retiring signs too, until RetireAfter. It vouches for no further key.
	Retiring State = "Retiring"
)

// Document lists the keys that are trusted.
type Document struct {
	// Type is miniprogram.keys/v1.
	Type string `json:"type"`
	// Number rises with every document: 1 to 2^53-1.
	Number int64 `json:"number"`
	// IssuedAt is for people.
	IssuedAt document.Time `json:"issuedAt"`
	// Keys are all that are trusted; at least one is Active.
	Keys []Key `json:"keys"`
}

// Key is a public key with what it is good for.
type Key struct {
	// KeyID is the SHA-256 of the key's SubjectPublicKeyInfo in hexadecimal digits.
	KeyID string `json:"keyID"`
	// Algorithm is ECDSA-P256-SHA256.
	Algorithm string `json:"algorithm"`
	// PublicKey is a PEM block PUBLIC KEY.
	PublicKey string `json:"publicKey"`
	State     State  `json:"state"`
	// NotBefore is when a key that is Next begins to sign; not there in other states.
	NotBefore document.Time `json:"notBefore,omitzero"`
	// RetireAfter is from when on a Retiring key counts no more; not there in other states.
	RetireAfter document.Time `json:"retireAfter,omitzero"`
}

// Public reads the public key.
func (k *Key) Public() (dsse.Key, error) { return dsse.ParsePublicKeyPEM([]byte(k.PublicKey)) }

// NewKey describes a public key.
func NewKey(key dsse.Key, state State) (Key, error) {
	text, err := dsse.MarshalPublicKeyPEM(key.Public)
	if err != nil {
		return Key{}, err
	}
	return Key{KeyID: key.ID, Algorithm: Algorithm, PublicKey: string(text), State: state}, nil
}

// Validate checks every field. Its error is a *document.FieldError about the first
// one that is wrong.
func (d *Document) Validate() error {
	wrong := func(pointer, problem string) error {
		return &document.FieldError{Pointer: pointer, Problem: problem}
	}
	switch {
	case d.Type != Type:
		return wrong("/type", fmt.Sprintf("must be %q", Type))
	case d.Number < 1 || d.Number > document.MaxNumber:
		return wrong("/number", "must be from 1 to 2^53-1")
	case d.IssuedAt.IsZero():
		return wrong("/issuedAt", "must be a time like 2006-01-02T15:04:05Z")
	case len(d.Keys) > MaxKeys:
		return wrong("/keys", fmt.Sprintf("must have at most %d entries", MaxKeys))
	case !slices.ContainsFunc(d.Keys, func(k Key) bool { return k.State == Active }):
		return wrong("/keys", "must have one that is Active")
	}
	for i := range d.Keys {
		k, at := &d.Keys[i], "/keys/"+strconv.Itoa(i)
		if slices.ContainsFunc(d.Keys[:i], func(other Key) bool { return other.KeyID == k.KeyID }) {
			return wrong(at+"/keyID", "stands there twice")
		}
		if field, problem := k.problem(); problem != "" {
			return wrong(at+field, problem)
		}
	}
	return nil
}

func (k *Key) problem() (field, problem string) {
	if k.Algorithm != Algorithm {
		return "/algorithm", "must be " + Algorithm
	}
	public, err := k.Public()
	switch {
	case err != nil:
		return "/publicKey", "must be a PEM block PUBLIC KEY with an ECDSA key on P-256"
	case public.ID != k.KeyID:
		return "/keyID", "must be the SHA-256 of the public key"
	case k.State != Next && k.State != Active && k.State != Retiring:
		return "/state", "must be Next, Active or Retiring"
	case (k.State == Next) == k.NotBefore.IsZero():
		return "/notBefore", "must be there if and only if the state is Next"
	case (k.State == Retiring) == k.RetireAfter.IsZero():
		return "/retireAfter", "must be there if and only if the state is Retiring"
	}
	return "", ""
}

// Parse reads and validates a document, as document.Parse does. The error is a
// *document.SizeError or a *document.FieldError.
func Parse(data []byte) (*Document, error) {
	if len(data) > MaxSize {
		return nil, &document.FieldError{Problem: fmt.Sprintf("has %d bytes, %d are allowed", len(data), MaxSize)}
	}
	d := new(Document)
	if err := strictjson.Decode(data, d); err != nil {
		if at, ok := errors.AsType[*strictjson.Error](err); ok {
			return nil, &document.FieldError{Pointer: at.Pointer, Problem: at.Problem}
		}
		return nil, &document.FieldError{Problem: "cannot be read: " + err.Error()}
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return d, nil
}

// Marshal validates a document and writes it, the same bytes for equal values.
func Marshal(d *Document) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d); err != nil {
		return nil, &document.FieldError{Problem: "cannot be written: " + err.Error()}
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}
