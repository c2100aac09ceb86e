package manifest

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// keyAlgorithm names what all keys are for: signatures in ASN.1 DER.
const keyAlgorithm = "ECDSA-P256-SHA256"

// maxKeyBytes bounds a file of keys.
const maxKeyBytes = 64 << 10

// keySet is the keys whose signatures count. It is immutable.
type keySet struct {
	keys   []dsse.Key
	public []delivery.PublicKey
}

// equal tells whether the same keys are trusted.
func (k *keySet) equal(other *keySet) bool { return slices.Equal(k.public, other.public) }

// loadKeys reads all public keys of a PEM file, or of the files of a folder
// (those that begin with a dot aside: mounted volumes keep their own there).
// Having none is an error, for then nothing could ever be served.
func loadKeys(path string) (*keySet, error) {
	text, err := readKeyFiles(path)
	if err != nil {
		return nil, fmt.Errorf("reading the trusted keys: %w", err)
	}
	set, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("reading the trusted keys in %s: %w", path, err)
	}
	return set, nil
}

func readKeyFiles(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return readBounded(path)
	}
	files, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, file := range files {
		name := filepath.Join(path, file.Name())
		info, err := os.Stat(name) // follows links, which mounted volumes consist of
		if strings.HasPrefix(file.Name(), ".") || err == nil && info.IsDir() {
			continue
		}
		text, err := readBounded(name)
		if err != nil {
			return nil, err
		}
		all = append(append(all, text...), '\n')
	}
	return all, nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxKeyBytes {
		return nil, fmt.Errorf("%s has %d bytes, %d are allowed", path, info.Size(), maxKeyBytes)
	}
	return os.ReadFile(path)
}

func parseKeys(text []byte) (*keySet, error) {
	set := &keySet{public: []delivery.PublicKey{}}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		key, err := dsse.ParsePublicKeyPEM(pem.EncodeToMemory(block))
		if err != nil {
			return nil, fmt.Errorf("a PEM block %q: %w", block.Type, err)
		}
		if slices.ContainsFunc(set.keys, func(k dsse.Key) bool { return k.ID == key.ID }) {
			continue
		}
		set.keys = append(set.keys, key)
	}
	if len(bytes.TrimSpace(text)) > 0 {
		return nil, errors.New("something follows the last PEM block")
	}
	if len(set.keys) == 0 {
		return nil, errors.New("there is no PEM block PUBLIC KEY")
	}
	slices.SortFunc(set.keys, func(a, b dsse.Key) int { return strings.Compare(a.ID, b.ID) })
	for _, key := range set.keys {
		public, err := dsse.MarshalPublicKeyPEM(key.Public)
		if err != nil {
			return nil, err
		}
		set.public = append(set.public, delivery.PublicKey{KeyID: key.ID, Algorithm: keyAlgorithm, PublicKey: string(public)})
	}
	return set, nil
}
