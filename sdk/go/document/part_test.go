package document_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

func TestAHashInAPartIsThatOfALine(t *testing.T) {
	if got, want := document.SumKey("seed", "user-1").String(), document.HashKey("seed", "user-1"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPartsHaveEachKeyOnce(t *testing.T) {
	var keys []string
	for i := range 2*document.MaxPartKeys + 1 {
		keys = append(keys, fmt.Sprintf("user-%d", i))
	}
	parts := document.HashParts("seed", append(keys, keys[:1000]...))
	var sizes []int
	for _, p := range parts {
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		sizes = append(sizes, p.Keys())
	}
	if want := []int{document.MaxPartKeys, document.MaxPartKeys, 1}; !slices.Equal(want, sizes) {
		t.Errorf("parts of %v keys, want %v", sizes, want)
	}
	in := func(hash document.KeyHash) (n int) {
		for _, p := range parts {
			if p.Has(hash) {
				n++
			}
		}
		return n
	}
	for _, key := range keys {
		if n := in(document.SumKey("seed", key)); n != 1 {
			t.Fatalf("%s is in %d parts", key, n)
		}
		if n := in(document.SumKey("another seed", key)); n != 0 {
			t.Fatalf("%s is in %d parts with another seed", key, n)
		}
	}
	if got := document.HashParts("seed", nil); got != nil {
		t.Errorf("nobody has %d parts", len(got))
	}
}

func TestAPartOutOfFormIsToldOf(t *testing.T) {
	good := document.HashParts("seed", []string{"a", "b"})[0]
	second := append(append(document.PartData{}, good[16:]...), good[:16]...)
	for name, test := range map[string]struct {
		data document.PartData
		want string
	}{
		"nothing":    {nil, "the part has 0 bytes: it must have hashes of 16 bytes, at least one"},
		"a rest":     {good[:17], "the part has 17 bytes: it must have hashes of 16 bytes, at least one"},
		"unsorted":   {second, "hash 1 of the part must come after the one before: sorted, each once"},
		"repeated":   {append(good[:16:16], good[:16]...), "hash 1 of the part must come after the one before: sorted, each once"},
		"very large": {make(document.PartData, 16*(document.MaxPartKeys+1)), "the part has 16385 keys, 16384 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := test.data.Check(); err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestLookingIntoAPartDoesNotAllocate(t *testing.T) {
	part := document.HashParts("seed", []string{"a", "b", "c"})[0]
	if n := testing.AllocsPerRun(100, func() { _ = part.Has(document.SumKey("seed", "b")) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
