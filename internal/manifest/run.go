package manifest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/sandbox"
)

// The run host
//
// Web containers run a mini program from single files (dialect Files). These are
// other people's pages: they have a host name of their own, on which there is nothing
// but them, and no other host name has them. A page on the run host therefore never
// shares an origin, or a cookie, with the API or a host app, whatever a browser makes
// of the sandbox that it is sent with.
//
// Who loads a file is a page, or a browser in its name, and carries no access token.
// So only what some host app without tokens takes is served: a host app that asks for
// tokens keeps others from learning what it is handed, and a file that anybody may
// load would tell. For the same reason there are no trials here.

// formatWeb is the format of bundles that browsers run as they are.
const formatWeb = "Web"

// indexFile is what a web bundle begins with.
const indexFile = "index.html"

// runPattern stands for all paths of the run host in metrics.
const runPattern = "/r/"

var runMethods = strings.Join([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, ", ")

// runHost is the host name of single files.
type runHost struct {
	// name is in lower case, without a port.
	name string
	// url is its scheme and authority.
	url   string
	files *bundleCache
}

// goodHostName is what can stand in a source of a Content-Security-Policy.
var goodHostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// parseRunURL reads the URL of the run host. Cookies know host names and no ports, so
// its name is not the API's.
func parseRunURL(runURL, publicURL string) (*runHost, error) {
	u, err := url.Parse(runURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the run host's URL %q must be like https://run.example.com, without a path", runURL)
	}
	h := &runHost{name: hostName(u.Host), url: u.Scheme + "://" + strings.ToLower(u.Host)}
	_, notAddress := netip.ParseAddr(strings.Trim(h.name, "[]"))
	loopback := h.name == "localhost" || strings.HasSuffix(h.name, ".localhost") || h.name == "127.0.0.1"
	switch {
	case notAddress == nil && !loopback || !goodHostName.MatchString(h.name) || strings.HasSuffix(u.Hostname(), "."):
		return nil, fmt.Errorf("the run host's URL %q must have a plain host name: a policy of browsers matches no other, and no address", runURL)
	case u.Scheme == "http" && !loopback:
		return nil, fmt.Errorf("the run host's URL %q must be https: over http, whoever is on the way writes the pages", runURL)
	}
	if public, err := url.Parse(publicURL); err == nil && publicURL != "" && hostName(public.Host) == h.name {
		return nil, fmt.Errorf("the run host's URL %q must have another host name than the public URL %q: pages of mini programs would share cookies with the API", runURL, publicURL)
	}
	return h, nil
}

// hostName is the name in a Host header, as names are compared.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimRight(host, "."))
}

// address is the run host's URL; empty: there is none.
func (h *runHost) address() string {
	if h == nil {
		return ""
	}
	return h.url
}

// apart answers requests to the run host's name from files, and all others from api.
// What decides is the name that the client asked for, whatever port and proxies lie
// between.
func (h *runHost) apart(files, api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hostName(r.Host) == h.name {
			files.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// startRun opens what the run host needs, where there is one.
func (s *Service) startRun() (err error) {
	o := &s.options
	if o.RunURL == "" {
		return nil
	}
	if s.run, err = parseRunURL(o.RunURL, o.PublicURL); err != nil {
		return err
	}
	s.run.files, err = openBundleCache(filepath.Join(o.CacheDir, "unpacked"), cmp.Or(o.RunCacheBytes, 1<<30), s.metrics)
	return err
}

// onRunHost answers whatever is asked of the run host. It reads and sets no cookie, and
// sends nobody elsewhere.
func (s *Service) onRunHost(w http.ResponseWriter, r *http.Request) *Problem {
	h := w.Header()
	h.Set(sandbox.ContentSecurityPolicy, "default-src 'none'; sandbox") // until it is known what is served
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Referrer-Policy", "no-referrer")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return s.getFile(w, r)
	case http.MethodOptions:
		h.Set("Allow", runMethods)
		if isPreflight(r) {
			h.Set("Access-Control-Allow-Methods", runMethods)
			h.Set("Access-Control-Allow-Headers", "If-None-Match, If-Range, Range")
			h["Access-Control-Max-Age"] = corsMaxAge
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	default:
		p := problem(CodeMethodNotAllowed, "the methods are %s", runMethods)
		p.allow = runMethods
		return p
	}
}

// filePath is the path of a single file.
type filePath struct {
	appID string
	// hex is the digest of the artifact.
	hex string
	// name of the file; empty: the folder of all.
	name string
}

// parseFilePath reads /r/{appID}/{digest}/{path}.
func parseFilePath(path string) (filePath, bool) {
	rest, ok := strings.CutPrefix(path, runPattern)
	parts := strings.SplitN(rest, "/", 3)
	if !ok || len(parts) < 3 || !document.IsAppID(parts[0]) {
		return filePath{}, false
	}
	_, ok = parseHex(parts[1])
	return filePath{appID: parts[0], hex: parts[1], name: parts[2]}, ok
}

// getFile answers with a single file of a version.
func (s *Service) getFile(w http.ResponseWriter, r *http.Request) *Problem {
	asked, ok := parseFilePath(r.URL.Path)
	if !ok {
		return problem(CodeNotFound, "an address of this host is /r/, an app ID, the 64 lower-case hexadecimal digits of a version's digest, and the path of a file")
	}
	v := s.findRunnable(asked)
	if v == nil {
		return problem(CodeUnknownFile, "no document in service hands sha256:%s of %s to a host app that loads single files", asked.hex, asked.appID)
	}
	headers, err := sandbox.Headers(sandbox.Page{
		Base: s.run.url + runPattern + asked.appID + "/" + asked.hex + "/", Domains: v.Declaration.Domains, Ancestors: v.origins,
	})
	if err != nil {
		return problem(CodeInternal, "no policy can be made of what version %s of %s declares, so it is not handed out", v.Version, asked.appID).because(err)
	}
	// The server's own limit is for small answers, and the registry may need its time first.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(blobTimeout + time.Minute))
	archive, files, err := s.openFiles(r.Context(), v)
	if err != nil {
		return fileProblem(r.Context(), v, err)
	}
	defer func() { _ = archive.Close() }() // only read
	name, at, ok := files.find(asked.name, v.Format)
	if !ok {
		return problem(CodeUnknownFile, "version %s of %s has no such file", v.Version, asked.appID)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute + time.Duration(at.size/slowestClient)*time.Second))
	for _, header := range headers {
		w.Header().Set(header.Name, header.Value)
	}
	describeFile(w.Header(), asked.hex, name)
	return serveRange(w, r, io.NewSectionReader(archive, at.offset, at.size), "file", at.size)
}

// describeFile sets what depends on the file alone. Under one address the bytes never
// change, so the version's digest tells them apart. A page is different: its policy
// comes with it and names who may frame it, which may change, and it is what a program
// begins with. So pages are asked for anew, and a block, which has the answer be 404,
// soon reaches who has a page in a cache.
func describeFile(h http.Header, digest, name string) {
	mediaType, isPage := mediaTypeOf(name)
	h.Set("Content-Type", mediaType)
	if !isPage {
		h["Cache-Control"] = cacheForever
		h.Set("Etag", `"`+digest+`"`)
		return
	}
	policy := sha256.Sum256([]byte(h.Get(sandbox.ContentSecurityPolicy)))
	h["Cache-Control"] = cacheShortly
	h.Set("Etag", `"`+digest+"-"+hex.EncodeToString(policy[:8])+`"`)
}

// runnable is a version whose files are served.
type runnable struct {
	*document.Variant
	entry *entry
	// layer is the digest of its content layer, and refs are where that may be had.
	layer blobKey
	refs  []blobRef
	// origins of the pages that may frame it, in no order.
	origins []string
}

// findRunnable finds the version that a document in service hands to at least one
// host app that may load single files. Nil: none does, or none any more.
func (s *Service) findRunnable(asked filePath) *runnable {
	var found *runnable
	now := s.store.current.Load()
	for _, h := range now.hosts {
		p := h.programs[slot{asked.appID, document.ChannelRelease}]
		if p == nil || !h.loadsFiles() || p.block != nil || !p.handsOut() {
			continue
		}
		v := p.doc.Variant("sha256:" + asked.hex)
		if v == nil {
			continue
		}
		if found == nil {
			found = new(runnable)
		}
		if found.entry == nil || compareSeen(p.seen, found.entry.seen) > 0 {
			found.Variant, found.entry = v, p.entry
		}
		found.origins = append(found.origins, h.config.Origins...)
	}
	if found == nil {
		return nil
	}
	if layer, ok := parseHex(strings.TrimPrefix(found.Content.Digest, "sha256:")); ok {
		found.layer, found.refs = layer, now.blobs.find(layer)
	}
	return found
}

// loadsFiles tells whether single files are served to the host app.
func (h *host) loadsFiles() bool {
	return h.config.TakesFiles() && h.config.Availability == hostAppActive && h.config.Takes(document.ChannelRelease)
}

// openFiles has the version unpacked from its content layer, which is a blob.
func (s *Service) openFiles(ctx context.Context, v *runnable) (*os.File, *unpacked, error) {
	key, ok := parseHex(strings.TrimPrefix(v.ContentDigest, "sha256:"))
	if !ok || len(v.refs) == 0 {
		return nil, nil, errors.New("the document names no content layer that can be had") // document.Parse refuses such
	}
	return s.run.files.open(ctx, key, func(ctx context.Context) (io.ReadCloser, error) {
		f, _, err := s.blobs.open(ctx, v.layer, v.refs)
		return f, err
	})
}

func fileProblem(ctx context.Context, v *runnable, err error) *Problem {
	switch {
	case errors.Is(err, errMismatch):
		return problem(CodeBlobMismatch, "the files of version %s are not served until the registry has them again", v.Version).because(err)
	case ctx.Err() != nil: // the client has gone, nobody reads this
		return problem(CodeRegistryUnavailable, "the request ended before the files of version %s were there", v.Version)
	default:
		return problem(CodeRegistryUnavailable, "the files of version %s cannot be had at present: try again in a while", v.Version).because(err)
	}
}

// find returns the file of a name. The folder of all files is its index.html. A page
// of a web bundle may be opened by an address that its own script has made: a path
// without an extension that is no file is the same index.html.
func (u *unpacked) find(name, format string) (string, span, bool) {
	if name == "" {
		name = indexFile
	}
	if at, ok := u.files[name]; ok {
		return name, at, true
	}
	last := name[strings.LastIndexByte(name, '/')+1:]
	if format != formatWeb || strings.Contains(last, ".") || !fs.ValidPath(strings.TrimSuffix(name, "/")) {
		return "", span{}, false
	}
	at, ok := u.files[indexFile]
	return indexFile, at, ok
}
