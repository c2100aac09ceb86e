package bucket_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/bucket"
)

func TestEveryVectorHasItsHashAndBucket(t *testing.T) {
	raw, err := os.ReadFile("../../vectors/bucket-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Algorithm string
		Vectors   []struct {
			Seed, Key, Hash string
			Bucket          int
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if file.Algorithm != bucket.Algorithm {
		t.Fatalf("the vectors are for %q, this is %q", file.Algorithm, bucket.Algorithm)
	}
	if len(file.Vectors) < 40 {
		t.Fatalf("only %d vectors were read", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		if got := fmt.Sprintf("%08x", bucket.Hash(v.Seed, v.Key)); got != v.Hash {
			t.Errorf("Hash(%q, %q) = %s, want %s", v.Seed, v.Key, got, v.Hash)
		}
		if got := bucket.Of(v.Seed, v.Key); got != v.Bucket {
			t.Errorf("Of(%q, %q) = %d, want %d", v.Seed, v.Key, got, v.Bucket)
		}
	}
}

func TestTheSplitBetweenSeedAndKeyDoesNotChangeTheBytesHashed(t *testing.T) {
	const text = "com.example.shop@sha256:0123456789:some user key"
	want := bucket.Hash("com.example.shop@sha256", "0123456789:some user key")
	if got := bucket.Hash("com.example.shop@sha256:0123456789", "some user key"); got != want {
		t.Errorf("%q hashed in other pieces is %08x, want %08x", text, got, want)
	}
}

func TestRaisingAShareNeverTakesTheTargetFromAnybody(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		seed, key := fmt.Sprintf("app-%d", random.IntN(50)), fmt.Sprintf("user-%d", random.Uint64())
		low := random.IntN(bucket.Count + 1)
		high := low + random.IntN(bucket.Count+1-low)
		if b := bucket.Of(seed, key); b < low && b >= high {
			t.Fatalf("%s of %s has the target at %d basis points and not at %d", key, seed, low, high)
		}
	}
}

func TestEveryoneIsInAFullShareAndNobodyInAnEmptyOne(t *testing.T) {
	for i := range 20000 {
		if b := bucket.Of("app", fmt.Sprint(i)); b < 0 || b >= bucket.Count {
			t.Fatalf("user %d has bucket %d", i, b)
		}
	}
}

func TestAShareHoldsAboutThatManyUsers(t *testing.T) {
	const users, basisPoints = 100000, 500
	served := 0
	for i := range users {
		if bucket.Of("com.example.shop@sha256:ab", fmt.Sprintf("user-%d", i)) < basisPoints {
			served++
		}
	}
	// Five standard deviations of a fair draw: sqrt(100000 × 0.05 × 0.95) ≈ 69.
	if want := users * basisPoints / bucket.Count; served < want-345 || served > want+345 {
		t.Errorf("5 %% of %d users are %d, want about %d", users, served, want)
	}
}

func TestHashingDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { bucket.Of("com.example.shop@sha256:abcdef", "user-1") }); n != 0 {
		t.Errorf("Of allocates %v times", n)
	}
}

// BenchmarkBucket reports ns, the nanoseconds for one user of one program.
func BenchmarkBucket(b *testing.B) {
	const seed = "com.example.shop@sha256:abababababababababababababababababababababababababababababababab"
	b.ReportAllocs()
	for b.Loop() {
		bucket.Of(seed, "user-123456")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns")
}
