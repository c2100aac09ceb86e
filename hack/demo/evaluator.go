package main

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// This is the second evaluator: who should get what, written from the
// description of bucket/v1 alone and from what was asked for (the digest of the
// version, the step in the Rollout's spec). It shares no code with the manifest
// service, the manager or the SDK, and must not.

// asked is what a host app's users should get of a program at some moment.
type asked struct {
	appID string
	// target is the digest that a share gets; stable what the others do. Empty: nothing.
	target, stable string
	// hundredths is the target's share in hundredths of a percent.
	hundredths int64
	// brief says that this ends by itself after a time.
	brief bool
}

// due returns the digest that a user should get, or nothing.
func (a asked) due(user string) string {
	if a.target != "" && bucketOf(a.appID+"@"+a.target, user) < a.hundredths {
		return a.target
	}
	return a.stable
}

// bucketOf places a user between 0 and 9999: ten thousand times the hash, as a
// fraction of all hashes.
func bucketOf(seed, user string) int64 {
	place := new(big.Int).SetUint64(uint64(murmur3([]byte(seed + ":" + user))))
	place.Mul(place, big.NewInt(10000))
	return place.Quo(place, big.NewInt(1<<32)).Int64()
}

// murmur3 is Austin Appleby's MurmurHash3_x86_32 with seed 0.
func murmur3(data []byte) uint32 {
	var hash uint32
	blocks := len(data) / 4
	for i := range blocks {
		var k uint32
		for j := 3; j >= 0; j-- { // little-endian
			k = k<<8 | uint32(data[4*i+j])
		}
		hash ^= rotate(k*0xcc9e2d51, 15) * 0x1b873593
		hash = rotate(hash, 13)*5 + 0xe6546b64
	}
	var tail uint32
	for j := len(data) - 1; j >= 4*blocks; j-- {
		tail = tail<<8 | uint32(data[j])
	}
	if len(data) > 4*blocks {
		hash ^= rotate(tail*0xcc9e2d51, 15) * 0x1b873593
	}
	hash ^= uint32(len(data))
	hash ^= hash >> 16
	hash *= 0x85ebca6b
	hash ^= hash >> 13
	hash *= 0xc2b2ae35
	hash ^= hash >> 16
	return hash
}

func rotate(x uint32, by uint) uint32 { return x<<by | x>>(32-by) }

// hundredthsOf reads a step's setPercent: 5, or "0.25%".
func hundredthsOf(percent intstr.IntOrString) (int64, error) {
	text := strings.TrimSuffix(percent.String(), "%")
	share, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, fmt.Errorf("setPercent %q is no number", percent.String())
	}
	share.Mul(share, big.NewRat(100, 1))
	if !share.IsInt() {
		return 0, fmt.Errorf("setPercent %q has more than two decimals", percent.String())
	}
	return share.Num().Int64(), nil
}

// percentOf writes a share for people.
func percentOf(hundredths int64) string {
	return strconv.FormatFloat(float64(hundredths)/100, 'f', -1, 64) + " %"
}
