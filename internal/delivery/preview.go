package delivery

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// KindPreview is the value of DocumentLabel for previews.
const KindPreview = "preview"

// KeyVersion has, in the ConfigMap of a preview, the version's "<namespace>/<name>", so
// that what is left of a version that is gone is found. Nothing else reads it.
const KeyVersion = "version"

// MaxPreviews is how many previews a version may have at a time.
const MaxPreviews = 20

// PreviewConfigMap names the ConfigMap of a preview by the hash of its code.
func PreviewConfigMap(codeHash string) string { return codeHash + ".preview" }

// PreviewRequest asks for a preview. It is an annotation of the version: the code's
// hash is in its name, and the code nowhere in the cluster.
type PreviewRequest struct {
	CodeHash, HostApp string
	Expires           time.Time
	// Refused is why there is none; empty: nothing is wrong with the request itself.
	Refused string
}

// PreviewAnnotation is the name and the value of the annotation that asks.
func PreviewAnnotation(r *PreviewRequest) (name, value string) {
	return v1alpha1.PreviewAnnotationPrefix + r.CodeHash, r.HostApp + "@" + r.Expires.UTC().Format(time.RFC3339)
}

// PreviewRequests reads what annotations ask for, sorted by hash, without what is
// over. Those that expire first come within MaxPreviews; the others are refused.
func PreviewRequests(annotations map[string]string, now time.Time) []PreviewRequest {
	var all []PreviewRequest
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		hash, is := strings.CutPrefix(name, v1alpha1.PreviewAnnotationPrefix)
		if !is || !document.IsPreviewHash(hash) {
			continue // without a hash there is nothing that it could be for
		}
		r := previewRequest(hash, annotations[name], now)
		if r.Refused != "" || r.Expires.After(now) {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b PreviewRequest) int { return a.Expires.Compare(b.Expires) })
	good := 0
	for i := range all {
		if all[i].Refused != "" {
			continue
		}
		if good++; good > MaxPreviews {
			all[i].Refused = fmt.Sprintf("the version has %d other previews: wait until one is over, or remove its annotation", MaxPreviews)
		}
	}
	all = all[:min(len(all), 2*MaxPreviews)] // the status has a bound too
	slices.SortFunc(all, func(a, b PreviewRequest) int { return strings.Compare(a.CodeHash, b.CodeHash) })
	return all
}

func previewRequest(hash, value string, now time.Time) PreviewRequest {
	r := PreviewRequest{CodeHash: hash}
	host, at, _ := strings.Cut(value, "@")
	expires, err := time.Parse(time.RFC3339, at)
	if host == "" || len(host) > 253 || err != nil {
		r.Refused = "the annotation must be HOSTAPP@TIME, as in wallet@2026-11-22T09:00:00Z: ask by kubectl miniprogram preview"
		return r
	}
	r.HostApp, r.Expires = host, expires.UTC()
	if expires.Sub(now) > document.MaxPreviewValidity {
		r.Refused = "a preview may last for 7 days at most: ask for an earlier end"
	}
	return r
}

// Preview renders the document of a preview that began at a time.
func Preview(r *PreviewRequest, appID string, v *v1alpha1.Variant, began time.Time) *document.Preview {
	of := variant(v)
	return &document.Preview{
		Type: document.TypePreview, CodeHash: r.CodeHash, AppID: appID, HostApp: r.HostApp,
		IssuedAt: document.At(began), ExpiresAt: document.At(r.Expires),
		Version: document.PreviewVersion{
			Version: of.Version, VersionCode: of.VersionCode, Digest: of.Digest, ContentDigest: of.ContentDigest,
			Archive: of.Archive, Content: of.Content, Format: of.Format, Declaration: of.Declaration, Compatibility: of.Compatibility,
		},
	}
}
