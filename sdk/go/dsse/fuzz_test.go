package dsse_test

import (
	"os"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// FuzzParsePublicKeyPEM reads anything as a public key: what is accepted is the same key when
// it is written and read again.
func FuzzParsePublicKeyPEM(f *testing.F) {
	text, err := os.ReadFile("testdata/public.pem")
	if err != nil {
		f.Fatal(err)
	}
	good := string(text)
	for _, seed := range []string{good, good + good, good[:60], "", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := dsse.ParsePublicKeyPEM(data)
		if err != nil {
			return
		}
		written, err := dsse.MarshalPublicKeyPEM(key.Public)
		if err != nil {
			t.Fatal(err)
		}
		again, err := dsse.ParsePublicKeyPEM(written)
		if err != nil || again.ID != key.ID || !again.Public.Equal(key.Public) {
			t.Errorf("%s became %s, %v", key.ID, again.ID, err)
		}
	})
}
