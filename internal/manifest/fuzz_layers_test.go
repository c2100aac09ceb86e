package manifest

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// FuzzUnpack unpacks any bytes as a content layer: where the files are is where another
// reader of the same tar finds them, and nothing larger than allowed is written.
func FuzzUnpack(f *testing.F) {
	layer, _ := layerOf(f, map[string]string{"index.html": "<p>", "assets/app.js": "0123456789"})
	f.Add(layer)
	f.Add(layer[:len(layer)/2])
	f.Add(compressed(f, tarOf(f, plain("a", 3), plain("../b", 0))))
	f.Add(compressed(f, tarOf(f, &tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})))
	f.Add(compressed(f, nil))
	f.Add([]byte{})
	const most = 1 << 20
	f.Fuzz(func(t *testing.T, layer []byte) {
		var first, second bytes.Buffer
		_, _, err := unpack(&first, bytes.NewReader(layer), blobKey{}, most)
		if err == nil {
			t.Fatal("a digest that is none of it is good")
		}
		if first.Len() > most+1 {
			t.Fatalf("%d bytes were written, %d are allowed", first.Len(), most)
		}
		// Only what is whole and has the digest that is asked for comes back with files.
		files, size, err := unpack(&second, bytes.NewReader(layer), sha256.Sum256(first.Bytes()), most)
		if err != nil {
			return
		}
		if size != int64(second.Len()) || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("%d bytes are told of, %d were written", size, second.Len())
		}
		found := map[string]bool{}
		for archive := tar.NewReader(bytes.NewReader(second.Bytes())); ; {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			want, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			at, ok := files[header.Name]
			if !ok || at.offset < 0 || at.size < 0 || at.offset+at.size > size || !bytes.Equal(second.Bytes()[at.offset:at.offset+at.size], want) {
				t.Fatalf("%q is said to be at %+v of %d", header.Name, at, size)
			}
			found[header.Name] = true
		}
		if len(found) != len(files) {
			t.Errorf("the files are %v, want %v", slices.Sorted(maps.Keys(files)), slices.Sorted(maps.Keys(found)))
		}
	})
}

// FuzzUnsignedRecords lets anybody write the ConfigMaps of parts of audiences, of the chain of
// keys and of previews: a part is taken for nothing but its own digest, no stranger's key is
// told of, and no preview that we did not sign is there.
func FuzzUnsignedRecords(f *testing.F) {
	x := newFixture(f)
	x.hostApp(trialWallet())
	good := x.previewRecord(previewOf())
	x.put(good)
	data, part := partOf("u1", "u2", "u3")
	x.put(part)
	x.publish(shop(withTarget(500), withParts(data, nil)))
	chain := chainRecord(f, keyDocument(f, 1, []*ecdsa.PrivateKey{x.key}, listed{x.key, "Active"}))
	x.put(chain)
	f.Add(good.Data[delivery.KeyEnvelope], []byte(data))
	f.Add(chain.Data[delivery.KeyChain], []byte(data[:len(data)-1]))
	f.Add(`{"documents":[]}`, bytes.Repeat([]byte{0xff}, 32))
	f.Add(`{"documents":[{"payload":"","signatures":null}]}`, []byte{})
	for _, seed := range []string{"", "null", "[]", "{}"} {
		f.Add(seed, bytes.Clone(data[:16]))
	}
	pin := x.service.store.told.Load().pins[0].KeyID
	f.Fuzz(func(t *testing.T, text string, bytesOf []byte) {
		st := x.service.store
		bytesOf = bytes.Clone(bytesOf) // a store keeps it
		for _, r := range []*record{
			{Name: good.Name, Kind: delivery.KindPreview, Data: map[string]string{delivery.KeyEnvelope: text, delivery.KeyRepository: text}},
			{Name: delivery.PreviewConfigMap("stranger"), Kind: delivery.KindPreview, Data: map[string]string{delivery.KeyEnvelope: text, delivery.KeyRepository: "a/b"}},
			{Name: delivery.KeysConfigMap, Kind: delivery.KindKeys, Data: map[string]string{delivery.KeyChain: text}},
			{Name: part.Name, Kind: delivery.KindAudience, Part: bytesOf},
			{Name: "stranger.audience", Kind: delivery.KindAudience, Part: bytesOf},
		} {
			x.put(r)
		}
		for digest, p := range st.parts {
			if p.data.Digest() != digest || p.data.Check() != nil {
				t.Errorf("%s is the part %x", digest, p.data)
			}
		}
		if st.parts[data.Digest()] == nil {
			t.Error("the part of a document in service is gone")
		}
		for name, p := range st.current.Load().previews {
			if name != good.Name || p.doc.AppID != "com.example.shop" {
				t.Errorf("preview %s is of %s", name, p.doc.AppID)
			}
		}
		if pins := st.told.Load().pins; len(pins) != 1 || pins[0].KeyID != pin || st.keyNumber != 1 {
			t.Errorf("keys that are to be pinned after number %d: %v", st.keyNumber, pins)
		}
	})
}

// FuzzTrustedKeys reads any file as the trusted keys: those that come of it are read the same
// from what they are written as.
func FuzzTrustedKeys(f *testing.F) {
	x := newFixture(f)
	one, err := loadKeys(x.keyFile)
	if err != nil {
		f.Fatal(err)
	}
	pem := one.public[0].PublicKey
	for _, seed := range []string{pem, pem + pem, pem + "x", pem[:len(pem)-20], "", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := parseKeys(text)
		if err != nil {
			return
		}
		var written []byte
		for _, k := range set.public {
			written = append(written, k.PublicKey...)
		}
		again, err := parseKeys(written)
		if err != nil || !again.equal(set) || len(set.keys) == 0 {
			t.Errorf("%d keys are read again as %v, %v", len(set.keys), again, err)
		}
	})
}
