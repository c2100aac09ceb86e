package dsse

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"reflect"
	"strings"
	"testing"
)

const payloadType = "application/vnd.miniprogram.release.v1+json"

// rfcKey is the P-256 key of RFC 6979, appendix A.2.5.
func rfcKey(t testing.TB) *ecdsa.PrivateKey { return keyFrom(t, rfcScalar) }

const (
	rfcScalar   = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"
	otherScalar = "00000000000000000000000000000000000000000000000000000000000000A5"
)

func keyFrom(t testing.TB, scalar string) *ecdsa.PrivateKey {
	t.Helper()
	raw, err := hex.DecodeString(scalar)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func trusted(t testing.TB, private *ecdsa.PrivateKey) Key {
	t.Helper()
	key, err := NewKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t testing.TB, payload string) *Envelope {
	t.Helper()
	envelope, err := Sign(rfcKey(t), payloadType, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}

func marshalled(t testing.TB, envelope *Envelope) []byte {
	t.Helper()
	raw, err := envelope.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestSignaturesAreThoseOfRFC6979(t *testing.T) {
	for message, want := range map[string][2]string{
		"sample": {"EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716", "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
		"test":   {"F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367", "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"},
	} {
		sig, err := signDeterministic(rfcKey(t), []byte(message))
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(sig, &got); err != nil {
			t.Fatal(err)
		}
		r, _ := new(big.Int).SetString(want[0], 16)
		s, _ := new(big.Int).SetString(want[1], 16)
		if got.R.Cmp(r) != 0 || got.S.Cmp(s) != 0 {
			t.Errorf("%q: got %X, %X, want %X, %X", message, got.R, got.S, r, s)
		}
	}
}

func TestPAEIsThatOfTheSpecification(t *testing.T) {
	for want, in := range map[string][2]string{
		"DSSEv1 29 http://example.com/HelloWorld 11 hello world": {"http://example.com/HelloWorld", "hello world"},
		"DSSEv1 0  0 ":     {"", ""},
		"DSSEv1 2 é 4 日\n": {"é", "日\n"}, // lengths are bytes
	} {
		if got := string(PAE(in[0], []byte(in[1]))); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTheSameKeyAndPayloadGiveTheGoldenBytes(t *testing.T) {
	want, err := os.ReadFile("testdata/envelope.json")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := marshalled(t, signed(t, `{"hello":"world <&>"}`)); string(got) != strings.TrimSpace(string(want)) {
			t.Fatalf("got %s\nwant %s", got, want)
		}
	}
}

func TestVerifyReturnsWhatWasSigned(t *testing.T) {
	key := trusted(t, rfcKey(t))
	raw := marshalled(t, signed(t, "payload"))
	gotType, payload, id, err := Verify(raw, len(raw), []Key{trusted(t, keyFrom(t, otherScalar)), key})
	if err != nil || gotType != payloadType || string(payload) != "payload" || id != key.ID {
		t.Errorf("got %q, %q, %q, %v", gotType, payload, id, err)
	}
}

func TestWhileKeysAreRotatedEitherSignatureIsEnough(t *testing.T) {
	envelope := signed(t, "payload")
	if err := envelope.Add(keyFrom(t, otherScalar)); err != nil {
		t.Fatal(err)
	}
	raw := marshalled(t, envelope)
	for _, private := range []*ecdsa.PrivateKey{rfcKey(t), keyFrom(t, otherScalar)} {
		key := trusted(t, private)
		if _, _, id, err := Verify(raw, 1<<20, []Key{key}); err != nil || id != key.ID {
			t.Errorf("key %s: got %q, %v", key.ID, id, err)
		}
	}
}

func TestVerifyTriesEveryKeyForASignatureThatNamesNone(t *testing.T) {
	envelope := signed(t, "payload")
	envelope.Signatures[0].KeyID = ""
	keys := []Key{trusted(t, keyFrom(t, otherScalar)), trusted(t, rfcKey(t))}
	if _, _, id, err := Verify(marshalled(t, envelope), 1<<20, keys); err != nil || id != keys[1].ID {
		t.Errorf("got %q, %v", id, err)
	}
}

func TestVerifyReadsBase64InEitherAlphabet(t *testing.T) {
	envelope := signed(t, "\xfb\xff\xfe payload") // + and / in the standard alphabet
	url := strings.NewReplacer("+", "-", "/", "_")
	if !strings.ContainsAny(envelope.Payload, "+/") {
		t.Fatalf("%s tells the alphabets not apart", envelope.Payload)
	}
	envelope.Payload, envelope.Signatures[0].Sig = url.Replace(envelope.Payload), url.Replace(envelope.Signatures[0].Sig)
	if _, _, _, err := Verify(marshalled(t, envelope), 1<<20, []Key{trusted(t, rfcKey(t))}); err != nil {
		t.Error(err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	key := trusted(t, rfcKey(t))
	for name, c := range map[string]struct {
		change func(*Envelope)
		keys   []Key
		want   error
		text   string
	}{
		"another payload":            {func(e *Envelope) { e.Payload = base64.StdEncoding.EncodeToString([]byte("other")) }, []Key{key}, ErrNoTrustedSignature, ""},
		"another payload type":       {func(e *Envelope) { e.PayloadType = "application/other" }, []Key{key}, ErrNoTrustedSignature, ""},
		"no key":                     {nil, nil, ErrNoTrustedSignature, `no trusted key signed the envelope: signed by "` + key.ID[:12] + `…", trusted are none`},
		"another key":                {nil, []Key{trusted(t, keyFrom(t, otherScalar))}, ErrNoTrustedSignature, ""},
		"another key under its name": {nil, []Key{{ID: key.ID, Public: &keyFrom(t, otherScalar).PublicKey}}, ErrNoTrustedSignature, ""},
		"the key under another name": {nil, []Key{{ID: "other", Public: key.Public}}, ErrNoTrustedSignature, ""},
		"a key without a public key": {nil, []Key{{ID: key.ID}}, ErrNoTrustedSignature, ""},
		"no signature":               {func(e *Envelope) { e.Signatures = nil }, []Key{key}, ErrMalformed, "the envelope is malformed: /signatures: must be a list"},
		"an empty list":              {func(e *Envelope) { e.Signatures = []Signature{} }, []Key{key}, ErrNoTrustedSignature, ""},
		"a signature that is none":   {func(e *Envelope) { e.Signatures[0].Sig = "AAAA" }, []Key{key}, ErrNoTrustedSignature, ""},
		"a signature not in base64":  {func(e *Envelope) { e.Signatures[0].Sig = "!" }, []Key{key}, ErrNoTrustedSignature, ""},
		"a payload not in base64":    {func(e *Envelope) { e.Payload = "!" }, []Key{key}, ErrMalformed, "the envelope is malformed: /payload: is not base64"},
		"a payload with line breaks": {func(e *Envelope) { e.Payload = e.Payload[:4] + "\n" + e.Payload[4:] }, []Key{key}, ErrMalformed, ""},
		"seventeen signatures": {func(e *Envelope) {
			for len(e.Signatures) < 17 {
				e.Signatures = append(e.Signatures, e.Signatures[0])
			}
		}, []Key{key}, ErrTooManySignatures, "the envelope has too many signatures: it has 17, 16 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			envelope := signed(t, "payload")
			if c.change != nil {
				c.change(envelope)
			}
			gotType, payload, id, err := Verify(marshalled(t, envelope), 1<<20, c.keys)
			if !errors.Is(err, c.want) || c.text != "" && err.Error() != c.text {
				t.Errorf("got %v, want %v %s", err, c.want, c.text)
			}
			if gotType != "" || payload != nil || id != "" {
				t.Errorf("hands out %q, %q, %q", gotType, payload, id)
			}
		})
	}
}

func TestVerifyRefusesMoreBytesThanAllowed(t *testing.T) {
	raw := marshalled(t, signed(t, "payload"))
	_, _, _, err := Verify(raw, len(raw)-1, []Key{trusted(t, rfcKey(t))})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestVerifyRefusesWhatTwoReadersCouldReadDifferently(t *testing.T) {
	raw := string(marshalled(t, signed(t, "payload")))
	for name, text := range map[string]string{
		"a second payload":        strings.Replace(raw, "{", `{"payload":"AAAA",`, 1),
		"a payload in upper case": strings.Replace(raw, `"payload"`, `"Payload"`, 1),
		"a second envelope":       raw + raw,
		"no JSON":                 "hello",
		"nothing":                 "",
	} {
		if _, _, _, err := Verify([]byte(text), 1<<20, []Key{trusted(t, rfcKey(t))}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAKeySurvivesItsPEM(t *testing.T) {
	want := trusted(t, rfcKey(t))
	text, err := MarshalPublicKeyPEM(want.Public)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParsePublicKeyPEM(append(text, "\n \n"...))
	if err != nil || !got.Public.Equal(want.Public) || got.ID != want.ID {
		t.Errorf("got %+v and %v, want %+v", got, err, want)
	}
	if golden, err := os.ReadFile("testdata/public.pem"); err != nil || string(golden) != string(text) {
		t.Errorf("got %s and %v, want %s", text, err, golden)
	}
	// Printed by openssl pkey -pubin -outform DER | sha256sum.
	if id := "5a7a78cca4a0f420d9bc62bb669c3c2759e39f723d3ae10dcbe0f0815a07ecd4"; got.ID != id {
		t.Errorf("the ID is %s, want %s", got.ID, id)
	}
}

func TestOnlyECDSAOnP256IsAccepted(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(p384, payloadType, nil); !errors.Is(err, ErrUnsupportedKey) {
		t.Errorf("signing with P-384: %v", err)
	}
	if _, err := Sign(nil, payloadType, nil); !errors.Is(err, ErrUnsupportedKey) {
		t.Errorf("signing without a key: %v", err)
	}
	if _, err := MarshalPublicKeyPEM(&p384.PublicKey); !errors.Is(err, ErrUnsupportedKey) {
		t.Errorf("writing a key on P-384: %v", err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, public := range map[string]any{"P-384": &p384.PublicKey, "RSA": &rsaKey.PublicKey} {
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		if _, err := ParsePublicKeyPEM(text); !errors.Is(err, ErrUnsupportedKey) {
			t.Errorf("reading a key of %s: %v", name, err)
		}
	}
}

func TestParsePublicKeyPEMRefuses(t *testing.T) {
	good, err := MarshalPublicKeyPEM(&rfcKey(t).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                          "parsing a public key: there is no PEM block PUBLIC KEY",
		string(good) + string(good): "parsing a public key: something follows the first PEM block",
		strings.ReplaceAll(string(good), "PUBLIC KEY", "PRIVATE KEY"): "parsing a public key: there is no PEM block PUBLIC KEY",
	} {
		if _, err := ParsePublicKeyPEM([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAddRefusesWhatVerifyWould(t *testing.T) {
	full := &Envelope{Signatures: make([]Signature, MaxSignatures)}
	if err := full.Add(rfcKey(t)); !errors.Is(err, ErrTooManySignatures) {
		t.Errorf("got %v", err)
	}
	broken := &Envelope{Payload: "!"}
	if err := broken.Add(rfcKey(t)); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func FuzzVerifyNeverHandsOutWhatWasNotSigned(f *testing.F) {
	key := trusted(f, rfcKey(f))
	f.Add(marshalled(f, signed(f, "payload")))
	f.Add([]byte(`{"payloadType":"","payload":"","signatures":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, payload, _, err := Verify(raw, 1<<16, []Key{key})
		if err == nil && string(payload) != "payload" {
			t.Errorf("%q was never signed", payload)
		}
	})
}

func TestAnEnvelopeReadsBackAsItself(t *testing.T) {
	want := signed(t, "payload")
	var got Envelope
	if err := json.Unmarshal(marshalled(t, want), &got); err != nil || !reflect.DeepEqual(&got, want) {
		t.Errorf("got %+v and %v, want %+v", got, err, want)
	}
}
