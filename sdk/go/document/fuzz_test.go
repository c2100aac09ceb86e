package document

import (
	"bytes"
	"reflect"
	"testing"
)

// FuzzParsePreview reads anything as a preview: what is accepted is read the same from what
// it is written as.
func FuzzParsePreview(f *testing.F) {
	good, err := MarshalPreview(preview())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"appID"`), []byte(`"appid"`), 1))
	f.Add(bytes.Replace(good, []byte(`{`), []byte(`{"type":"x",`), 1))
	f.Add([]byte("{}"))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePreview(data)
		if err != nil {
			return
		}
		written, err := MarshalPreview(p)
		if err != nil {
			return // longer than what was read, for escapes
		}
		again, err := ParsePreview(written)
		if err != nil {
			t.Fatalf("%s was read, and is not when it is written: %v", data, err)
		}
		second, err := MarshalPreview(again)
		if err != nil || !bytes.Equal(second, written) {
			t.Errorf("it is written as %s and then as %s, %v", written, second, err)
		}
		if again.CodeHash != p.CodeHash || !reflect.DeepEqual(again.Version.Compatibility, p.Version.Compatibility) {
			t.Errorf("%+v became %+v", p, again)
		}
	})
}

// FuzzPart takes any bytes for a part of an audience: what passes the check has each key that
// is looked for in it, and no other.
func FuzzPart(f *testing.F) {
	parts := HashParts("seed", []string{"u1", "u2", "u3", "u4"})
	f.Add([]byte(parts[0]))
	f.Add([]byte(parts[0][:40]))
	f.Add(bytes.Repeat([]byte{1}, 32))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		p := PartData(data)
		if p.Check() != nil {
			return
		}
		for i := range p.Keys() {
			var h KeyHash
			copy(h[:], data[i*len(h):])
			if !p.Has(h) {
				t.Errorf("key %d of %d is not found", i, p.Keys())
			}
			h[len(h)-1]++ // not there, unless it is the next
			if p.Has(h) != bytes.HasPrefix(data[min((i+1)*len(h), len(data)):], h[:]) && h[len(h)-1] != 0 {
				t.Errorf("%x is found: %t", h, p.Has(h))
			}
		}
	})
}
