package signing

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

// fixedSigner has the private key n: the processes that fuzz must all have the same.
func fixedSigner(f *testing.F, n byte) *Signer {
	f.Helper()
	raw := make([]byte, 32)
	raw[31] = n
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		f.Fatal(err)
	}
	s, err := newSigner(private)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// FuzzParse reads anything as the private key of a Secret: what is accepted signs for the
// public key that it comes with, and is the same key when it is written and read again. What
// is refused does not appear in the error, which goes into logs.
func FuzzParse(f *testing.F) {
	good, err := fixedSigner(f, 7).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(append(bytes.Clone(good), good...))
	f.Add(good[:len(good)/2])
	f.Add(bytes.Replace(good, []byte("PRIVATE KEY"), []byte("EC PRIVATE KEY"), 2))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Add(otherCurve(f))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimSpace(line); len(line) > 40 && strings.Contains(err.Error(), line) {
					t.Errorf("the error tells the key: %v", err)
				}
			}
			return
		}
		written, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(written)
		if err != nil || again.Key.ID != s.Key.ID || again.PEM != s.PEM {
			t.Fatalf("key %s became %+v, %v", s.Key.ID, again, err)
		}
		public, err := dsse.ParsePublicKeyPEM([]byte(s.PEM))
		if err != nil {
			t.Fatal(err)
		}
		envelope, err := again.Sign([]byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := dsse.Verify(envelope, len(envelope), []dsse.Key{public}); err != nil {
			t.Errorf("what key %s signed is not believed with its public key: %v", s.Key.ID, err)
		}
	})
}

func otherCurve(f *testing.F) []byte {
	f.Helper()
	raw := make([]byte, 48)
	raw[47] = 7
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), raw)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		f.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// FuzzSignAnew has any envelope signed anew while keys are rotated: the keys never sign what
// none of them signed before, and leave nothing of it unsigned.
func FuzzSignAnew(f *testing.F) {
	old, next, stranger := fixedSigner(f, 1), fixedSigner(f, 2), fixedSigner(f, 3)
	set, err := newSet(&keychain.Document{Keys: []keychain.Key{
		{KeyID: old.Key.ID, State: keychain.Retiring, Algorithm: keychain.Algorithm, PublicKey: old.PEM},
		{KeyID: next.Key.ID, State: keychain.Active, Algorithm: keychain.Algorithm, PublicKey: next.PEM},
	}}, map[string]*Signer{old.Key.ID: old, next.Key.ID: next})
	if err != nil {
		f.Fatal(err)
	}
	payload := []byte(`{"type":"miniprogram.release/v1"}`)
	for _, signers := range [][]*Signer{{old}, {next}, {next, old}, {stranger}, {stranger, old}} {
		for _, kind := range []string{document.PayloadType, document.PreviewPayloadType, keychain.PayloadType} {
			envelope, err := seal(signers, kind, payload)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(envelope)
		}
	}
	f.Fuzz(func(t *testing.T, envelope []byte) {
		_ = set.Complete(envelope)
		lacked := set.Lacks(envelope)
		signed, err := set.SignAnew(envelope)
		if err != nil {
			if lacked || set.Good(envelope, payload) {
				t.Errorf("%s is good, and is not signed anew: %v", envelope, err)
			}
			return
		}
		if got, err := set.open(envelope); err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("%s was signed, %v", got, err)
		}
		if !set.Good(signed, payload) || !set.Complete(signed) || set.Lacks(signed) {
			t.Errorf("signed anew it is not good, or not complete: %s", signed)
		}
	})
}
