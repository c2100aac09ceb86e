package signing

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/internal/journal"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// Set is the keys of the installation at one moment. It is immutable.
type Set struct {
	// Keys are those of the newest key document.
	Keys []keychain.Key
	// Number of that document.
	Number int64
	// signers sign every document: those that are Active first.
	signers []*Signer
	// believed are the public keys that are Active or Retiring; active the former alone. The
	// Secret of one that retires may be lost.
	believed, active []dsse.Key
}

// newSet finds who signs among the keys that are held. Without one of the Active keys
// there is none: what it left unsigned, some host app could not read.
func newSet(newest *keychain.Document, held map[string]*Signer) (*Set, error) {
	s := &Set{Keys: newest.Keys, Number: newest.Number}
	for _, k := range newest.Keys {
		public, err := k.Public()
		if err != nil {
			return nil, err
		}
		if k.State == keychain.Active {
			s.active = append(s.active, public)
		}
		if k.State != keychain.Next {
			s.believed = append(s.believed, public)
		}
	}
	for _, state := range []keychain.State{keychain.Active, keychain.Retiring} {
		for _, k := range newest.Keys {
			signer := held[k.KeyID]
			if k.State == state && signer != nil {
				s.signers = append(s.signers, signer)
			}
			if k.State == keychain.Active && signer == nil {
				return nil, fmt.Errorf("%w: key %s", ErrKeyMissing, k.KeyID)
			}
		}
	}
	return s, nil
}

// Sign returns the envelope around the document's bytes, with a signature by every key
// that signs. The same document has the same envelope for as long as the keys stay.
func (s *Set) Sign(payload []byte) ([]byte, error) {
	return seal(s.signers, document.PayloadType, payload)
}

// SignPreview is Sign for the bytes of a preview.
func (s *Set) SignPreview(payload []byte) ([]byte, error) {
	return seal(s.signers, document.PreviewPayloadType, payload)
}

// SignEntry is Sign for the bytes of an entry of the journal.
func (s *Set) SignEntry(payload []byte) ([]byte, error) {
	return seal(s.signers, journal.PayloadType, payload)
}

// Believed are the public keys whose signatures count.
func (s *Set) Believed() []dsse.Key { return slices.Clone(s.believed) }

func seal(signers []*Signer, payloadType string, payload []byte) ([]byte, error) {
	e, err := dsse.Sign(signers[0].private, payloadType, payload)
	for _, next := range signers[1:] {
		if err == nil {
			err = e.Add(next.private)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("signing the document: %w", err)
	}
	return e.Marshal()
}

// Verify returns the document in an envelope that one of the keys signed.
func (s *Set) Verify(envelope []byte) (*document.Release, error) {
	_, payload, _, err := dsse.Verify(envelope, 2*document.MaxSize, s.believed)
	if err != nil {
		return nil, fmt.Errorf("checking the envelope: %w", err)
	}
	return document.Parse(payload)
}

// Good tells that the envelope is one of ours around the payload, signed by a key that
// signs now: it need not be written again, though another key may still have to sign it too.
func (s *Set) Good(envelope, payload []byte) bool {
	got, err := s.open(envelope)
	return err == nil && bytes.Equal(got, payload)
}

// open returns the payload of an envelope that one of the signing keys signed. It is
// exactly as Sign would write it, but for the signatures.
func (s *Set) open(envelope []byte) ([]byte, error) {
	e, err := dsse.Parse(envelope, release.MaxEnvelopeSize)
	if err != nil {
		return nil, err
	}
	payload, _, err := e.Verify(s.believed)
	if err != nil {
		return nil, err
	}
	if e.PayloadType != document.PayloadType {
		return nil, fmt.Errorf("the payload type is %q, want %q", e.PayloadType, document.PayloadType)
	}
	if again, err := e.Marshal(); err != nil || !bytes.Equal(again, envelope) {
		return nil, errors.New("the envelope is not written as ours are")
	}
	return payload, nil
}

// Complete tells that the envelope names every key that signs now. It looks at names
// alone, for it is asked of every document again and again; see Lacks.
func (s *Set) Complete(envelope []byte) bool {
	e, err := dsse.Parse(envelope, release.MaxEnvelopeSize)
	if err != nil {
		return true // nothing that signing anew could mend
	}
	for _, signer := range s.signers {
		if !slices.ContainsFunc(e.Signatures, func(g dsse.Signature) bool { return g.KeyID == signer.Key.ID }) {
			return false
		}
	}
	return true
}

// KeyIDs names the keys that sign now. While it is the same, so is what Complete says.
func (s *Set) KeyIDs() string {
	var ids []string
	for _, signer := range s.signers {
		ids = append(ids, signer.Key.ID)
	}
	return strings.Join(ids, " ")
}

// SignAnew returns the same document with a signature by every key that signs now. One
// that none of them signed is refused, whoever wrote it: it would become ours.
func (s *Set) SignAnew(envelope []byte) ([]byte, error) {
	payload, err := s.open(envelope)
	if err != nil {
		return nil, fmt.Errorf("signing anew: %w", err)
	}
	return s.Sign(payload)
}

// Lacks tells that the envelope counts today and would not without the keys that are
// Retiring.
func (s *Set) Lacks(envelope []byte) bool {
	if _, err := s.open(envelope); err != nil {
		return false
	}
	_, _, _, err := dsse.Verify(envelope, release.MaxEnvelopeSize, s.active)
	return err != nil
}

// vouch signs a key document with every key that is held and that it lists, and with
// those that were Active before: so that it is believed by who follows the old keys, and
// by who was built with the new ones. That a key which is Next signs it proves that it is
// held, and tells the manager, should the other be lost, that the document is its own.
func vouch(d, before *keychain.Document, held map[string]*Signer) (*dsse.Envelope, error) {
	payload, err := keychain.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("writing key document %d: %w", d.Number, err)
	}
	var signers []*Signer
	add := func(keys []keychain.Key, states ...keychain.State) {
		for _, k := range keys {
			if s := held[k.KeyID]; s != nil && slices.Contains(states, k.State) && !slices.Contains(signers, s) {
				signers = append(signers, s)
			}
		}
	}
	add(d.Keys, keychain.Active, keychain.Retiring, keychain.Next)
	if before != nil {
		add(before.Keys, keychain.Active)
	}
	if len(signers) == 0 {
		return nil, fmt.Errorf("%w: none that may sign key document %d is there", ErrKeyMissing, d.Number)
	}
	text, err := seal(signers, keychain.PayloadType, payload)
	if err != nil {
		return nil, err
	}
	return dsse.Parse(text, len(text))
}
