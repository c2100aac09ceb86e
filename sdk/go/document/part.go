package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
)

// KeyHash is a user's key as parts of an audience hold it: what HashKey writes as text.
type KeyHash [16]byte

// MaxPartKeys bounds the keys of one part, which has then 256 KiB.
const MaxPartKeys = 16384

// SumKey returns the hash of a user's key. It does not allocate for seeds and keys of
// usual length.
func SumKey(seed, key string) KeyHash {
	var stack [256]byte
	text := append(append(append(stack[:0], seed...), ':'), key...)
	sum := sha256.Sum256(text)
	return KeyHash(sum[:len(KeyHash{})])
}

// String is the hash as a KeySet has it.
func (h KeyHash) String() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// PartData are the bytes of a part: hashes one after another, sorted by their bytes,
// each once. A Part names them by their digest.
type PartData []byte

// Keys is how many hashes there are.
func (p PartData) Keys() int { return len(p) / len(KeyHash{}) }

// Digest is what a Part names the bytes by.
func (p PartData) Digest() string {
	sum := sha256.Sum256(p)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Has reports whether a hash is among them. It does not allocate.
func (p PartData) Has(hash KeyHash) bool {
	n := p.Keys()
	i := sort.Search(n, func(i int) bool { return bytes.Compare(p.at(i), hash[:]) >= 0 })
	return i < n && bytes.Equal(p.at(i), hash[:])
}

func (p PartData) at(i int) []byte {
	const size = len(KeyHash{})
	return p[i*size : (i+1)*size]
}

// Check insists on the form, for a list out of order silently loses members in a
// binary search.
func (p PartData) Check() error {
	n := p.Keys()
	switch {
	case n == 0 || len(p)%len(KeyHash{}) != 0:
		return fmt.Errorf("the part has %d bytes: it must have hashes of %d bytes, at least one", len(p), len(KeyHash{}))
	case n > MaxPartKeys:
		return fmt.Errorf("the part has %d keys, %d are allowed", n, MaxPartKeys)
	}
	for i := 1; i < n; i++ {
		if bytes.Compare(p.at(i-1), p.at(i)) >= 0 {
			return fmt.Errorf("hash %d of the part must come after the one before: sorted, each once", i)
		}
	}
	return nil
}

// HashParts returns the hashes of all keys as parts, each key once.
func HashParts(seed string, keys []string) []PartData {
	hashes := make([]KeyHash, 0, len(keys))
	for _, key := range keys {
		hashes = append(hashes, SumKey(seed, key))
	}
	slices.SortFunc(hashes, func(a, b KeyHash) int { return bytes.Compare(a[:], b[:]) })
	var parts []PartData
	for some := range slices.Chunk(slices.Compact(hashes), MaxPartKeys) {
		data := make(PartData, 0, len(some)*len(KeyHash{}))
		for _, hash := range some {
			data = append(data, hash[:]...)
		}
		parts = append(parts, data)
	}
	return parts
}
