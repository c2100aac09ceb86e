package document

import (
	"encoding/base64"
	"slices"
	"sort"
)

// HashLength is the length of a hashed key: 16 bytes in base64url.
const HashLength = 22

// MaxHashes bounds each list of hashed keys that a document holds.
const MaxHashes = 1000

// HashKey returns a user's key as it stands in an audience: the first 16 bytes
// of sha256(utf8(seed + ":" + key)), base64url without padding.
//
// The seed is public, so this hides no key that can be guessed: a phone number
// is found by trying them all.
func HashKey(seed, key string) string {
	hash := hashKey(seed, key)
	return string(hash[:])
}

// HashKeys returns the hashes of all keys as KeySet wants them: sorted by their
// bytes, each once.
func HashKeys(seed string, keys []string) []string {
	hashes := make([]string, 0, len(keys))
	for _, key := range keys {
		hashes = append(hashes, HashKey(seed, key))
	}
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

// Has reports whether key is in the set. It does not allocate for seeds and
// keys of usual length.
func (k KeySet) Has(seed, key string) bool {
	if len(k.Hashes) == 0 {
		return false
	}
	hash := hashKey(seed, key)
	i := sort.Search(len(k.Hashes), func(i int) bool { return k.Hashes[i] >= string(hash[:]) })
	return i < len(k.Hashes) && k.Hashes[i] == string(hash[:])
}

func hashKey(seed, key string) (text [HashLength]byte) {
	hash := SumKey(seed, key)
	base64.RawURLEncoding.Encode(text[:], hash[:])
	return text
}
