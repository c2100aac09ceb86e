package signing_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

// out is what is published; err is why that cannot be told.
type out struct {
	published bool
	lacking   int
	err       error
}

func (o out) Published(context.Context) (bool, error) { return o.published, o.err }

func (o out) Lacking(context.Context, *signing.Set) (int, error) { return o.lacking, o.err }

var (
	never   = out{}
	already = out{published: true}
)

var began = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// newKeys is what a manager has when it starts; a second one in the same
// namespace is a restarted manager, or another replica.
func newKeys(t *testing.T, namespace string) *signing.Keys {
	t.Helper()
	c, err := client.New(controlplane.ForTest(t).Admin(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &signing.Keys{
		Client: c, Namespace: namespace, Name: "signing-key", TrustedName: "trusted-keys", PublicationNamespace: namespace,
		Times: signing.Times{Announce: 7 * 24 * time.Hour, Overlap: 30 * 24 * time.Hour}, Now: func() time.Time { return began },
	}
}

// signerOf is the only key that the installation has.
func signerOf(t *testing.T, k *signing.Keys, d signing.Documents) keychain.Key {
	t.Helper()
	s, err := k.Set(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Keys) != 1 || s.Keys[0].State != keychain.Active {
		t.Fatalf("keys %+v, want one that is Active", s.Keys)
	}
	return s.Keys[0]
}

func get[T any, P interface {
	*T
	client.Object
}](t *testing.T, k *signing.Keys, name string) P {
	t.Helper()
	o := P(new(T))
	if err := k.Client.Get(t.Context(), client.ObjectKey{Namespace: k.Namespace, Name: name}, o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestTheKeyIsMadeOnceAndReadByTheNext(t *testing.T) {
	namespace := controlplane.ForTest(t).Namespace(t)
	k := newKeys(t, namespace)
	first := signerOf(t, k, never)
	if again := signerOf(t, k, already); again != first {
		t.Error("the same manager has two keys")
	}
	secret := get[corev1.Secret](t, k, "signing-key")
	if got := string(secret.Data[signing.PublicKey]); got != first.PublicKey {
		t.Errorf("the Secret's public key is %s, want %s", got, first.PublicKey)
	}
	restarted := newKeys(t, namespace)
	if next := signerOf(t, restarted, already); next != first {
		t.Errorf("after a restart the key is %s, was %s", next.KeyID, first.KeyID)
	}
	want := map[string]string{first.KeyID + ".pem": first.PublicKey}
	if diff := cmp.Diff(want, get[corev1.ConfigMap](t, k, "trusted-keys").Data); diff != "" {
		t.Errorf("trusted keys: -want +got:\n%s", diff)
	}
}

func TestAMissingKeyIsNotReplaced(t *testing.T) {
	namespace := controlplane.ForTest(t).Namespace(t)
	k := newKeys(t, namespace)
	_, err := k.Set(t.Context(), already)
	want := "the signing key is missing although documents were published with it: restore Secret " + namespace + "/signing-key from a backup"
	if !errors.Is(err, signing.ErrKeyMissing) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	var secret corev1.Secret
	if err := k.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "signing-key"}, &secret); !apierrors.IsNotFound(err) {
		t.Errorf("a key was made: %v", err)
	}
	unknown := errors.New("listing published documents: refused")
	if _, err := k.Set(t.Context(), out{err: unknown}); !errors.Is(err, unknown) {
		t.Errorf("whether one was published is not known: %v", err)
	}
	signerOf(t, k, never) // an error is not remembered
}

func TestManagersThatStartTogetherAgreeOnAKey(t *testing.T) {
	namespace := controlplane.ForTest(t).Namespace(t)
	ids := make([]string, 4)
	var all sync.WaitGroup
	for i := range ids {
		k := newKeys(t, namespace)
		all.Go(func() {
			for range 20 { // who comes second fails, and reads at the next call
				if s, err := k.Set(t.Context(), never); err == nil {
					ids[i] = s.Keys[0].KeyID
					return
				}
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("keys %q", ids)
		}
	}
}

func TestTrustedKeysAreMended(t *testing.T) {
	namespace := controlplane.ForTest(t).Namespace(t)
	k := newKeys(t, namespace)
	s := signerOf(t, k, never)
	cm := get[corev1.ConfigMap](t, k, "trusted-keys")
	cm.Data = map[string]string{"forged.pem": "x"}
	if err := k.Client.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	signerOf(t, newKeys(t, namespace), already)
	if diff := cmp.Diff(map[string]string{s.KeyID + ".pem": s.PublicKey}, get[corev1.ConfigMap](t, k, "trusted-keys").Data); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestADamagedSecretIsNotReplaced(t *testing.T) {
	namespace := controlplane.ForTest(t).Namespace(t)
	k := newKeys(t, namespace)
	signerOf(t, k, never)
	secret := get[corev1.Secret](t, k, "signing-key")
	secret.Data[signing.PrivateKey] = []byte("garbage")
	if err := k.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	_, err := newKeys(t, namespace).Set(t.Context(), never)
	want := "reading Secret " + namespace + "/signing-key: private.pem is no PEM block PRIVATE KEY"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func newSigner(t *testing.T) *signing.Signer {
	t.Helper()
	s, err := signing.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDocumentsAreSignedAndVerified(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	doc := &document.Release{
		Type: document.TypeRelease, AppID: "com.example.shop", Channel: document.ChannelRelease, HostApps: []string{"wallet"},
		Rollout: document.Rollout{Namespace: "shop-team", Name: "shop"}, Sequence: 1, IssuedAt: document.At(at),
		ExpiresAt: document.At(at.Add(time.Hour)), PollSeconds: 60, Availability: document.Listed, Decide: document.DecideHost,
	}
	payload, err := document.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	s := newSigner(t)
	text, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	same, err := signing.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	one, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	two, err := same.Sign(payload)
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("one key makes two envelopes of one document: %v", err)
	}
	got, err := same.Verify(one)
	if diff := cmp.Diff(doc, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if got, err := newSigner(t).Verify(one); err == nil {
		t.Errorf("another key verifies it: %+v", got)
	}
	if got, err := s.Verify(bytes.Replace(one, []byte(`"payload":"e`), []byte(`"payload":"f`), 1)); err == nil {
		t.Errorf("a changed document is verified: %+v", got)
	}
}

func TestWhatIsNoKeyIsNotParsed(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	for name, test := range map[string]struct {
		text []byte
		want string
	}{
		"nothing":       {nil, "private.pem is no PEM block PRIVATE KEY"},
		"a public key":  {[]byte(newSigner(t).PEM), "private.pem is no PEM block PRIVATE KEY"},
		"another curve": {block("PRIVATE KEY", der), "private.pem is no ECDSA key on P-256"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := signing.Parse(test.text); err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	if _, err := signing.Parse(block("PRIVATE KEY", []byte("x"))); err == nil {
		t.Error("what is no DER was parsed")
	}
}
