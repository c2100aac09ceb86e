// Package signing signs published documents, and keeps the keys with which it
// does: ECDSA P-256 keys for the installation, each in a Secret of the manager's
// own namespace. Envelopes and signatures are those of sdk/go/dsse.
//
//	asked ─make→ Secret ─announce→ both sign ─every document signed→ old one goes
//	               └───────── each a document of the chain (sdk/go/keychain) ─┘
//
// A first key is made only while nothing was ever published. One that goes missing
// later is an error and never replaced: host apps pin the public key when they
// are built, so a new one would look like an attack to every device. It is changed by a
// rotation alone, which Decide leads from write to write, so that a crash between any
// two of them repeats one.
package signing

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// Keys in a Secret.
const (
	// PrivateKey holds the private key, PEM of PKCS #8.
	PrivateKey = "private.pem"
	// PublicKey holds the public key, PEM of SubjectPublicKeyInfo.
	PublicKey = "public.pem"
)

// ErrKeyMissing says that documents were published before and the key that
// signed them is gone.
var ErrKeyMissing = errors.New("the signing key is missing although documents were published with it")

// Signer signs documents with one key. It is safe for concurrent use.
type Signer struct {
	private *ecdsa.PrivateKey
	// Key is the public key.
	Key dsse.Key
	// PEM is the public key as host apps pin it.
	PEM string
}

// Sign returns the envelope around the document's bytes. The same document has
// the same envelope.
func (s *Signer) Sign(payload []byte) ([]byte, error) {
	return seal([]*Signer{s}, document.PayloadType, payload)
}

// SignEntry is Sign for the bytes of an entry of the journal.
func (s *Signer) SignEntry(payload []byte) ([]byte, error) {
	return seal([]*Signer{s}, journal.PayloadType, payload)
}

// Verify returns the document in an envelope that this signer made.
func (s *Signer) Verify(envelope []byte) (*document.Release, error) {
	_, payload, _, err := dsse.Verify(envelope, 2*document.MaxSize, []dsse.Key{s.Key})
	if err != nil {
		return nil, fmt.Errorf("checking the envelope: %w", err)
	}
	return document.Parse(payload)
}

// NewSigner makes a new key.
func NewSigner() (*Signer, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	return newSigner(private)
}

func newSigner(private *ecdsa.PrivateKey) (*Signer, error) {
	key, err := dsse.NewKey(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	text, err := dsse.MarshalPublicKeyPEM(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	return &Signer{private: private, Key: key, PEM: string(text)}, nil
}

// Parse reads a key that Marshal wrote.
func Parse(text []byte) (*Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s is no PEM block PRIVATE KEY", PrivateKey)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", PrivateKey, err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s is no ECDSA key on P-256", PrivateKey)
	}
	return newSigner(private)
}

// Marshal writes the private key as PEM.
func (s *Signer) Marshal() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(s.private)
	if err != nil {
		return nil, fmt.Errorf("writing the signing key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
