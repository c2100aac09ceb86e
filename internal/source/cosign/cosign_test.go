package cosign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const digestOf = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func pemOf(t testing.TB, private crypto.Signer) string {
	t.Helper()
	der := must[[]byte](t)(x509.MarshalPKIXPublicKey(private.Public()))
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// sign signs as cosign does; hash is 0 for Ed25519, which signs the message.
func sign(t testing.TB, private crypto.Signer, hash crypto.Hash, message []byte) []byte {
	t.Helper()
	signed := message
	if hash != 0 {
		h := hash.New()
		h.Write(message)
		signed = h.Sum(nil)
	}
	return must[[]byte](t)(private.Sign(rand.Reader, signed, hash))
}

func payload(digest, kind string) string {
	return fmt.Sprintf(`{"critical":{"identity":{"docker-reference":"r.example.com/app"},"image":{"docker-manifest-digest":%q},"type":%q},"optional":null}`, digest, kind)
}

const imageSignature = "cosign container image signature"

func statement(digest, predicate string) string {
	return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`,
		strings.TrimPrefix(digest, "sha256:"), predicate)
}

const inToto = "application/vnd.in-toto+json"

// bundleOf is a Sigstore bundle that a key signed.
func bundleOf(t testing.TB, private crypto.Signer, hash crypto.Hash, payloadType, statement string) []byte {
	t.Helper()
	sig := sign(t, private, hash, fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(statement), statement))
	return must[[]byte](t)(json.Marshal(map[string]any{
		"mediaType":            "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": map[string]any{"publicKey": map[string]any{"hint": "x"}},
		"dsseEnvelope": map[string]any{
			"payload": []byte(statement), "payloadType": payloadType, "signatures": []any{map[string]any{"sig": sig}},
		},
	}))
}

func TestKeysOfEveryKindInBothLayouts(t *testing.T) {
	p256 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	other := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for name, tt := range map[string]struct {
		key  crypto.Signer
		hash crypto.Hash
	}{
		"P-256":                      {p256, crypto.SHA256},
		"P-384":                      {p384, crypto.SHA256},
		"P-384 as newer releases do": {p384, crypto.SHA384},
		"Ed25519":                    {ed, 0},
		"RSA":                        {long, crypto.SHA256},
	} {
		t.Run(name, func(t *testing.T) {
			c := must[*Checker](t)((*Verifier)(nil).For(Trust{Keys: []Key{{"other", pemOf(t, other)}, {"release", pemOf(t, tt.key)}}}))
			text := []byte(payload(digestOf, imageSignature))
			simple := must[string](t)(c.Payload(digestOf, text, base64.StdEncoding.EncodeToString(sign(t, tt.key, tt.hash, text)), false))
			bundle := must[string](t)(c.Bundle(digestOf, bundleOf(t, tt.key, tt.hash, inToto, statement(digestOf, statementType))))
			if diff := cmp.Diff([]string{"key release", "key release", "key other, key release"}, []string{simple, bundle, c.String()}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSignaturesThatDoNotCount(t *testing.T) {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	other := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	c := must[*Checker](t)((*Verifier)(nil).For(Trust{Keys: []Key{{"release", pemOf(t, key)}}}))
	elsewhere := "sha256:" + strings.Repeat("2", 64)
	simple := func(by crypto.Signer, text string, certified bool) func() (string, error) {
		return func() (string, error) {
			return c.Payload(digestOf, []byte(text), base64.StdEncoding.EncodeToString(sign(t, by, crypto.SHA256, []byte(text))), certified)
		}
	}
	bundle := func(raw []byte) func() (string, error) {
		return func() (string, error) { return c.Bundle(digestOf, raw) }
	}
	good := bundleOf(t, key, crypto.SHA256, inToto, statement(digestOf, statementType))
	for name, tt := range map[string]struct {
		check func() (string, error)
		want  string
	}{
		"a payload by another key":     {simple(other, payload(digestOf, imageSignature), false), "no trusted key made it"},
		"a payload by an identity":     {simple(other, payload(digestOf, imageSignature), true), "it is no key's, and of identities only Sigstore bundles are read: sign with cosign 3, or with --new-bundle-format"},
		"a payload of another digest":  {simple(key, payload(elsewhere, imageSignature), false), `it is of the digest "` + elsewhere + `"`},
		"a payload of no digest":       {simple(key, `{"critical":{"type":"cosign container image signature"}}`, false), `it is of the digest ""`},
		"a payload of another kind":    {simple(key, payload(digestOf, "a receipt"), false), `its payload is a "a receipt", and no signature of an artifact`},
		"a payload that is no JSON":    {simple(key, "text", false), "its payload is no JSON: invalid character 'e' in literal true (expecting 'r')"},
		"no signature":                 {func() (string, error) { return c.Payload(digestOf, []byte("x"), "", false) }, "its signature is no base64"},
		"a signature that is no text":  {func() (string, error) { return c.Payload(digestOf, []byte("x"), "*", false) }, "its signature is no base64"},
		"a bundle by another key":      {bundle(bundleOf(t, other, crypto.SHA256, inToto, statement(digestOf, statementType))), "no trusted key made it"},
		"a bundle of another digest":   {bundle(bundleOf(t, key, crypto.SHA256, inToto, statement(elsewhere, statementType))), "it is of another digest"},
		"a bundle that says otherwise": {bundle(bundleOf(t, key, crypto.SHA256, inToto, statement(digestOf, "https://slsa.dev/provenance/v1"))), `its statement is a "https://slsa.dev/provenance/v1", and no signature of an artifact`},
		"a bundle of another type":     {bundle(bundleOf(t, key, crypto.SHA256, "text/plain", statement(digestOf, statementType))), `its envelope holds a "text/plain", and no statement`},
		"a bundle with no statement":   {bundle(bundleOf(t, key, crypto.SHA256, inToto, "text")), "its statement is no JSON: invalid character 'e' in literal true (expecting 'r')"},
		"a bundle that is no JSON":     {bundle([]byte("text")), "it is no Sigstore bundle: invalid character 'e' in literal true (expecting 'r')"},
		"a bundle without envelope":    {bundle([]byte(`{"messageSignature":{}}`)), "it holds no envelope with one signature"},
		"a bundle without signature":   {bundle([]byte(`{"dsseEnvelope":{"signatures":[]}}`)), "it holds no envelope with one signature"},
		"a bundle that was changed":    {bundle([]byte(strings.Replace(string(good), `"payload":"`, `"payload":"IA==`, 1))), "it is no Sigstore bundle: illegal base64 data at input byte 4"},
		"a bundle by an identity":      {bundle([]byte(strings.Replace(string(good), `"publicKey"`, `"certificate"`, 1))), "it is an identity's, and none is trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			by, err := tt.check()
			if err == nil || err.Error() != tt.want || by != "" {
				t.Errorf("got %q, %v\nwant %s", by, err, tt.want)
			}
		})
	}
}

func TestWhatCannotBeTrusted(t *testing.T) {
	short := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 1024))
	curve := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	good := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for name, tt := range map[string]struct {
		trust Trust
		want  string
	}{
		"no PEM":            {Trust{Keys: []Key{{"a", "text"}}}, "key a is not one PEM block PUBLIC KEY"},
		"two keys":          {Trust{Keys: []Key{{"a", pemOf(t, good) + pemOf(t, good)}}}, "key a is not one PEM block PUBLIC KEY"},
		"a private key":     {Trust{Keys: []Key{{"a", strings.ReplaceAll(pemOf(t, good), "PUBLIC", "PRIVATE")}}}, "key a is not one PEM block PUBLIC KEY"},
		"an empty block":    {Trust{Keys: []Key{{"a", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"}}}, "key a cannot be read: asn1: syntax error: sequence truncated"},
		"a short RSA key":   {Trust{Keys: []Key{{"a", pemOf(t, short)}}}, "key a is an RSA key of 1024 bits, and at least 2048 are needed"},
		"another curve":     {Trust{Keys: []Key{{"a", pemOf(t, curve)}}}, "key a is of the curve P-521, and only P-256 and P-384 are accepted"},
		"a broken pattern":  {Trust{Identities: []Identity{{Issuer: "i", SubjectRegExp: "("}}}, "identity ( of i is no regular expression: error parsing regexp: missing closing ): `(`"},
		"a pattern outside": {Trust{Identities: []Identity{{Issuer: "i", SubjectRegExp: "a)|(?:b"}}}, "identity a)|(?:b of i is no regular expression: error parsing regexp: unexpected ): `a)|(?:b`"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := (*Verifier)(nil).For(tt.trust); err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}
