package keychain

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/internal/strictjson"
)

// Errors of a chain, to be matched with errors.Is. After each of them, what was
// trusted before is trusted still.
var (
	// ErrTooLarge: the chain is longer than MaxChainSize, or has more than MaxDocuments.
	ErrTooLarge = errors.New("the chain of keys is too large")
	// ErrMalformed: it is no chain, a document that is signed well cannot be read, or the numbers do not rise.
	ErrMalformed = errors.New("the chain of keys is malformed")
	// ErrBroken: it does not lead from a trusted key to its end.
	ErrBroken = errors.New("the chain of keys is broken")
	// ErrRolledBack: it ends before a document that was followed. It is an old copy, or an attack.
	ErrRolledBack = errors.New("the chain of keys is older than the one that was followed")
)

// Code names an error of a chain, as sdk/vectors does for every language: TooLarge,
// Malformed, Broken or RolledBack; empty for nil and for any other error.
func Code(err error) string {
	for code, check := range map[string]error{
		"TooLarge": ErrTooLarge, "Malformed": ErrMalformed, "Broken": ErrBroken, "RolledBack": ErrRolledBack,
	} {
		if errors.Is(err, check) {
			return code
		}
	}
	return ""
}

// Chain is the answer of GET /v1/keys: documents in the order of their numbers.
// Further members are for people.
type Chain struct {
	Documents []dsse.Envelope `json:"documents"`
}

// ParseChain reads a chain. It checks no signature.
func ParseChain(data []byte) (*Chain, error) {
	if len(data) > MaxChainSize {
		return nil, fmt.Errorf("%w: it has %d bytes, %d are allowed", ErrTooLarge, len(data), MaxChainSize)
	}
	c := new(Chain)
	if err := strictjson.Decode(data, c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if n := len(c.Documents); n > MaxDocuments {
		return nil, fmt.Errorf("%w: it has %d documents, %d are allowed", ErrTooLarge, n, MaxDocuments)
	}
	return c, nil
}

// Trust is whom a client believes. It is a value: to be stored as JSON where nobody
// else writes, and taken up again with Resume.
type Trust struct {
	// Pins are the IDs of the keys that the client was built with.
	Pins []string `json:"pins"`
	// Number of the newest document that was followed; 0: none, and Keys are the pinned ones.
	Number int64 `json:"number"`
	Keys   []Key `json:"keys"`
}

// Pin trusts the keys that a client was built with.
func Pin(pinned ...dsse.Key) (Trust, error) {
	var t Trust
	for _, p := range pinned {
		k, err := NewKey(p, Active)
		if err != nil {
			return Trust{}, fmt.Errorf("pinning key %s: %w", p.ID, err)
		}
		t.Pins, t.Keys = append(t.Pins, p.ID), append(t.Keys, k)
	}
	if len(t.Keys) == 0 {
		return Trust{}, errors.New("no key is pinned: nothing could ever be believed")
	}
	slices.Sort(t.Pins)
	return t, nil
}

// Resume goes on from what was stored, if the client was built with the same keys. A
// build with other ones begins anew: its word is newer than the device's memory, and
// after a key was stolen it is the only way out.
func Resume(stored Trust, pinned ...dsse.Key) (Trust, error) {
	fresh, err := Pin(pinned...)
	if err != nil || !slices.Equal(stored.Pins, fresh.Pins) || stored.Number == 0 {
		return fresh, err
	}
	return stored, nil
}

// SigningKeys are the keys whose signatures on documents count.
func (t *Trust) SigningKeys(now time.Time) []dsse.Key {
	return t.public(func(k *Key) bool { return k.State != Retiring || now.Before(k.RetireAfter.Time) })
}

// vouching are the keys that may sign the next key document. One that retires may not:
// it might have been stolen.
func (t *Trust) vouching() []dsse.Key {
	return t.public(func(k *Key) bool { return k.State != Retiring })
}

func (t *Trust) public(which func(*Key) bool) []dsse.Key {
	var out []dsse.Key
	for i := range t.Keys {
		// A key that cannot be read, in a store that was damaged, is trusted with nothing.
		if p, err := t.Keys[i].Public(); err == nil && p.ID == t.Keys[i].KeyID && which(&t.Keys[i]) {
			out = append(out, p)
		}
	}
	return out
}

// Follow goes along the chain and returns whom to trust then: the keys of its last
// document. What stands before the first document that a trusted key signed is passed
// over, for it is older than the pinned keys; from there on each must be signed by a
// key that the one before trusts. The receiver does not change.
func (t Trust) Follow(c *Chain) (Trust, error) {
	now, begun, last := t, false, int64(0)
	for i := range c.Documents {
		payload, _, err := c.Documents[i].Verify(now.vouching())
		if err != nil && !begun {
			continue
		}
		if err != nil {
			return t, fmt.Errorf("%w after document %d: %w", ErrBroken, last, err)
		}
		if c.Documents[i].PayloadType != PayloadType {
			return t, fmt.Errorf("%w: payload type %q, want %q", ErrMalformed, c.Documents[i].PayloadType, PayloadType)
		}
		d, err := Parse(payload)
		if err != nil {
			return t, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if d.Number <= last {
			return t, fmt.Errorf("%w: number %d stands after %d", ErrMalformed, d.Number, last)
		}
		last = d.Number
		if d.Number > t.Number {
			now.Number, now.Keys = d.Number, d.Keys
		}
		begun = d.Number >= t.Number
	}
	switch {
	case last == 0 && (t.Number > 0 || len(c.Documents) > 0):
		return t, fmt.Errorf("%w: none of its %d documents is signed by a trusted key", ErrBroken, len(c.Documents))
	case last < t.Number:
		return t, fmt.Errorf("%w: it ends at number %d, %d was followed", ErrRolledBack, last, t.Number)
	}
	return now, nil
}

// Check verifies a whole chain for who serves it: each document is signed by a key that
// the one before trusts, the numbers rise, and one of the given keys signed the last. It
// returns the documents. A client does not need it: see Trust.Follow.
func (c *Chain) Check(trusted []dsse.Key) ([]*Document, error) {
	if len(c.Documents) == 0 {
		return nil, fmt.Errorf("%w: it has no document", ErrMalformed)
	}
	var all []*Document
	var last Trust
	for i := range c.Documents {
		e := &c.Documents[i]
		text, err := e.Unverified()
		if err != nil || e.PayloadType != PayloadType {
			return nil, fmt.Errorf("%w: document %d is none", ErrMalformed, i)
		}
		d, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%w: document %d: %w", ErrMalformed, i, err)
		}
		if d.Number <= last.Number {
			return nil, fmt.Errorf("%w: number %d stands after %d", ErrMalformed, d.Number, last.Number)
		}
		if i == 0 { // the first vouches for itself: who pinned one of its keys knows better
			last.Keys = d.Keys
		}
		if _, _, err := e.Verify(last.vouching()); err != nil {
			return nil, fmt.Errorf("%w: document %d: %w", ErrBroken, d.Number, err)
		}
		last.Number, last.Keys = d.Number, d.Keys
		all = append(all, d)
	}
	if _, _, err := c.Documents[len(c.Documents)-1].Verify(trusted); err != nil {
		return nil, fmt.Errorf("%w: document %d: %w", ErrBroken, last.Number, err)
	}
	return all, nil
}
