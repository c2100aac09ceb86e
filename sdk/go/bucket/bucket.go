// Package bucket is bucket/v1: where a user stands between 0 and 9999 for a
// seed. The algorithm is frozen; changing it would move every user of every
// rollout that is under way.
//
//	h      = murmur3_x86_32(utf8(seed + ":" + key), seed 0)
//	bucket = (uint64(h) * 10000) >> 32
//
// A user has the target when bucket < basisPoints, so that raising the share
// never takes the target from anybody, and lowering it takes it first from
// those who got it last.
package bucket

import "math/bits"

// Algorithm names this algorithm in a published document's split.
const Algorithm = "bucket/v1"

// Count is the number of buckets: one for each basis point.
const Count = 10000

// The constants of murmur3_x86_32.
const (
	c1 = 0xcc9e2d51
	c2 = 0x1b873593
)

// Of returns the bucket of key for seed, from 0 to 9999. It does not allocate.
//
// Any key has a bucket, the empty one too; that nobody without a key is ever
// given the target is the evaluator's rule, not this function's.
func Of(seed, key string) int {
	return int(uint64(Hash(seed, key)) * Count >> 32)
}

// Hash returns murmur3_x86_32 with seed 0 over the bytes of seed, a colon and
// key. The strings are hashed as they are, so both must be UTF-8 to agree with
// other languages. It does not allocate.
func Hash(seed, key string) uint32 {
	var s state
	s.write(seed)
	s.write(":")
	s.write(key)
	return s.sum()
}

// state is a murmur3_x86_32 under way: the strings are hashed one after the
// other, which saves joining them in memory.
type state struct {
	h       uint32
	pending uint64 // bytes that do not fill a block of four yet, lowest first
	filled  uint   // how many bits of pending are in use: 0, 8, 16 or 24
	length  uint32
}

func (s *state) write(text string) {
	s.length += uint32(len(text))
	h, pending, filled := s.h, s.pending, s.filled // in registers, for the loops
	for ; len(text) >= 4; text = text[4:] {
		block := uint32(text[0]) | uint32(text[1])<<8 | uint32(text[2])<<16 | uint32(text[3])<<24
		pending |= uint64(block) << filled
		h = mix(h, uint32(pending))
		pending >>= 32
	}
	for i := range len(text) {
		pending |= uint64(text[i]) << filled
		if filled += 8; filled == 32 {
			h = mix(h, uint32(pending))
			pending, filled = 0, 0
		}
	}
	s.h, s.pending, s.filled = h, pending, filled
}

// mix takes a whole block into the hash.
func mix(h, block uint32) uint32 {
	return bits.RotateLeft32(h^scramble(block), 13)*5 + 0xe6546b64
}

func (s *state) sum() uint32 {
	// Scrambling nothing yields nothing: an empty tail needs no case of its own.
	h := s.h ^ scramble(uint32(s.pending)) ^ s.length
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

func scramble(block uint32) uint32 {
	return bits.RotateLeft32(block*c1, 15) * c2
}
