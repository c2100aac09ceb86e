// Package signing signs published documents, and keeps the key with which it
// does: one ECDSA P-256 key for the installation, in a Secret of the manager's
// own namespace. Envelopes and signatures are those of sdk/go/dsse.
//
// A key is made only while nothing was ever published. One that goes missing
// later is an error and never replaced: host apps pin the public key when they
// are built, so a new one would look like an attack to every device.
package signing

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// Keys in the Secret and in the ConfigMap of trusted keys.
const (
	// PrivateKey holds the private key, PEM of PKCS #8.
	PrivateKey = "private.pem"
	// PublicKey holds the public key, PEM of SubjectPublicKeyInfo.
	PublicKey = "public.pem"
	// Algorithm of the signatures, for people.
	Algorithm = "ECDSA-P256-SHA256"
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
func (s *Signer) Sign(payload []byte) ([]byte, error) { return s.sign(document.PayloadType, payload) }

// SignPreview returns the envelope around a preview's bytes.
func (s *Signer) SignPreview(payload []byte) ([]byte, error) {
	return s.sign(document.PreviewPayloadType, payload)
}

func (s *Signer) sign(payloadType string, payload []byte) ([]byte, error) {
	e, err := dsse.Sign(s.private, payloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("signing the document: %w", err)
	}
	return e.Marshal()
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

// Keys finds or makes the installation's key. It is safe for concurrent use.
type Keys struct {
	// Client reads without a cache: the manager may read this one Secret, not watch all.
	Client client.Client
	// Namespace and Name of the Secret.
	Namespace, Name string
	// TrustedName of the ConfigMap that the manifest service mounts.
	TrustedName string

	mu     sync.Mutex
	signer *Signer
}

// Signer returns the key. Without one it makes it, if nothing was ever
// published; otherwise it fails with ErrKeyMissing.
func (k *Keys) Signer(ctx context.Context, everPublished func(context.Context) (bool, error)) (*Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.signer != nil {
		return k.signer, nil
	}
	signer, err := k.load(ctx, everPublished)
	if err != nil {
		return nil, err
	}
	if err := k.trust(ctx, signer); err != nil {
		return nil, err
	}
	k.signer = signer
	return signer, nil
}

func (k *Keys) load(ctx context.Context, everPublished func(context.Context) (bool, error)) (*Signer, error) {
	var secret corev1.Secret
	err := k.Client.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: k.Name}, &secret)
	if err == nil {
		signer, err := Parse(secret.Data[PrivateKey])
		if err != nil {
			return nil, fmt.Errorf("reading Secret %s/%s: %w", k.Namespace, k.Name, err)
		}
		return signer, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading Secret %s/%s: %w", k.Namespace, k.Name, err)
	}
	published, err := everPublished(ctx)
	if err != nil {
		return nil, err
	}
	if published {
		return nil, fmt.Errorf("%w: restore Secret %s/%s from a backup", ErrKeyMissing, k.Namespace, k.Name)
	}
	return k.create(ctx)
}

func (k *Keys) create(ctx context.Context) (*Signer, error) {
	signer, err := NewSigner()
	if err != nil {
		return nil, err
	}
	private, err := signer.Marshal()
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: k.Name},
		Data:       map[string][]byte{PrivateKey: private, PublicKey: []byte(signer.PEM)},
	}
	// AlreadyExists is an error too: the next call reads what the other wrote.
	if err := k.Client.Create(ctx, secret); err != nil {
		return nil, fmt.Errorf("creating Secret %s/%s: %w", k.Namespace, k.Name, err)
	}
	return signer, nil
}

// trust writes the public key where the manifest service mounts it.
func (k *Keys) trust(ctx context.Context, s *Signer) error {
	want := map[string]string{s.Key.ID + ".pem": s.PEM}
	var cm corev1.ConfigMap
	err := k.Client.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: k.TrustedName}, &cm)
	switch {
	case apierrors.IsNotFound(err):
		cm = corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: k.TrustedName}, Data: want}
		err = k.Client.Create(ctx, &cm)
	case err == nil && cm.Data[s.Key.ID+".pem"] != s.PEM:
		cm.Data = want
		err = k.Client.Update(ctx, &cm)
	}
	if err != nil {
		return fmt.Errorf("writing the trusted keys to ConfigMap %s/%s: %w", k.Namespace, k.TrustedName, err)
	}
	return nil
}
