// Package cosign verifies that a digest is signed by somebody who is trusted, in
// the two layouts that cosign writes: simple signing, a JSON payload with its
// signature beside it, and the Sigstore bundle, a signed in-toto statement. It is
// handed bytes and reads nothing by itself: package source fetches them.
//
// Keys are checked with the standard library alone. An identity is a short-lived
// certificate whose signing is proven by a transparency log and timestamps; that
// is sigstore-go's, imported in identity.go and nowhere else. It is the heaviest
// dependency of the manager, some fifty modules (rekor, protobuf, OpenAPI
// clients), of which nothing is reached but the verification of bytes: its
// clients for TUF, Fulcio and Rekor are linked in and never called, for the
// trusted root comes from a file. Writing certificate paths, inclusion proofs and
// timestamps anew would be worse than carrying them.
//
// Of identities only the bundle is read; their older layout, with certificate and
// log entry in annotations, is told to be unsupported.
package cosign

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Trust says whose signatures are accepted: one of any of them is enough.
type Trust struct {
	Keys       []Key
	Identities []Identity
}

// Key is a public key in PEM, as `cosign public-key` prints it.
type Key struct{ Name, PEM string }

// Identity is whom a certificate names. Exactly one of Subject and SubjectRegExp
// is set; an expression must match the whole subject.
type Identity struct{ Issuer, Subject, SubjectRegExp string }

// Checker checks signatures against a Trust. It is safe for concurrent use.
type Checker struct {
	keys       []namedKey
	identities *identities
	who        []string
}

// String lists who is trusted.
func (c *Checker) String() string { return strings.Join(c.who, ", ") }

// For makes a Checker. The error says which part of trust cannot be read.
func (v *Verifier) For(trust Trust) (*Checker, error) {
	c := &Checker{}
	for _, k := range trust.Keys {
		key, err := parseKey(k)
		if err != nil {
			return nil, fmt.Errorf("key %s %w", k.Name, err)
		}
		c.keys = append(c.keys, key)
		c.who = append(c.who, key.String())
	}
	for _, i := range trust.Identities {
		c.who = append(c.who, fmt.Sprintf("identity %s%s of %s", i.Subject, i.SubjectRegExp, i.Issuer))
	}
	var err error
	c.identities, err = v.identities(trust.Identities)
	return c, err
}

// Payload checks a signature in the layout of simple signing: a payload that
// names the digest, and its signature in base64. certified says that a
// certificate stands beside it. It returns who signed.
func (c *Checker) Payload(digest string, payload []byte, signature string, certified bool) (string, error) {
	sig, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || len(sig) == 0 {
		return "", errors.New("its signature is no base64")
	}
	by, ok := c.signer(payload, sig)
	switch {
	case !ok && certified:
		return "", errors.New("it is no key's, and of identities only Sigstore bundles are read: sign with cosign 3, or with --new-bundle-format")
	case !ok:
		return "", errors.New("no trusted key made it")
	}
	var signed struct {
		Critical struct {
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
			Type string `json:"type"`
		} `json:"critical"`
	}
	if err := json.Unmarshal(payload, &signed); err != nil {
		return "", fmt.Errorf("its payload is no JSON: %w", err)
	}
	if t := signed.Critical.Type; t != "cosign container image signature" && t != "atomic container signature" {
		return "", fmt.Errorf("its payload is a %q, and no signature of an artifact", t)
	}
	if got := signed.Critical.Image.Digest; got != digest {
		return "", fmt.Errorf("it is of the digest %q", got)
	}
	return by, nil
}

// statementType is the predicate with which cosign signs an artifact. Other
// statements about the same digest say something else about it.
const statementType = "https://sigstore.dev/cosign/sign/v1"

// envelope is what of a Sigstore bundle is signed (DSSE 1.0).
type envelope struct {
	Payload     []byte `json:"payload"`
	PayloadType string `json:"payloadType"`
	Signatures  []struct {
		Sig []byte `json:"sig"`
	} `json:"signatures"`
}

// Bundle checks a Sigstore bundle and returns who signed.
func (c *Checker) Bundle(digest string, raw []byte) (string, error) {
	var bundle struct {
		Envelope *envelope `json:"dsseEnvelope"`
		Material struct {
			PublicKey json.RawMessage `json:"publicKey"`
		} `json:"verificationMaterial"`
	}
	if err := json.Unmarshal(raw, &bundle); err != nil {
		return "", fmt.Errorf("it is no Sigstore bundle: %w", err)
	}
	e := bundle.Envelope
	if e == nil || len(e.Signatures) != 1 {
		return "", errors.New("it holds no envelope with one signature")
	}
	if bundle.Material.PublicKey == nil {
		return c.identities.verify(digest, raw)
	}
	// DSSE's pre-authentication encoding.
	signed := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(e.Payload), e.Payload)
	by, ok := c.signer(signed, e.Signatures[0].Sig)
	if !ok {
		return "", errors.New("no trusted key made it")
	}
	if err := e.checkStatement(digest); err != nil {
		return "", err
	}
	return by, nil
}

// checkStatement requires that the envelope says: this digest is signed.
func (e *envelope) checkStatement(digest string) error {
	var s struct {
		Subject []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
		PredicateType string `json:"predicateType"`
	}
	if e.PayloadType != "application/vnd.in-toto+json" {
		return fmt.Errorf("its envelope holds a %q, and no statement", e.PayloadType)
	}
	if err := json.Unmarshal(e.Payload, &s); err != nil {
		return fmt.Errorf("its statement is no JSON: %w", err)
	}
	if err := checkPredicate(s.PredicateType); err != nil {
		return err
	}
	for _, subject := range s.Subject {
		if "sha256:"+subject.Digest["sha256"] == digest {
			return nil
		}
	}
	return errors.New("it is of another digest")
}

func checkPredicate(predicateType string) error {
	if predicateType != statementType {
		return fmt.Errorf("its statement is a %q, and no signature of an artifact", predicateType)
	}
	return nil
}

// signer returns the key that made sig.
func (c *Checker) signer(message, sig []byte) (string, bool) {
	for _, key := range c.keys {
		if key.verify(message, sig) {
			return key.String(), true
		}
	}
	return "", false
}
