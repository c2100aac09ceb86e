package cosign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// leastRSA is the shortest RSA key that is accepted, in bits.
const leastRSA = 2048

type namedKey struct {
	name string
	key  crypto.PublicKey
}

func (k namedKey) String() string { return "key " + k.name }

// parseKey reads a key of a kind that verify knows. Its errors complete
// "key <name> …".
func parseKey(k Key) (namedKey, error) {
	block, rest := pem.Decode([]byte(k.PEM))
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return namedKey{}, errors.New("is not one PEM block PUBLIC KEY")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return namedKey{}, fmt.Errorf("cannot be read: %w", err)
	}
	switch key := parsed.(type) {
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
			return namedKey{}, fmt.Errorf("is of the curve %s, and only P-256 and P-384 are accepted", key.Curve.Params().Name)
		}
	case *rsa.PublicKey:
		if key.N.BitLen() < leastRSA {
			return namedKey{}, fmt.Errorf("is an RSA key of %d bits, and at least %d are needed", key.N.BitLen(), leastRSA)
		}
	case ed25519.PublicKey:
	default:
		return namedKey{}, fmt.Errorf("is a %T, and only ECDSA, Ed25519 and RSA are accepted", parsed)
	}
	return namedKey{k.Name, parsed}, nil
}

// verify tells whether the key made sig of message, with the hashes that cosign
// takes: SHA-256, in newer releases SHA-384 for P-384.
func (k namedKey) verify(message, sig []byte) bool {
	sum := sha256.Sum256(message)
	switch key := k.key.(type) {
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, sum[:], sig) {
			return true
		}
		longer := sha512.Sum384(message)
		return key.Curve == elliptic.P384() && ecdsa.VerifyASN1(key, longer[:], sig)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, sig)
	}
	return false
}
