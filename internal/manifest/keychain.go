package manifest

import (
	"encoding/json"
	"slices"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

// keyChain is the chain of key documents in service. It is immutable.
type keyChain struct {
	record *record
	chain  *keychain.Chain
	newest *keychain.Document
}

// keysAnswer is what is told about keys. It is immutable.
type keysAnswer struct {
	// pins are what a host app that is built now should pin.
	pins []delivery.PublicKey
	body *encoded
}

// readKeys checks the record of the chain with the keys that are trusted.
func readKeys(r *record, trusted []dsse.Key) (*keyChain, error) {
	if r.Name != delivery.KeysConfigMap {
		return nil, reject(reasonName, "the chain of keys belongs into ConfigMap %s", delivery.KeysConfigMap)
	}
	text := r.Data[delivery.KeyChain]
	if text == "" {
		return nil, reject(reasonIncomplete, "the key %s is missing", delivery.KeyChain)
	}
	chain, err := keychain.ParseChain([]byte(text))
	if err != nil {
		return nil, reject(reasonMalformed, "%w", err)
	}
	documents, err := chain.Check(trusted)
	if err != nil {
		return nil, reject(reasonSignature, "%w", err)
	}
	return &keyChain{record: r, chain: chain, newest: documents[len(documents)-1]}, nil
}

// takeKeys takes over the chain of key documents. Host apps that followed it to a number
// are never led back.
func (st *store) takeKeys(r *record) error {
	old := st.chain
	if old != nil && old.record.equal(r) {
		return nil
	}
	k, err := readKeys(r, st.keys.Load().keys)
	if err != nil {
		return err
	}
	if k.newest.Number < st.keyNumber {
		return reject(reasonRolledBack, "its number is %d, in service was %d", k.newest.Number, st.keyNumber)
	}
	if old != nil && k.newest.Number == st.keyNumber && !sameEnd(k.chain, old.chain) {
		return reject(reasonConflict, "it differs from the document in service, which has the same number %d", st.keyNumber)
	}
	st.chain, st.keyNumber = k, k.newest.Number
	st.answerKeys()
	st.accepted(r)
	return nil
}

func sameEnd(a, b *keychain.Chain) bool {
	return a.Documents[len(a.Documents)-1].Payload == b.Documents[len(b.Documents)-1].Payload
}

// recheckKeys takes the chain out of service if none of the keys that are trusted now
// signed its end.
func (st *store) recheckKeys() {
	if st.chain != nil {
		if _, err := readKeys(st.chain.record, st.keys.Load().keys); err != nil {
			st.keep(st.chain.record.Name, err, st.chain.record)
			st.chain = nil
		}
	}
	st.answerKeys()
}

// answerKeys makes anew what is told about keys: those that are trusted, with their
// states as far as the chain tells them, and the chain.
func (st *store) answerKeys() {
	public := slices.Clone(st.keys.Load().public)
	answer, documents := new(keysAnswer), []dsse.Envelope{}
	for i := range public {
		k := &public[i]
		state := st.stateOf(k.KeyID)
		if state != keychain.Retiring {
			answer.pins = append(answer.pins, *k)
		}
		k.State = string(state)
	}
	if st.chain != nil {
		documents = st.chain.chain.Documents
	}
	text, err := json.Marshal(map[string]any{"keys": public, "documents": documents})
	if err != nil {
		panic("keys are strings: " + err.Error())
	}
	answer.body = encode("application/json", text)
	st.told.Store(answer)
}

func (st *store) stateOf(id string) keychain.State {
	if st.chain == nil {
		return ""
	}
	at := slices.IndexFunc(st.chain.newest.Keys, func(k keychain.Key) bool { return k.KeyID == id })
	if at < 0 {
		return ""
	}
	return st.chain.newest.Keys[at].State
}
