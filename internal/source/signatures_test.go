package source

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source/cosign"
)

// signer is somebody with a key.
type signer struct{ key *ecdsa.PrivateKey }

func newSigner(t testing.TB) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key}
}

func (s signer) sign(t testing.TB, message []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(message)
	sig, err := s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// trusted trusts the signer's key, under the name release.
func (s signer) trusted(t testing.TB) *cosign.Checker {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	c, err := (*cosign.Verifier)(nil).For(cosign.Trust{Keys: []cosign.Key{{Name: "release", PEM: string(text)}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// simple is a signature as cosign's older layout has it.
func (s signer) simple(t testing.TB, digest string) registrytest.Layer {
	t.Helper()
	text := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"}}`, digest)
	return registrytest.Layer{MediaType: payloadType, Data: text, Annotations: map[string]string{signatureNote: base64.StdEncoding.EncodeToString(s.sign(t, text))}}
}

// bundle is a signature as cosign 3 makes it.
func (s signer) bundle(t testing.TB, digest string) registrytest.Layer {
	t.Helper()
	const kind = "application/vnd.in-toto+json"
	text := fmt.Sprintf(`{"subject":[{"digest":{"sha256":%q}}],"predicateType":"https://sigstore.dev/cosign/sign/v1"}`, strings.TrimPrefix(digest, sha256Prefix))
	raw, err := json.Marshal(map[string]any{
		"mediaType": bundleType, "verificationMaterial": map[string]any{"publicKey": map[string]any{}},
		"dsseEnvelope": map[string]any{"payload": []byte(text), "payloadType": kind, "signatures": []any{map[string]any{
			"sig": s.sign(t, fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(text), text)),
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return registrytest.Layer{MediaType: bundleType, Data: raw}
}

func signatureTag(digest string) string { return strings.Replace(digest, ":", "-", 1) + ".sig" }

func eachRegistry(t *testing.T, test func(t *testing.T, r *registrytest.Registry)) {
	t.Helper()
	t.Run("with the referrers API", func(t *testing.T) { test(t, registrytest.StartReferrers(t)) })
	t.Run("without the referrers API", func(t *testing.T) { test(t, registrytest.Start(t, registrytest.Options{})) })
}

func TestASignedSourceIsFetched(t *testing.T) {
	eachRegistry(t, func(t *testing.T, r *registrytest.Registry) {
		mine, others := newSigner(t), newSigner(t)
		for name, sign := range map[string]func(t *testing.T, repository string, subject ocispec.Descriptor){
			"payload": func(t *testing.T, repository string, subject ocispec.Descriptor) {
				d := subject.Digest.String()
				registrytest.Push(t, r.Host(), repository, signatureTag(d), nil, others.simple(t, d), mine.simple(t, d))
			},
			"bundle": func(t *testing.T, repository string, subject ocispec.Descriptor) {
				d := subject.Digest.String()
				registrytest.Push(t, r.Host(), repository, "", &subject, others.bundle(t, d))
				registrytest.Push(t, r.Host(), repository, "", &subject, mine.bundle(t, d))
			},
			"bundle-and-payload": func(t *testing.T, repository string, subject ocispec.Descriptor) {
				d := subject.Digest.String()
				registrytest.Push(t, r.Host(), repository, "", &subject, others.bundle(t, d))
				registrytest.Push(t, r.Host(), repository, signatureTag(d), nil, mine.simple(t, d))
			},
		} {
			t.Run(name, func(t *testing.T) {
				repository := "team/" + name
				subject := registrytest.Push(t, r.Host(), repository, "1.0", nil, registrytest.Layer{MediaType: "application/zip", Data: []byte(bundleText)})
				sign(t, repository, subject)
				for _, ref := range []string{":1.0", "@" + subject.Digest.String()} {
					f, err := newOCI(t, Limits{}).Fetch(t.Context(), r.Host()+"/"+repository+ref, nil, mine.trusted(t))
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff([]string{"key release", bundleText}, []string{f.VerifiedBy, readAndClose(t, f)}); diff != "" {
						t.Error(diff)
					}
				}
			})
		}
	})
}

// Each source is refused, and nothing of it was read: neither its manifest nor a
// layer.
func TestASourceThatIsNotSignedIsNotRead(t *testing.T) {
	eachRegistry(t, func(t *testing.T, r *registrytest.Registry) {
		mine, others := newSigner(t), newSigner(t)
		elsewhere := sha256Prefix + otherSum
		const trusts = "REF carries no valid signature by key release, whom spec.verification of its MiniProgram trusts (%s): have it signed by one of them; it is tried again"
		const notMine = "of signature %d: no trusted key made it"
		large := registrytest.Layer{MediaType: payloadType, Data: make([]byte, maxPayloadBytes+1)}
		for name, tt := range map[string]struct {
			payloads []registrytest.Layer
			bundle   *registrytest.Layer
			reason   string
			message  string
		}{
			"no signature": {
				reason:  SignatureMissing,
				message: "REF carries no signature, and spec.verification of its MiniProgram asks for one by key release: sign it with cosign; it is tried again",
			},
			"another digest's": {
				payloads: []registrytest.Layer{mine.simple(t, elsewhere)},
				reason:   SignatureInvalid, message: fmt.Sprintf(trusts, fmt.Sprintf("of signature 1: it is of the digest %q", elsewhere)),
			},
			"another digest's bundle": {
				bundle: new(mine.bundle(t, elsewhere)),
				reason: SignatureInvalid, message: fmt.Sprintf(trusts, "of signature 1: it is of another digest"),
			},
			"somebody else's": {
				payloads: []registrytest.Layer{others.simple(t, elsewhere)}, bundle: new(others.bundle(t, elsewhere)),
				reason: SignatureInvalid, message: fmt.Sprintf(trusts, fmt.Sprintf(notMine, 1)+"; "+fmt.Sprintf(notMine, 2)),
			},
			"a signature of another type": {
				payloads: []registrytest.Layer{{MediaType: "text/plain", Data: []byte("signed")}},
				reason:   SignatureMissing,
				message:  "REF carries no signature, and spec.verification of its MiniProgram asks for one by key release: sign it with cosign; it is tried again",
			},
			"a large signature": {
				payloads: []registrytest.Layer{large},
				reason:   SignatureInvalid, message: fmt.Sprintf(trusts, "of signature 1: it has a part of 65537 bytes, and at most 65536 are read"),
			},
		} {
			t.Run(name, func(t *testing.T) {
				repository := "team/" + strings.NewReplacer(" ", "-", "'", "").Replace(name)
				subject := registrytest.Push(t, r.Host(), repository, "", nil, registrytest.Layer{MediaType: "application/zip", Data: []byte(bundleText)})
				if tt.payloads != nil {
					registrytest.Push(t, r.Host(), repository, signatureTag(subject.Digest.String()), nil, tt.payloads...)
				}
				if tt.bundle != nil {
					registrytest.Push(t, r.Host(), repository, "", &subject, *tt.bundle)
				}
				var mu sync.Mutex
				var read []string
				host := registrytest.Faulty(t, r.Host(), func(req *http.Request) *registrytest.Fault {
					mu.Lock()
					defer mu.Unlock()
					read = append(read, req.URL.Path)
					return nil
				})
				ref := host + "/" + repository + "@" + subject.Digest.String()
				_, err := newOCI(t, Limits{}).Fetch(t.Context(), ref, nil, mine.trusted(t))
				got := look(t, err)
				got.Message = strings.ReplaceAll(got.Message, ref, "REF")
				if diff := cmp.Diff(seen{Reason: tt.reason, After: repairDelay, Message: tt.message}, got); diff != "" {
					t.Error(diff)
				}
				if slices.Contains(read, "/v2/"+repository+"/manifests/"+subject.Digest.String()) || slices.Contains(read, "/v2/"+repository+"/blobs/"+sha256Prefix+sumOf(bundleText)) {
					t.Errorf("it was read: %q", read)
				}
			})
		}
	})
}

func TestOnlySoManySignaturesAreLookedAt(t *testing.T) {
	r := registrytest.Start(t, registrytest.Options{})
	mine, others := newSigner(t), newSigner(t)
	for name, tt := range map[string]struct {
		before int
		reason string
	}{"last": {before: maxSignatures - 1}, "beyond": {before: maxSignatures, reason: SignatureInvalid}} {
		t.Run(name, func(t *testing.T) {
			repository := "team/" + name
			subject := registrytest.Push(t, r.Host(), repository, "1.0", nil, registrytest.Layer{MediaType: "application/zip", Data: []byte(bundleText)})
			var layers []registrytest.Layer
			for range tt.before {
				layers = append(layers, others.simple(t, subject.Digest.String()))
			}
			registrytest.Push(t, r.Host(), repository, signatureTag(subject.Digest.String()), nil, append(layers, mine.simple(t, subject.Digest.String()))...)
			f, err := newOCI(t, Limits{}).Fetch(t.Context(), r.Host()+"/"+repository+":1.0", nil, mine.trusted(t))
			if tt.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				readAndClose(t, f)
				return
			}
			if got := look(t, err); got.Reason != tt.reason || !strings.Contains(got.Message, "(of signature 1: no trusted key made it; of signature 2: no trusted key made it; of signature 3: no trusted key made it; and more)") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// A registry that fails tells nothing about signatures, and one that knows no
// referrers may say so in several ways.
func TestARegistryThatFailsWhileSignaturesAreLookedFor(t *testing.T) {
	r := registrytest.Start(t, registrytest.Options{})
	mine := newSigner(t)
	subject := registrytest.Push(t, r.Host(), "team/app", "1.0", nil, registrytest.Layer{MediaType: "application/zip", Data: []byte(bundleText)})
	registrytest.Push(t, r.Host(), "team/app", signatureTag(subject.Digest.String()), nil, mine.simple(t, subject.Digest.String()))
	text := mine.simple(t, subject.Digest.String()).Data
	for name, tt := range map[string]struct {
		part  string
		fault registrytest.Fault
		want  seen // zero: it is fetched
	}{
		"referrers are a bad request": {part: "/referrers/", fault: registrytest.Fault{Status: http.StatusBadRequest}},
		"referrers are not allowed":   {part: "/referrers/", fault: registrytest.Fault{Status: http.StatusMethodNotAllowed}},
		"referrers fail":              {part: "/referrers/", fault: registrytest.Fault{Status: http.StatusInternalServerError}, want: seen{Reason: SourceUnavailable, Message: "REF answers 500 Internal Server Error; it is tried again"}},
		"the tag is too much": {part: ".sig", fault: registrytest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"7"}}},
			want: seen{Reason: SourceUnavailable, After: 7e9, Asked: true, Message: "REF answers 429 Too Many Requests and asks to wait; it is tried again after 7s"}},
		"the tag is forbidden": {part: ".sig", fault: registrytest.Fault{Status: http.StatusForbidden}, want: seen{Reason: SourceUnauthorized, Message: "REF answers 403 Forbidden: name a Secret with credentials for HOST in spec.source.oci.secretRef; it is tried again"}},
		"a payload is cut": {part: "/blobs/" + sha256Prefix + sumOf(string(text)), fault: registrytest.Fault{CutAfter: 20}, want: seen{Reason: SourceUnavailable, Message: fmt.Sprintf(
			"fetching REF failed: read failed: expected content size of %d, got 20, for digest sha256:%s: unexpected EOF; it is tried again", len(text), sumOf(string(text)))}},
	} {
		t.Run(name, func(t *testing.T) {
			host := registrytest.Faulty(t, r.Host(), func(req *http.Request) *registrytest.Fault {
				if strings.Contains(req.URL.Path, tt.part) {
					return &tt.fault
				}
				return nil
			})
			ref := host + "/team/app:1.0"
			f, err := newOCI(t, Limits{}).Fetch(t.Context(), ref, nil, mine.trusted(t))
			if tt.want == (seen{}) {
				if err != nil {
					t.Fatal(err)
				}
				readAndClose(t, f)
				return
			}
			got := look(t, err)
			got.Message = strings.ReplaceAll(strings.ReplaceAll(got.Message, ref, "REF"), host, "HOST")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
