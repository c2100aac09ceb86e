package keychain_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
)

// FuzzFollow answers with anything where a chain of keys is asked for: whoever follows it from
// a pinned key never comes to trust one that no trusted key has vouched for, and never goes
// back in the number.
func FuzzFollow(f *testing.F) {
	data, err := os.ReadFile("../../vectors/keys-v1.json")
	if err != nil {
		f.Fatal(err)
	}
	var vectors struct {
		Keys  map[string]string
		Cases []struct{ Answer, Stored string }
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		f.Fatal(err)
	}
	for _, c := range vectors.Cases {
		f.Add([]byte(c.Answer))
	}
	var pinned []dsse.Key
	var known []string // the keys of the vectors: nobody but those who have them can sign
	for _, pem := range vectors.Keys {
		key, err := dsse.ParsePublicKeyPEM([]byte(pem))
		if err != nil {
			f.Fatal(err)
		}
		pinned, known = append(pinned, key), append(known, key.ID)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		chain, err := keychain.ParseChain(answer)
		if err != nil {
			return
		}
		for _, pin := range pinned {
			before, err := keychain.Pin(pin)
			if err != nil {
				t.Fatal(err)
			}
			after, err := before.Follow(chain)
			if err != nil && after.Number != 0 {
				t.Errorf("after %v number %d is trusted", err, after.Number)
			}
			for _, k := range after.Keys {
				if !slices.Contains(known, k.KeyID) {
					t.Errorf("key %s is trusted", k.KeyID)
				}
			}
			if again, err := after.Follow(chain); err == nil && again.Number != after.Number {
				t.Errorf("from number %d the same chain leads to %d", after.Number, again.Number)
			}
		}
	})
}
