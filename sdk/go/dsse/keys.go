package dsse

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

const publicKeyBlock = "PUBLIC KEY"

// Key is a public key that a caller trusts.
type Key struct {
	// ID is what signatures name it by: KeyID of Public.
	ID     string
	Public *ecdsa.PublicKey
}

// NewKey returns the key with its ID.
func NewKey(public *ecdsa.PublicKey) (Key, error) {
	id, err := KeyID(public)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: id, Public: public}, nil
}

// KeyID returns the SHA-256 of the key's SubjectPublicKeyInfo (DER) as 64
// lower-case hexadecimal digits: what
// `openssl pkey -pubin -outform DER | sha256sum` prints.
func KeyID(public *ecdsa.PublicKey) (string, error) {
	der, err := marshalSPKI(public)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// MarshalPublicKeyPEM writes a key as a PEM block PUBLIC KEY.
func MarshalPublicKeyPEM(public *ecdsa.PublicKey) ([]byte, error) {
	der, err := marshalSPKI(public)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: publicKeyBlock, Bytes: der}), nil
}

// ParsePublicKeyPEM reads exactly one PEM block PUBLIC KEY with an ECDSA key on
// P-256.
func ParsePublicKeyPEM(data []byte) (Key, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != publicKeyBlock {
		return Key{}, errors.New("parsing a public key: there is no PEM block PUBLIC KEY")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return Key{}, errors.New("parsing a public key: something follows the first PEM block")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("parsing a public key: %w", err)
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return Key{}, fmt.Errorf("parsing a public key: %w", ErrUnsupportedKey)
	}
	return NewKey(public)
}

func marshalSPKI(public *ecdsa.PublicKey) ([]byte, error) {
	if public == nil || public.Curve != elliptic.P256() {
		return nil, ErrUnsupportedKey
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	return der, nil
}
