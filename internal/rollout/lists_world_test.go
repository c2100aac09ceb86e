package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// library has lists by their digests, and parts that were made of them.
var library = struct {
	sync.Mutex
	lists map[string][]string
	parts map[string]document.PartData
}{lists: map[string][]string{}, parts: map[string]document.PartData{}}

// listing is a list of users in a ConfigMap, as the spec names it.
func listing(users ...string) []string {
	library.Lock()
	defer library.Unlock()
	sum := sha256.Sum256([]byte(strings.Join(users, "\n")))
	digest := hex.EncodeToString(sum[:])
	library.lists[digest] = users
	return []string{digest}
}

// partsOf hashes lists for a target, as the controller does.
func partsOf(name, seed string, from []string) []v1alpha1.AudiencePart {
	library.Lock()
	defer library.Unlock()
	var users []string
	for _, digest := range from {
		users = append(users, library.lists[digest]...)
	}
	var out []v1alpha1.AudiencePart
	for _, data := range document.HashParts(seed, users) {
		library.parts[data.Digest()] = data
		out = append(out, v1alpha1.AudiencePart{List: name, Digest: data.Digest(), Keys: int32(data.Keys())})
	}
	return out
}

// readFor are the lists of an audience for a target.
func readFor(a Audience, seed string) *Lists {
	if a.From() == "" {
		return nil
	}
	return &Lists{From: a.From(), Seed: seed, Parts: slices.Concat(partsOf(v1alpha1.PartInclude, seed, a.IncludeFrom), partsOf(v1alpha1.PartExclude, seed, a.ExcludeFrom))}
}

func inPart(p document.Part, hash document.KeyHash) bool {
	library.Lock()
	defer library.Unlock()
	return library.parts[p.Digest].Has(hash)
}

// namedParts are the parts of a record.
func namedParts(st *v1alpha1.RolloutStatus) []v1alpha1.AudiencePart {
	var all []v1alpha1.AudiencePart
	if st.Document != nil && st.Document.Audience != nil {
		all = append(all, st.Document.Audience.Parts...)
	}
	for _, r := range st.Recalls {
		if r.Audience != nil {
			all = append(all, r.Audience.Parts...)
		}
	}
	return all
}
