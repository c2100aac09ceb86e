// Package dsse signs and verifies envelopes: DSSE v1.0 (Dead Simple Signing
// Envelope) with ECDSA on P-256, SHA-256 and signatures in ASN.1 DER.
//
// Signing is deterministic (RFC 6979), so that the same key and payload always
// give the same bytes: a document that did not change keeps its ETag. Only the
// payload that was verified is ever handed out, and it is never parsed before.
package dsse

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/internal/strictjson"
)

// MaxSignatures bounds the signatures of an envelope. While keys are rotated
// there are two.
const MaxSignatures = 16

// Errors that Verify returns, to be matched with errors.Is.
var (
	// ErrTooLarge: the envelope is longer than the caller allows.
	ErrTooLarge = errors.New("the envelope is too large")
	// ErrMalformed: it is no envelope.
	ErrMalformed = errors.New("the envelope is malformed")
	// ErrTooManySignatures: it has more than MaxSignatures.
	ErrTooManySignatures = errors.New("the envelope has too many signatures")
	// ErrNoTrustedSignature: no signature is by a trusted key over this payload.
	ErrNoTrustedSignature = errors.New("no trusted key signed the envelope")
)

// ErrUnsupportedKey is returned for a key that is not ECDSA on P-256.
var ErrUnsupportedKey = errors.New("the key is not an ECDSA key on P-256")

// Envelope is a payload with its signatures, as it is served.
type Envelope struct {
	// PayloadType says how the payload is to be read; it is signed too.
	PayloadType string `json:"payloadType"`
	// Payload is the signed bytes in base64.
	Payload string `json:"payload"`
	// Signatures are those of one or more keys.
	Signatures []Signature `json:"signatures"`
}

// Signature is one key's signature. KeyID is a hint which key it was: it is not
// signed.
type Signature struct {
	KeyID string `json:"keyid"`
	// Sig is the ASN.1 DER signature in base64.
	Sig string `json:"sig"`
}

// PAE is DSSE's pre-authentication encoding: the bytes that are signed.
func PAE(payloadType string, payload []byte) []byte {
	out := make([]byte, 0, len(payloadType)+len(payload)+48)
	out = append(out, "DSSEv1 "...)
	out = strconv.AppendInt(out, int64(len(payloadType)), 10)
	out = append(out, ' ')
	out = append(out, payloadType...)
	out = append(out, ' ')
	out = strconv.AppendInt(out, int64(len(payload)), 10)
	out = append(out, ' ')
	return append(out, payload...)
}

// Sign returns an envelope with one signature. The same key, type and payload
// give the same envelope.
func Sign(private *ecdsa.PrivateKey, payloadType string, payload []byte) (*Envelope, error) {
	signature, err := sign(private, payloadType, payload)
	if err != nil {
		return nil, err
	}
	return &Envelope{
		PayloadType: payloadType,
		Payload:     base64.StdEncoding.EncodeToString(payload),
		Signatures:  []Signature{signature},
	}, nil
}

// Add signs the payload with a further key, as is done while keys are rotated.
// It does not look at the signatures that are there.
func (e *Envelope) Add(private *ecdsa.PrivateKey) error {
	payload, err := decode(e.Payload)
	if err != nil {
		return fmt.Errorf("%w: the payload is not base64", ErrMalformed)
	}
	if len(e.Signatures) >= MaxSignatures {
		return ErrTooManySignatures
	}
	signature, err := sign(private, e.PayloadType, payload)
	if err != nil {
		return err
	}
	e.Signatures = append(e.Signatures, signature)
	return nil
}

// Marshal returns the envelope's JSON without spaces: the bytes to publish.
func (e *Envelope) Marshal() ([]byte, error) {
	return json.Marshal(e)
}

func sign(private *ecdsa.PrivateKey, payloadType string, payload []byte) (Signature, error) {
	if private == nil || private.Curve != elliptic.P256() {
		return Signature{}, ErrUnsupportedKey
	}
	id, err := KeyID(&private.PublicKey)
	if err != nil {
		return Signature{}, err
	}
	sig, err := signDeterministic(private, PAE(payloadType, payload))
	if err != nil {
		return Signature{}, fmt.Errorf("signing with key %s: %w", id, err)
	}
	return Signature{KeyID: id, Sig: base64.StdEncoding.EncodeToString(sig)}, nil
}

// signDeterministic passes no source of randomness, which asks crypto/ecdsa for
// the nonce of RFC 6979.
func signDeterministic(private *ecdsa.PrivateKey, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return private.Sign(nil, digest[:], crypto.SHA256)
}

// Verify returns the payload of an envelope that at least one of the keys
// signed, and that key's ID. A raw envelope of more than maxBytes bytes, or with
// more than MaxSignatures signatures, is refused before any cryptography.
//
// A signature that names a key is tried with that key only, one that names none
// with all. Signatures by unknown keys are ignored: that is how keys are rotated.
func Verify(raw []byte, maxBytes int, keys []Key) (payloadType string, payload []byte, keyID string, err error) {
	envelope, err := Parse(raw, maxBytes)
	if err != nil {
		return "", nil, "", err
	}
	payload, keyID, err = envelope.Verify(keys)
	if err != nil {
		return "", nil, "", err
	}
	return envelope.PayloadType, payload, keyID, nil
}

// Parse reads an envelope of at most maxBytes bytes. It checks no signature.
func Parse(raw []byte, maxBytes int) (*Envelope, error) {
	if len(raw) > maxBytes {
		return nil, fmt.Errorf("%w: it has %d bytes, %d are allowed", ErrTooLarge, len(raw), maxBytes)
	}
	envelope := new(Envelope)
	if err := strictjson.Decode(raw, envelope); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return envelope, nil
}

// Unverified returns the payload without looking at the signatures. It is for those who
// wrote it themselves, or tell people about it.
func (e *Envelope) Unverified() ([]byte, error) {
	payload, err := decode(e.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: /payload: is not base64", ErrMalformed)
	}
	return payload, nil
}

// Verify is the function of the same name, for an envelope that was read already.
func (e *Envelope) Verify(keys []Key) (payload []byte, keyID string, err error) {
	if n := len(e.Signatures); n > MaxSignatures {
		return nil, "", fmt.Errorf("%w: it has %d, %d are allowed", ErrTooManySignatures, n, MaxSignatures)
	}
	payload, err = decode(e.Payload)
	if err != nil {
		return nil, "", fmt.Errorf("%w: /payload: is not base64", ErrMalformed)
	}
	digest := sha256.Sum256(PAE(e.PayloadType, payload))
	for _, signature := range e.Signatures {
		if id, ok := signer(signature, digest[:], keys); ok {
			return payload, id, nil
		}
	}
	return nil, "", fmt.Errorf("%w: signed by %s, trusted are %s",
		ErrNoTrustedSignature, namesOf(e.Signatures), idsOf(keys))
}

// signer returns the ID of the key that made the signature.
func signer(signature Signature, digest []byte, keys []Key) (string, bool) {
	sig, err := decode(signature.Sig)
	if err != nil {
		return "", false
	}
	for _, key := range keys {
		if signature.KeyID != "" && signature.KeyID != key.ID {
			continue
		}
		if key.Public == nil || key.Public.Curve != elliptic.P256() {
			continue
		}
		if ecdsa.VerifyASN1(key.Public, digest, sig) {
			return key.ID, true
		}
	}
	return "", false
}

// decode reads base64 in either alphabet, as DSSE asks, and without the line
// breaks that encoding/base64 would skip.
func decode(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, base64.CorruptInputError(strings.IndexAny(text, "\r\n"))
	}
	if strings.ContainsAny(text, "-_") {
		return base64.URLEncoding.Strict().DecodeString(text)
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}

func namesOf(signatures []Signature) string {
	names := make([]string, len(signatures))
	for i, s := range signatures {
		names[i] = shorten(s.KeyID)
	}
	return list(names)
}

func idsOf(keys []Key) string {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = shorten(k.ID)
	}
	return list(ids)
}

// shorten keeps messages readable, also when an ID is not one of ours.
func shorten(id string) string {
	if len(id) > 12 {
		id = id[:12] + "…"
	}
	return strconv.Quote(id)
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
