package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheFilesAreWhatIsWritten(t *testing.T) {
	for name, want := range files() {
		if !bytes.Equal(read(t, name), want) {
			t.Errorf("sdk/vectors/%s is not up to date: go run ./internal/vectors in sdk/go", name)
		}
	}
}

func trusted(t *testing.T, pems map[string]string, names []string) []dsse.Key {
	t.Helper()
	var out []dsse.Key
	for _, name := range names {
		k, err := dsse.ParsePublicKeyPEM([]byte(pems[name]))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, k)
	}
	return out
}

func TestEnvelopes(t *testing.T) {
	var f envelopeFile
	if err := json.Unmarshal(read(t, "envelope-v1.json"), &f); err != nil {
		t.Fatal(err)
	}
	codes := map[string]int{}
	for _, c := range f.Cases {
		codes[c.Error]++
		e := release.Expect{
			AppID: c.Expect.AppID, Channel: c.Expect.Channel, HostApp: c.Expect.HostApp,
			Keys: trusted(t, f.Keys, c.Expect.Keys), Now: c.Expect.Now.Time,
		}
		if s := c.Expect.Seen; s != nil {
			e.Seen = release.Seen{Sequence: s.Sequence, IssuedAt: s.IssuedAt.Time}
		}
		got, err := release.Verify([]byte(c.Envelope+strings.Repeat(" ", c.Pad)), e)
		if code := release.Code(err); code != c.Error || err != nil && code == "" {
			t.Errorf("%s: code %q (%v), want %q", c.Name, code, err, c.Error)
			continue
		}
		if err == nil && (got.Document.Sequence != c.Sequence || got.EnvelopeDigest != c.EnvelopeDigest || got.KeyID != c.KeyID) {
			t.Errorf("%s: sequence %d, digest %s and key %s, want %d, %s and %s", c.Name,
				got.Document.Sequence, got.EnvelopeDigest, got.KeyID, c.Sequence, c.EnvelopeDigest, c.KeyID)
		}
	}
	for _, code := range []string{"", "TooLarge", "Signature", "Type", "Malformed", "AppID", "HostApp", "RolledBack", "Expired"} {
		if codes[code] == 0 {
			t.Errorf("no case has the code %q", code)
		}
	}
}

func TestChains(t *testing.T) {
	var f chainFile
	if err := json.Unmarshal(read(t, "keys-v1.json"), &f); err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Cases {
		trust, err := keychain.Pin(trusted(t, f.Keys, c.Pins)...)
		if err != nil {
			t.Fatal(err)
		}
		if c.Stored != "" {
			if trust, err = follow(trust, c.Stored); err != nil {
				t.Fatal(err)
			}
		}
		trust, err = follow(trust, c.Answer)
		if code := keychain.Code(err); code != c.Error || err != nil && code == "" {
			t.Errorf("%s: code %q (%v), want %q", c.Name, code, err, c.Error)
		}
		var names []string
		for _, k := range trust.SigningKeys(c.Now.Time) {
			for _, name := range []string{"a", "b", "c"} {
				if public(name).ID == k.ID {
					names = append(names, name)
				}
			}
		}
		slices.Sort(names)
		if trust.Number != c.Number || !slices.Equal(names, c.Trusted) {
			t.Errorf("%s: number %d, trusted %v, want %d, %v", c.Name, trust.Number, names, c.Number, c.Trusted)
		}
	}
}

func follow(t keychain.Trust, answer string) (keychain.Trust, error) {
	c, err := keychain.ParseChain([]byte(answer))
	if err != nil {
		return t, err
	}
	return t.Follow(c)
}
