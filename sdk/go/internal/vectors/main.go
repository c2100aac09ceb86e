// Command vectors writes the test vectors that need signatures: sdk/vectors/envelope-v1.json
// and keys-v1.json. Keys and times are fixed and signing is deterministic, so that the same
// code always writes the same files. Run it in sdk/go:
//
//	go run ./internal/vectors
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// noon is when all documents are issued.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func main() {
	for name, content := range files() {
		if err := os.WriteFile(filepath.Join("..", "vectors", name), content, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// files are what is written, by name.
func files() map[string][]byte {
	return map[string][]byte{"envelope-v1.json": encoded(envelopes()), "keys-v1.json": encoded(chains())}
}

func encoded(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	must(encoder.Encode(value))
	return out.Bytes()
}

// private is a key for tests, and never for anything else: everybody has it.
func private(name string) *ecdsa.PrivateKey {
	raw := make([]byte, 32)
	raw[31] = name[0]
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	must(err)
	return key
}

func public(name string) dsse.Key {
	key, err := dsse.NewKey(&private(name).PublicKey)
	must(err)
	return key
}

// publicPEMs are the public keys of all vectors by their names.
func publicPEMs() map[string]string {
	out := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		text, err := dsse.MarshalPublicKeyPEM(&private(name).PublicKey)
		must(err)
		out[name] = string(text)
	}
	return out
}

// seal signs a payload with each of the keys.
func seal(payloadType string, payload []byte, by string) *dsse.Envelope {
	e, err := dsse.Sign(private(by), payloadType, payload)
	must(err)
	for _, next := range by[1:] {
		must(e.Add(private(string(next))))
	}
	return e
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
