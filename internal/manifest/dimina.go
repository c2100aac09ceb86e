package manifest

import (
	"math"
	"net/http"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// formatDimina is the one format that Dimina containers can run.
const formatDimina = "Dimina"

// diminaManifest is what Dimina's containers expect from an updateManifestUrl.
// They take a version over when versionCode is higher than what they have, and
// anything but a 2xx for "no update", so they never hear of a removal.
type diminaManifest struct {
	AppID string `json:"appId"`
	Name  string `json:"name"`
	// Path of the first page. On iOS, HarmonyOS and the web there must be one.
	Path string `json:"path"`
	// VersionCode is the delivery number, which also rises when somebody is sent back to
	// stable. Android reads 31 bits of it, which last for four thousand years of minutes.
	VersionCode int64  `json:"versionCode"`
	VersionName string `json:"versionName"`
	PackageURL  string `json:"packageUrl"`
	// SHA256 of the package in hexadecimal digits.
	SHA256 string `json:"sha256"`
}

// getDimina decides for a Dimina container, which trusts the service.
func (s *Service) getDimina(w http.ResponseWriter, r *http.Request, h *host) *Problem {
	appID, isJSON := strings.CutSuffix(r.PathValue("file"), ".json")
	if !isJSON {
		return problem(CodeNotFound, "the address of a program ends in .json")
	}
	if !h.speaks(v1alpha1.DialectDimina) {
		return problem(CodeDialectNotEnabled, "host app %s has not opted into the dialect %s", h.config.Name, v1alpha1.DialectDimina)
	}
	query, p := queryOf(r)
	if p != nil {
		return p
	}
	channel, p := checkChannel(query.Get("channel"), "the parameter channel")
	if p != nil {
		return p
	}
	found, p := h.find(appID, channel)
	if p != nil {
		return p
	}
	decision, reason := s.decide(found, decide.Request{User: query.Get("user")}, decide.Decide)
	if reason == "" && decision.Variant == nil {
		reason = decision.Reason
	}
	if reason != "" {
		return problem(CodeNoVersion, "no version of %s is due: %s", appID, reason)
	}
	manifest, p := diminaOf(found.doc, &decision, s.base(r))
	if p != nil {
		return p
	}
	cache := cacheShortly
	if query.Has("user") {
		cache = cachePrivate
	}
	return serveJSON(w, r, manifest, h.cache(cache))
}

func diminaOf(doc *document.Release, decision *decide.Decision, base string) (*diminaManifest, *Problem) {
	v := decision.Variant
	if v.Format != "" && v.Format != formatDimina {
		return nil, problem(CodeFormatNotSupported, "version %s of %s has the format %s, which Dimina containers cannot run", v.Version, doc.AppID, v.Format)
	}
	pages := v.Declaration.EntryPages
	if len(pages) == 0 || pages[0] == "" {
		return nil, problem(CodeFormatNotSupported, "version %s of %s names no page to begin with, and Dimina containers take no manifest without one", v.Version, doc.AppID)
	}
	if decision.Delivery > math.MaxInt32 {
		return nil, problem(CodeFormatNotSupported, "delivery number %d of %s has more than the 31 bits that Dimina containers read", decision.Delivery, doc.AppID)
	}
	m := &diminaManifest{
		AppID: doc.AppID, Name: doc.AppID, Path: pages[0], VersionCode: decision.Delivery, VersionName: v.Version,
		PackageURL: base + blobPath(v.Archive.Digest), SHA256: v.Archive.Digest[len("sha256:"):],
	}
	if doc.Listing != nil && doc.Listing.DisplayName != "" {
		m.Name = doc.Listing.DisplayName
	}
	return m, nil
}
