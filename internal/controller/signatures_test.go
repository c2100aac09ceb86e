package controller_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// releaseKey signs as `cosign sign --key` does.
type releaseKey struct{ *ecdsa.PrivateKey }

func newReleaseKey(t testing.TB) releaseKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return releaseKey{key}
}

func (k releaseKey) public(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// sign puts a signature of the digest beside it.
func (k releaseKey) sign(t testing.TB, host, repository, digest string) {
	t.Helper()
	text := fmt.Appendf(nil, `{"critical":{"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"}}`, digest)
	sum := sha256.Sum256(text)
	sig, err := ecdsa.SignASN1(rand.Reader, k.PrivateKey, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	registrytest.Push(t, host, repository, strings.Replace(digest, ":", "-", 1)+".sig", nil, registrytest.Layer{
		MediaType: "application/vnd.dev.cosign.simplesigning.v1+json", Data: text,
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(sig)},
	})
}

func (g *group) changeProgram(t testing.TB, name string, change func(*v1alpha1.MiniProgram)) {
	t.Helper()
	eventually(t, "program "+name+" is changed", func() string {
		var p v1alpha1.MiniProgram
		g.must(t, g.dana.Get(ctx(t), key(g.ns, name), &p))
		change(&p)
		if err := g.dana.Update(ctx(t), &p); err != nil {
			return err.Error()
		}
		return ""
	})
}

func TestASourceMustCarryASignatureThatTheProgramAsksFor(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	mine, others := newReleaseKey(t), newReleaseKey(t)
	g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) {
		p.Spec.Verification = &v1alpha1.Verification{Keys: []v1alpha1.VerificationKey{{Name: "release", PublicKey: mine.public(t)}}}
	})
	host, repository := g.registry.Host(), "staging/"+g.ns+"/app"
	push := func(version string) string {
		t.Helper()
		digest := registrytest.Push(t, host, repository, version, nil, zipLayer(archive(t, version))).Digest.String()
		g.version(t, "app", version, fromRegistry(host+"/"+repository+":"+version))
		return digest
	}
	name := func(version, digest string) string { return host + "/" + repository + ":" + version + "@" + digest }

	first := push("1.0.0")
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, "False SignatureMissing: "+name("1.0.0", first)+
		" carries no signature, and spec.verification of its MiniProgram asks for one by key release: sign it with cosign; it is tried again")
	others.sign(t, host, repository, first)
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, "False SignatureInvalid: "+name("1.0.0", first)+
		" carries no valid signature by key release, whom spec.verification of its MiniProgram trusts (of signature 1: no trusted key made it): have it signed by one of them; it is tried again")
	mine.sign(t, host, repository, first)
	v := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, published)
	want := []string{first, "key release", "True Checked: Web bundle with 1 files, signed by key release"}
	if diff := cmp.Diff(want, []string{v.Status.Source.Resolved, v.Status.Source.VerifiedBy, condition(v.Status.Conditions, v1alpha1.ConditionVerified)}); diff != "" {
		t.Error(diff)
	}

	// Only a registry holds signatures.
	g.release(t, "app", "1.1.0")
	g.awaitVersion(t, "app-1.1.0", v1alpha1.ConditionStalled, "True SignatureMissing: spec.verification of MiniProgram app asks for a signature, "+
		"and only spec.source.oci can carry one: push the bundle to a registry, sign it, and create another version from there")

	// Whom the program trusts holds for what is packaged from then on.
	g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) { p.Spec.Verification.Keys[0].PublicKey = others.public(t) })
	second := push("1.2.0")
	mine.sign(t, host, repository, second)
	g.awaitVersion(t, "app-1.2.0", v1alpha1.ConditionReady, "False SignatureInvalid: "+name("1.2.0", second)+
		" carries no valid signature by key release, whom spec.verification of its MiniProgram trusts (of signature 1: no trusted key made it): have it signed by one of them; it is tried again")
	after := g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, published)
	if diff := cmp.Diff(v.Status.Source, after.Status.Source); diff != "" {
		t.Errorf("a packaged version changed: %s", diff)
	}

	// Nothing is asked for any more: what stalled for it goes on.
	g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) { p.Spec.Verification = nil })
	g.awaitVersion(t, "app-1.1.0", v1alpha1.ConditionReady, published)
	v = g.awaitVersion(t, "app-1.2.0", v1alpha1.ConditionReady, published)
	if v.Status.Source.VerifiedBy != "" {
		t.Errorf("nobody was asked, and %s is said to have signed", v.Status.Source.VerifiedBy)
	}
}

func TestAVerificationThatCannotBeUsedSaysWhy(t *testing.T) {
	g := newGroup(t, "quality")
	g.program(t, "app")
	host, repository := g.registry.Host(), "staging/"+g.ns+"/app"
	digest := registrytest.Push(t, host, repository, "", nil, zipLayer(archive(t, "x"))).Digest.String()
	registrytest.Push(t, host, repository, strings.Replace(digest, ":", "-", 1)+".sig", nil, registrytest.Layer{
		MediaType: "application/vnd.dev.cosign.simplesigning.v1+json", Data: []byte("{}"),
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": "eA==", "dev.sigstore.cosign/certificate": "x"},
	})
	verification := func(v v1alpha1.Verification) {
		g.changeProgram(t, "app", func(p *v1alpha1.MiniProgram) { p.Spec.Verification = &v })
	}
	verification(v1alpha1.Verification{Keys: []v1alpha1.VerificationKey{{Name: "release", PublicKey: "-----BEGIN PUBLIC KEY-----\n"}}})
	g.version(t, "app", "1.0.0", fromRegistry(host+"/"+repository+"@"+digest))
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionStalled, "True VerificationInvalid: spec.verification of MiniProgram app cannot be used: key release is not one PEM block PUBLIC KEY; correct it there")

	verification(v1alpha1.Verification{Identities: []v1alpha1.VerificationIdentity{{Issuer: "https://token.example.com", Subject: "dana@example.com"}}})
	g.awaitVersion(t, "app-1.0.0", v1alpha1.ConditionReady, "False SignatureInvalid: "+host+"/"+repository+"@"+digest+
		" carries no valid signature by identity dana@example.com of https://token.example.com, whom spec.verification of its MiniProgram trusts "+
		"(of signature 1: it is no key's, and of identities only Sigstore bundles are read: sign with cosign 3, or with --new-bundle-format): have it signed by one of them; it is tried again")
}
