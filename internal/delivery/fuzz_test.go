package delivery

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzReadKeys reads anything as a list of users' keys: each key stands in a line of its own,
// and is no longer than it may be.
func FuzzReadKeys(f *testing.F) {
	for _, seed := range []string{"", "u1\nu2\n", "u1\r\n\r\nu2", "\ufeffu1", "\ufeff\ufeffu1", "u1\n\ufeffu2", " u1", "u\x001", "\xff", strings.Repeat("界", MaxKeyLength+1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := ReadKeys(text)
		if err != nil {
			if len(keys) > 0 {
				t.Errorf("%d keys of a list that cannot be read", len(keys))
			}
			return
		}
		again, err := ReadKeys(strings.Join(keys, "\n"))
		if err != nil || strings.Join(again, "\n") != strings.Join(keys, "\n") {
			t.Errorf("%q is read again as %q, %v", keys, again, err)
		}
		for _, key := range keys {
			if key == "" || utf8.RuneCountInString(key) > MaxKeyLength || strings.ContainsAny(key, "\r\n\ufeff") || !strings.Contains(text, key) {
				t.Errorf("%q is a key", key)
			}
		}
	})
}

// FuzzParseHostApp reads anything as a host app's ConfigMap: what is accepted is read the same
// from what it is written as.
func FuzzParseHostApp(f *testing.F) {
	for _, seed := range []string{"", "null", "{}", `{"name":"wallet","availability":"Active","tokenHashes":["x"],"blocks":[{"appID":"a"}]}`, `{"name":1}`, `[]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseHostApp(text)
		if err != nil {
			return
		}
		written, err := MarshalHostApp(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseHostApp(written)
		if err != nil {
			t.Fatalf("%s was read, and is not when it is written: %v", text, err)
		}
		if second, err := MarshalHostApp(again); err != nil || second != written {
			t.Errorf("it is written as %s and then as %s, %v", written, second, err)
		}
	})
}
