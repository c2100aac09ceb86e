package signing

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

// Keys finds, makes and rotates the installation's keys. It is safe for concurrent use.
type Keys struct {
	// Client reads without a cache: the manager may read these few objects, not watch all.
	Client client.Client
	// Namespace of the Secrets; Name of the first of them, the other is called the same with "-2".
	Namespace, Name string
	// TrustedName of the ConfigMap that the manifest service mounts. A person asks for a
	// rotation by an annotation on it, and reads there how it goes.
	TrustedName string
	// PublicationNamespace is where the chain of key documents is published.
	PublicationNamespace string
	// Times of a rotation.
	Times Times
	// Now is the clock.
	Now func() time.Time

	mu  sync.Mutex
	set *Set
	err error // why the last look at the keys failed; nil: it did not
}

// Documents tells what is out. Its methods are asked only when it matters.
type Documents interface {
	// Published tells whether any document was ever published.
	Published(ctx context.Context) (bool, error)
	// Lacking counts those that would not be believed without the keys that retire.
	Lacking(ctx context.Context, s *Set) (int, error)
}

// writesAtOnce bounds the writes of one Advance. A rotation never needs as many.
const writesAtOnce = 8

// Set returns the keys that sign. Without any it makes the first one, if nothing was
// ever published; otherwise it fails with ErrKeyMissing. One that was there when the
// manager started goes on signing when its Secret is lost: see Trouble.
func (k *Keys) Set(ctx context.Context, d Documents) (*Set, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set != nil {
		return k.set, nil
	}
	if _, err := k.advance(ctx, d); k.set == nil {
		return nil, err
	}
	return k.set, nil
}

// Trouble is why the keys could not be looked at, or which one is missing, when that was
// last tried.
func (k *Keys) Trouble() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// Advance looks at the keys anew and does what has fallen due. It returns what it found
// in the end, which Report tells people.
func (k *Keys) Advance(ctx context.Context, d Documents) (Move, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.advance(ctx, d)
}

func (k *Keys) advance(ctx context.Context, d Documents) (Move, error) {
	move, err := k.step(ctx, d)
	for n := 1; err == nil && move.Verb != Rest && n < writesAtOnce; n++ {
		move, err = k.step(ctx, d)
	}
	k.err = err
	return move, err
}

// step looks at everything and makes at most one write.
func (k *Keys) step(ctx context.Context, d Documents) (Move, error) {
	f, err := k.look(ctx, d)
	if err != nil {
		return Move{}, err
	}
	move := Decide(f.Situation)
	if f.Newest != nil && (move.Verb == Rest || move.Verb == Miss) {
		// Without an Active key what was read before goes on signing.
		if set, err := newSet(f.Newest, f.held); err == nil {
			k.set = set
		}
	}
	switch move.Verb {
	case Create:
		return move, k.create(ctx, k.secretName(move.Slot))
	case Write:
		return move, k.write(ctx, f, move.Document)
	case Tell:
		return move, k.tell(ctx, f, "")
	case Delete:
		return move, k.remove(ctx, f.secrets[move.Slot])
	case Miss:
		return move, k.missing(move)
	default:
		return move, k.tell(ctx, f, move.Message)
	}
}

// found is a situation with the objects that it was read from.
type found struct {
	Situation
	held    map[string]*Signer
	secrets [Slots]*corev1.Secret
	chain   *chain
	trusted *corev1.ConfigMap // nil: there is none
}

func (k *Keys) look(ctx context.Context, d Documents) (*found, error) {
	f := &found{held: map[string]*Signer{}}
	f.Now, f.Times = k.Now(), k.Times
	for i := range f.secrets {
		signer, secret, err := k.read(ctx, k.secretName(i))
		if err != nil {
			return nil, err
		}
		if signer != nil {
			f.held[signer.Key.ID], f.Slots[i], f.secrets[i] = signer, signer.Key.ID, secret
		}
	}
	var err error
	if f.chain, err = k.readChain(ctx); err != nil {
		return nil, err
	}
	if f.chain == nil {
		f.Published, err = d.Published(ctx)
		return f, err
	}
	f.Newest, f.Earlier = f.chain.newest(), f.chain.earlier()
	if err := f.chain.ours(f.held); err != nil {
		return nil, err
	}
	if f.trusted, err = k.readTrusted(ctx); err != nil {
		return nil, err
	}
	f.Trusted = f.trusted != nil && maps.Equal(f.trusted.Data, trustedData(f.Newest.Keys))
	if f.trusted != nil {
		f.Request = f.trusted.Annotations[RequestAnnotation]
	}
	// Counting checks every document, so it is done only when a key may go.
	due := func(key keychain.Key) bool {
		return key.State == keychain.Retiring && !f.Now.Before(key.RetireAfter.Time)
	}
	if set, err := newSet(f.Newest, f.held); err == nil && slices.ContainsFunc(f.Newest.Keys, due) {
		f.Lacking, err = d.Lacking(ctx, set)
		return f, err
	}
	return f, nil
}

func (k *Keys) secretName(slot int) string {
	if slot == 0 {
		return k.Name
	}
	return fmt.Sprintf("%s-%d", k.Name, slot+1)
}

func (k *Keys) read(ctx context.Context, name string) (*Signer, *corev1.Secret, error) {
	secret := new(corev1.Secret)
	err := k.Client.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading Secret %s/%s: %w", k.Namespace, name, err)
	}
	signer, err := Parse(secret.Data[PrivateKey])
	if err != nil {
		return nil, nil, fmt.Errorf("reading Secret %s/%s: %w", k.Namespace, name, err)
	}
	return signer, secret, nil
}

func (k *Keys) create(ctx context.Context, name string) error {
	signer, err := NewSigner()
	if err != nil {
		return err
	}
	private, err := signer.Marshal()
	if err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: name},
		Data:       map[string][]byte{PrivateKey: private, PublicKey: []byte(signer.PEM)},
	}
	// AlreadyExists is an error too: the next call reads what the other wrote.
	if err := k.Client.Create(ctx, secret); err != nil {
		return fmt.Errorf("creating Secret %s/%s: %w", k.Namespace, name, err)
	}
	return nil
}

// remove deletes the Secret that was looked at, and no other of that name.
func (k *Keys) remove(ctx context.Context, secret *corev1.Secret) error {
	seen := client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion}
	err := k.Client.Delete(ctx, secret, seen)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting Secret %s/%s, whose key was retired: %w", k.Namespace, secret.Name, err)
	}
	return nil
}

// missing says what is lost and what helps.
func (k *Keys) missing(m Move) error {
	which := "Secret " + k.Namespace + "/" + k.Name
	if m.KeyID != "" {
		which = fmt.Sprintf("the Secret with key %s (%s/%s or %s)", m.KeyID, k.Namespace, k.Name, k.secretName(1))
	}
	err := fmt.Errorf("%w: restore %s from a backup", ErrKeyMissing, which)
	if m.KeyID != "" {
		return fmt.Errorf("%w; if another key is announced or signs too, kubectl miniprogram keys drop %s does without it", err, short(m.KeyID))
	}
	return err
}

// errForged says that somebody else wrote the chain.
var errForged = errors.New("its last document is signed by no key that is held")
