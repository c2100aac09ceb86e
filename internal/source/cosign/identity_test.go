package cosign

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

const (
	issuer  = "https://token.example.com"
	subject = "https://git.example.com/shop/.build/release.yaml@refs/tags/v1"
)

// rootOf is the trusted root of a Sigstore that runs in this process.
func rootOf(t testing.TB, s *ca.VirtualSigstore) []byte {
	t.Helper()
	logs := s.RekorLogs()
	for id, log := range logs {
		log.ID = must[[]byte](t)(hex.DecodeString(id)) // as a file holds it
	}
	trusted := must[*root.TrustedRoot](t)(root.NewTrustedRoot(root.TrustedRootMediaType01,
		s.FulcioCertificateAuthorities(), nil, s.TimestampingAuthorities(), logs))
	return must[[]byte](t)(trusted.MarshalJSON())
}

// attested is a bundle in which an identity states something.
func attested(t testing.TB, s *ca.VirtualSigstore, subject, statement string) map[string]any {
	t.Helper()
	entity := must[*ca.TestEntity](t)(s.AttestAtTime(subject, issuer, []byte(statement), time.Now().Add(time.Minute), true))
	content, err := entity.VerificationContent()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := entity.SignatureContent()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := entity.TlogEntries()
	if err != nil {
		t.Fatal(err)
	}
	// In the field names of the protocol's own definition, which readers take too.
	entry := map[string]any{"kind_version": map[string]any{"kind": "dsse", "version": "0.0.1"}}
	if err := json.Unmarshal(must[[]byte](t)(json.Marshal(entries[0].TransparencyLogEntry())), &entry); err != nil {
		t.Fatal(err)
	}
	times := must[[][]byte](t)(entity.Timestamps())
	return map[string]any{
		"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": map[string]any{
			"certificate":               map[string]any{"rawBytes": content.Certificate().Raw},
			"tlogEntries":               []any{entry},
			"timestampVerificationData": map[string]any{"rfc3161Timestamps": []any{map[string]any{"signedTimestamp": times[0]}}},
		},
		"dsseEnvelope": map[string]any{
			"payload": []byte(statement), "payloadType": inToto,
			"signatures": []any{map[string]any{"sig": signed.Signature()}},
		},
	}
}

func without(bundle map[string]any, part string) map[string]any {
	if material, ok := bundle["verificationMaterial"].(map[string]any); ok {
		delete(material, part)
	}
	return bundle
}

func TestIdentities(t *testing.T) {
	sigstore := must[*ca.VirtualSigstore](t)(ca.NewVirtualSigstore())
	foreign := must[*ca.VirtualSigstore](t)(ca.NewVirtualSigstore())
	good := statement(digestOf, statementType)
	exactly := []Identity{{Issuer: issuer, Subject: subject}}
	pattern := func(p string) []Identity { return []Identity{{Issuer: issuer, SubjectRegExp: p}} }
	forged := func() map[string]any {
		// A second envelope that a careless reader would take for the first.
		b := attested(t, sigstore, subject, statement(digestOf, "https://slsa.dev/provenance/v1"))
		b["dsseenvelope"] = map[string]any{"payload": []byte(good), "payloadType": inToto, "signatures": []any{map[string]any{"sig": []byte("x")}}}
		return b
	}
	const mine = "identity " + subject + " of " + issuer
	for name, tt := range map[string]struct {
		bundle  map[string]any
		trusted []Identity
		want    string
		err     string // what the error begins with
	}{
		"the very one":                 {bundle: attested(t, sigstore, subject, good), trusted: exactly, want: mine},
		"one of several":               {bundle: attested(t, sigstore, subject, good), trusted: append(pattern("nobody"), exactly...), want: mine},
		"by a pattern":                 {bundle: attested(t, sigstore, subject, good), trusted: pattern(`https://git\.example\.com/shop/.*`), want: mine},
		"by half a pattern":            {bundle: attested(t, sigstore, subject, good), trusted: pattern(`https://git\.example\.com/shop/`), err: "failed to verify certificate identity: no matching CertificateIdentity found"},
		"by an alternative":            {bundle: attested(t, sigstore, subject, good), trusted: pattern(`nobody|https://git`), err: "failed to verify certificate identity: no matching CertificateIdentity found"},
		"somebody else":                {bundle: attested(t, sigstore, "mallory@example.com", good), trusted: exactly, err: "failed to verify certificate identity: no matching CertificateIdentity found"},
		"another issuer":               {bundle: attested(t, sigstore, subject, good), trusted: []Identity{{Issuer: "https://other.example.com", Subject: subject}}, err: "failed to verify certificate identity: no matching CertificateIdentity found"},
		"another authority":            {bundle: attested(t, foreign, subject, good), trusted: exactly, err: "failed to verify log inclusion"},
		"another digest":               {bundle: attested(t, sigstore, subject, statement("sha256:"+strings.Repeat("2", 64), statementType)), trusted: exactly, err: "failed to verify signature: provided artifact digest does not match any digest in statement"},
		"another statement":            {bundle: attested(t, sigstore, subject, statement(digestOf, "https://slsa.dev/provenance/v1")), trusted: exactly, err: `its statement is a "https://slsa.dev/provenance/v1", and no signature of an artifact`},
		"a statement that is smuggled": {bundle: forged(), trusted: exactly, err: "it is no Sigstore bundle: "},
		"no entry of a log":            {bundle: without(attested(t, sigstore, subject, good), "tlogEntries"), trusted: exactly, err: "failed to verify log inclusion: not enough verified log entries from transparency log"},
		"no time":                      {bundle: without(attested(t, sigstore, subject, good), "timestampVerificationData"), trusted: exactly, err: "failed to verify timestamps: threshold not met"},
		"nobody is trusted":            {bundle: attested(t, sigstore, subject, good), err: "it is an identity's, and none is trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			v := must[*Verifier](t)(NewVerifier(rootOf(t, sigstore)))
			c := must[*Checker](t)(v.For(Trust{Identities: tt.trusted}))
			by, err := c.Bundle(digestOf, must[[]byte](t)(json.Marshal(tt.bundle)))
			if tt.want != "" {
				if err != nil || by != tt.want {
					t.Errorf("got %q, %v", by, err)
				}
				return
			}
			if err == nil || by != "" || !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("got %q, %v\nwant %s", by, err, tt.err)
			}
		})
	}
}

func TestWithoutATrustedRootNoIdentityIsBelieved(t *testing.T) {
	sigstore := must[*ca.VirtualSigstore](t)(ca.NewVirtualSigstore())
	c := must[*Checker](t)((*Verifier)(nil).For(Trust{Identities: []Identity{{Issuer: issuer, Subject: subject}}}))
	_, err := c.Bundle(digestOf, must[[]byte](t)(json.Marshal(attested(t, sigstore, subject, statement(digestOf, statementType)))))
	const want = "it is an identity's, and those cannot be checked: the manager was started without --sigstore-trusted-root"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := NewVerifier([]byte("text")); err == nil || !strings.HasPrefix(err.Error(), "reading the trusted root: ") {
		t.Errorf("got %v", err)
	}
}
