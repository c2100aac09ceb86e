package manifest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/sandbox"
)

// runName is the run host's name in tests.
const runName = "run.example.net"

// siteFiles are those of version 1.0.0.
var siteFiles = map[string]string{
	"index.html": "<!doctype html><script type=module src=./assets/app.js></script>", "assets/app.js": "0123456789",
	"assets/data": "plain", "assets/style.CSS": "a{}", "about/index.html": "about", "logo.svg": "<svg/>", "中文.txt": "hello",
}

// layerOf is a content layer with files, and the digest of the tar in it.
func layerOf(t testing.TB, files map[string]string) (layer []byte, contentDigest string) {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, text := range files {
		if err := w.WriteHeader(plain(name, int64(len(text)))); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return compressed(t, out.Bytes()), fmt.Sprintf("sha256:%x", sha256.Sum256(out.Bytes()))
}

// site makes a version one for browsers, with files that the registry has.
func (f *fixture) site(v *document.Variant, files map[string]string) {
	f.t.Helper()
	layer, contentDigest := layerOf(f.t, files)
	v.Format, v.ContentDigest = "Web", contentDigest
	v.Content = document.Blob{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(layer)), Size: int64(len(layer))}
	v.Declaration = document.Declaration{Domains: document.Domains{Request: []string{"https://api.example.com"}}}
	f.source.set(v.Content.Digest, string(layer))
}

// portal is a host app for browsers, which loads single files.
func portal(change ...func(*delivery.HostAppConfig)) *delivery.HostAppConfig {
	return wallet(append([]func(*delivery.HostAppConfig){func(c *delivery.HostAppConfig) {
		c.Name, c.Dialects, c.Origins = "portal", []string{"Files", "Signed"}, []string{"https://portal.example.com"}
	}}, change...)...)
}

// newRunFixture serves the files of the shop's stable version to host app portal.
func newRunFixture(t *testing.T, change ...func(*document.Release)) *fixture {
	t.Helper()
	f := newFixture(t, func(o *Options) { o.RunURL = "https://" + runName })
	f.hostApp(portal())
	f.publishSite(change...)
	return f
}

// publishSite publishes the shop for the portal, as a version for browsers.
func (f *fixture) publishSite(change ...func(*document.Release)) {
	f.t.Helper()
	r := shop(func(r *document.Release) { r.HostApps = []string{"portal"} })
	f.site(r.Stable, siteFiles)
	for _, c := range change {
		c(r)
	}
	f.publish(r)
}

func siteBase() string { return "/r/com.example.shop/" + hex64("artifact of 1.0.0") + "/" }

// run asks the run host.
func (f *fixture) run(method, path string, header ...string) answer {
	f.t.Helper()
	return f.at(runName, method, path, header...)
}

// at asks a host name of the service.
func (f *fixture) at(host, method, path string, header ...string) answer {
	f.t.Helper()
	return f.do(method, path, "", append([]string{"Host", host}, header...)...)
}

func (f *fixture) wantFile(path, body string) {
	f.t.Helper()
	if got := f.run(http.MethodGet, siteBase()+path); got.Status != http.StatusOK || got.Body != body {
		f.t.Errorf("%s is %d %q, want %q", path, got.Status, got.Body, body)
	}
}

func (f *fixture) wantNoFile() {
	f.t.Helper()
	got := f.run(http.MethodGet, siteBase())
	want := `{"title":"There is no such file","status":404,"detail":"no document in service hands sha256:` + hex64("artifact of 1.0.0") +
		` of com.example.shop to a host app that loads single files","code":"UnknownFile"}`
	if got.Status != http.StatusNotFound || got.Body != want {
		f.t.Errorf("got %d %s, want 404 %s", got.Status, got.Body, want)
	}
}

// fileHeader is what a file of the shop comes with.
func fileHeader(t *testing.T, mediaType string, length int, more ...string) http.Header {
	t.Helper()
	h := http.Header{
		"Accept-Ranges": {"bytes"}, "Cache-Control": {"public, max-age=31536000, immutable"}, "Content-Length": {fmt.Sprint(length)},
		"Content-Type": {mediaType}, "Etag": {`"` + hex64("artifact of 1.0.0") + `"`},
	}
	headers, err := sandbox.Headers(sandbox.Page{
		Base: "https://" + runName + siteBase(), Ancestors: []string{"https://portal.example.com"},
		Domains: document.Domains{Request: []string{"https://api.example.com"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		h.Set(header.Name, header.Value)
	}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// pageHeader is what a page comes with: it is asked for anew.
func pageHeader(t *testing.T, mediaType string, length int) http.Header {
	t.Helper()
	h := fileHeader(t, mediaType, length)
	policy := sha256.Sum256([]byte(h.Get("Content-Security-Policy")))
	h.Set("Cache-Control", "public, max-age=5, stale-if-error=86400")
	h.Set("Etag", fmt.Sprintf(`"%s-%x"`, hex64("artifact of 1.0.0"), policy[:8]))
	return h
}

func TestSingleFiles(t *testing.T) {
	const script, octets = "text/javascript; charset=utf-8", "application/octet-stream"
	notModified := fileHeader(t, script, 0)
	for _, name := range []string{"Content-Type", "Content-Length", "Accept-Ranges"} {
		notModified.Del(name)
	}
	index := answer{Status: 200, Header: pageHeader(t, "text/html; charset=utf-8", len(siteFiles["index.html"])), Body: siteFiles["index.html"]}
	for name, test := range map[string]struct {
		path   string
		header []string
		want   answer
	}{
		"the folder of all":                        {path: "", want: index},
		"a page":                                   {path: "index.html", want: index},
		"an address that its script made":          {path: "cart/42", want: index},
		"such an address that ends as a folder":    {path: "about/", want: index},
		"a file":                                   {path: "assets/app.js", want: answer{Status: 200, Header: fileHeader(t, script, 10), Body: "0123456789"}},
		"a file with a query":                      {path: "assets/app.js?v=1", want: answer{Status: 200, Header: fileHeader(t, script, 10), Body: "0123456789"}},
		"a file without an extension":              {path: "assets/data", want: answer{Status: 200, Header: fileHeader(t, octets, 5), Body: "plain"}},
		"an extension in capitals":                 {path: "assets/style.CSS", want: answer{Status: 200, Header: fileHeader(t, "text/css; charset=utf-8", 3), Body: "a{}"}},
		"a picture that can hold script":           {path: "logo.svg", want: answer{Status: 200, Header: pageHeader(t, "image/svg+xml", 6), Body: "<svg/>"}},
		"a name that is no ASCII":                  {path: "%E4%B8%AD%E6%96%87.txt", want: answer{Status: 200, Header: fileHeader(t, "text/plain; charset=utf-8", 5), Body: "hello"}},
		"a range":                                  {path: "assets/app.js", header: []string{"Range", "bytes=3-4"}, want: answer{Status: 206, Header: fileHeader(t, script, 2, "Content-Range", "bytes 3-4/10"), Body: "34"}},
		"the rest of the same file":                {path: "assets/app.js", header: []string{"Range", "bytes=8-", "If-Range", `"` + hex64("artifact of 1.0.0") + `"`}, want: answer{Status: 206, Header: fileHeader(t, script, 2, "Content-Range", "bytes 8-9/10"), Body: "89"}},
		"known already":                            {path: "assets/app.js", header: []string{"If-None-Match", `"` + hex64("artifact of 1.0.0") + `"`}, want: answer{Status: 304, Header: notModified}},
		"a cookie changes nothing, and none comes": {path: "assets/app.js", header: []string{"Cookie", "session=1"}, want: answer{Status: 200, Header: fileHeader(t, script, 10), Body: "0123456789"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newRunFixture(t)
			for range 2 { // unpacked, then from the cache
				if diff := cmp.Diff(test.want, f.run(http.MethodGet, siteBase()+test.path, test.header...)); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			}
			head := test.want
			head.Body = ""
			if diff := cmp.Diff(head, f.run(http.MethodHead, siteBase()+test.path, test.header...)); diff != "" {
				t.Errorf("HEAD (-want +got):\n%s", diff)
			}
			if got := f.source.count(); got != 1 {
				t.Errorf("the registry was asked %d times, want once", got)
			}
		})
	}
}

// runProblem is a problem of the run host.
func runProblem(status int, body string, more ...string) answer {
	h := problemHeader(body, append([]string{
		"Access-Control-Allow-Origin", "*", "Content-Security-Policy", "default-src 'none'; sandbox",
		"Cross-Origin-Resource-Policy", "cross-origin", "Referrer-Policy", "no-referrer",
	}, more...)...)
	return answer{Status: status, Header: h, Body: body}
}

func TestWhatIsNoFile(t *testing.T) {
	digest := hex64("artifact of 1.0.0")
	noAddress := runProblem(404, `{"title":"There is nothing at this address","status":404,"detail":"an address of this host is /r/, an app ID, the 64 lower-case hexadecimal digits of a version's digest, and the path of a file","code":"NotFound"}`)
	noFile := runProblem(404, `{"title":"There is no such file","status":404,"detail":"version 1.0.0 of com.example.shop has no such file","code":"UnknownFile"}`)
	noVersion := func(appID, digest string) answer {
		return runProblem(404, `{"title":"There is no such file","status":404,"detail":"no document in service hands sha256:`+digest+` of `+appID+` to a host app that loads single files","code":"UnknownFile"}`)
	}
	noMethod := runProblem(405, `{"title":"The address does not know this method","status":405,"detail":"the methods are GET, HEAD, OPTIONS","code":"MethodNotAllowed"}`, "Allow", "GET, HEAD, OPTIONS")
	outside := runProblem(416, `{"title":"The range lies outside of the blob","status":416,"detail":"the file has 10 bytes","code":"RangeNotSatisfiable"}`, "Content-Range", "bytes */10")
	for name, value := range fileHeader(t, "", 0) {
		if _, fixed := outside.Header[name]; !fixed || name == "Content-Security-Policy" {
			outside.Header[name] = value
		}
	}
	for _, name := range []string{"Accept-Ranges", "Etag"} {
		outside.Header.Del(name)
	}
	f := newRunFixture(t)
	for name, test := range map[string]struct {
		method, path string
		header       []string
		want         answer
	}{
		"a file that is not there":          {path: siteBase() + "assets/none.js", want: noFile},
		"a page that is not there":          {path: siteBase() + "none.html", want: noFile},
		"a path to the folder above":        {path: siteBase() + "../", want: noFile},
		"a coded path to the folder above":  {path: siteBase() + "%2e%2e%2f%2e%2e%2fcom.example.other", want: noFile},
		"a path through the folder above":   {path: siteBase() + "a/../index", want: noFile},
		"an empty part":                     {path: siteBase() + "assets//x", want: noFile},
		"a byte that no name has":           {path: siteBase() + "%ff", want: noFile},
		"without the slash":                 {path: strings.TrimSuffix(siteBase(), "/"), want: noAddress},
		"the root":                          {path: "/", want: noAddress},
		"below another folder":              {path: "/x" + siteBase(), want: noAddress},
		"an app ID alone":                   {path: "/r/com.example.shop/", want: noAddress},
		"what is no app ID":                 {path: "/r/a%3bb/" + digest + "/", want: noAddress},
		"a digest in capitals":              {path: "/r/com.example.shop/" + strings.ToUpper(digest) + "/", want: noAddress},
		"a digest with its algorithm":       {path: "/r/com.example.shop/sha256:" + digest + "/", want: noAddress},
		"the API":                           {path: shopPath, want: noAddress},
		"the API's blobs":                   {path: archivePath(), want: noAddress},
		"the API's keys":                    {path: "/v1/keys", want: noAddress},
		"a digest that is not served":       {path: "/r/com.example.shop/" + hex64("x") + "/", want: noVersion("com.example.shop", hex64("x"))},
		"the digest of the content":         {path: "/r/com.example.shop/" + hex64("content of 1.0.0") + "/", want: noVersion("com.example.shop", hex64("content of 1.0.0"))},
		"another program's version":         {path: "/r/com.example.other/" + digest + "/", want: noVersion("com.example.other", digest)},
		"a method that changes something":   {method: "POST", path: siteBase(), want: noMethod},
		"a method that changes it, below /": {method: "DELETE", path: "/", want: noMethod},
		"a range outside":                   {path: siteBase() + "assets/app.js", header: []string{"Range", "bytes=10-"}, want: outside},
	} {
		t.Run(name, func(t *testing.T) {
			method := test.method
			if method == "" {
				method = http.MethodGet
			}
			if diff := cmp.Diff(test.want, f.run(method, test.path, test.header...)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyWebBundlesHaveAddressesThatTheirScriptMade(t *testing.T) {
	for format, want := range map[string]int{"Web": 200, "Dimina": 404, "MiniApp": 404, "": 404} {
		f := newRunFixture(t, func(r *document.Release) { r.Stable.Format = format })
		if got := f.run(http.MethodGet, siteBase()+"cart/42"); got.Status != want {
			t.Errorf("%q: %d, want %d", format, got.Status, want)
		}
		f.wantFile("assets/app.js", "0123456789")
	}
}

func TestPagesMayAskAheadWhetherTheyMayLoad(t *testing.T) {
	f := newRunFixture(t)
	fixed := []string{
		"Access-Control-Allow-Origin", "*", "Allow", "GET, HEAD, OPTIONS", "Content-Security-Policy", "default-src 'none'; sandbox",
		"Cross-Origin-Resource-Policy", "cross-origin", "Referrer-Policy", "no-referrer",
	}
	want := func(more ...string) answer {
		h := http.Header{}
		all := append(fixed, more...)
		for i := 0; i+1 < len(all); i += 2 {
			h.Set(all[i], all[i+1])
		}
		return answer{Status: 204, Header: h}
	}
	if diff := cmp.Diff(want(), f.run(http.MethodOptions, siteBase())); diff != "" {
		t.Errorf("OPTIONS (-want +got):\n%s", diff)
	}
	asked := want("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS", "Access-Control-Allow-Headers", "If-None-Match, If-Range, Range", "Access-Control-Max-Age", "600")
	if diff := cmp.Diff(asked, f.run(http.MethodOptions, siteBase(), "Origin", "null", "Access-Control-Request-Method", "GET")); diff != "" {
		t.Errorf("a preflight (-want +got):\n%s", diff)
	}
}

func TestTheRunHostAndTheAPIAreApart(t *testing.T) {
	f := newRunFixture(t)
	for _, host := range []string{runName, runName + ":443", runName + ":8443", strings.ToUpper(runName), runName + ".", runName + ".:443"} {
		if got := f.at(host, http.MethodGet, siteBase()); got.Status != 200 {
			t.Errorf("%s: a file is %d", host, got.Status)
		}
		if got := f.at(host, http.MethodGet, "/v1/hosts/portal/programs"); got.Status != 404 {
			t.Errorf("%s: the API is %d", host, got.Status)
		}
	}
	for _, host := range []string{"mini.example.com", "sub." + runName, runName + ".evil.example", "x" + runName, "127.0.0.1"} {
		got := f.at(host, http.MethodGet, siteBase())
		if got.Status != 404 || !strings.Contains(got.Body, "no address of this service has this path") {
			t.Errorf("%s: a file is %d %s", host, got.Status, got.Body)
		}
		if got := f.at(host, http.MethodGet, "/v1/hosts/portal/programs"); got.Status != 200 {
			t.Errorf("%s: the API is %d", host, got.Status)
		}
	}
}

func TestWithoutARunHostThereAreNoSingleFiles(t *testing.T) {
	f := newFixture(t)
	f.hostApp(portal())
	f.publishSite()
	for _, host := range []string{runName, "mini.example.com"} {
		if got := f.at(host, http.MethodGet, siteBase()); got.Status != 404 || !strings.Contains(got.Body, `"code":"NotFound"`) {
			t.Errorf("%s: %d %s", host, got.Status, got.Body)
		}
	}
	if got := f.get("/v1/hosts/portal/config.json"); strings.Contains(got.Body, "Files") || strings.Contains(got.Body, "/r/") {
		t.Errorf("config.json speaks of it: %s", got.Body)
	}
	if _, err := os.Stat(filepath.Join(f.options.CacheDir, "unpacked")); !os.IsNotExist(err) {
		t.Errorf("there is a folder for it: %v", err)
	}
}

func TestAHostAppIsToldWhereSingleFilesAre(t *testing.T) {
	const files = `"files":"https://run.example.net/r/{appID}/{hex}/{path}"`
	f := newRunFixture(t)
	f.hostApp(wallet())
	if got := f.get("/v1/hosts/portal/config.json"); !strings.Contains(got.Body, files) || !strings.Contains(got.Body, `"dialects":["Signed","Files"]`) {
		t.Errorf("the portal is told %s", got.Body)
	}
	if got := f.get("/v1/hosts/wallet/config.json"); strings.Contains(got.Body, "Files") || strings.Contains(got.Body, files) {
		t.Errorf("a host app that did not opt in is told %s", got.Body)
	}
}

func TestFilesAreServedWhileAHostAppThatLoadsThemIsHandedTheirVersion(t *testing.T) {
	served := func(f *fixture) { f.t.Helper(); f.wantFile("assets/app.js", "0123456789") }
	gone := func(f *fixture) { f.t.Helper(); f.wantNoFile() }
	release := func(change func(*document.Release)) func(*fixture) {
		return func(f *fixture) { f.publishSite(sequence(1001), change) }
	}
	host := func(change func(*delivery.HostAppConfig)) func(*fixture) {
		return func(f *fixture) { f.hostApp(portal(change)) }
	}
	digest := "sha256:" + hex64("artifact of 1.0.0")
	for name, test := range map[string]struct {
		change func(*fixture)
		want   func(*fixture)
	}{
		"nothing changes":           {func(*fixture) {}, served},
		"the host app opts out":     {host(func(c *delivery.HostAppConfig) { c.Dialects = []string{"Signed"} }), gone},
		"it asks for access tokens": {host(func(c *delivery.HostAppConfig) { c.Access = "Token" }), gone},
		"it is disabled":            {host(func(c *delivery.HostAppConfig) { c.Availability = "Disabled" }), gone},
		"it takes trials alone":     {host(func(c *delivery.HostAppConfig) { c.Channels = []string{"trial"} }), gone},
		"it blocks the program":     {host(func(c *delivery.HostAppConfig) { c.Blocks = []delivery.Block{{AppID: "com.example.shop"}} }), gone},
		"it blocks the digest":      {host(func(c *delivery.HostAppConfig) { c.Blocks = []delivery.Block{{Digest: digest}} }), gone},
		"it blocks something else":  {host(func(c *delivery.HostAppConfig) { c.Blocks = []delivery.Block{{AppID: "com.example.other"}} }), served},
		"the program is hidden":     {release(func(r *document.Release) { r.Availability = document.Hidden }), served},
		"it is suspended":           {release(func(r *document.Release) { r.Availability = document.Suspended }), gone},
		"it is withdrawn":           {release(func(r *document.Release) { r.Availability = document.Withdrawn }), gone},
		"it is blocked":             {release(func(r *document.Release) { r.Availability = document.Blocked }), gone},
		"its rollout is over, and what is installed stays": {release(func(r *document.Release) {
			r.Availability, r.Tombstone = document.Removed, &document.Tombstone{Installed: document.Retain}
		}), served},
		"its rollout is over": {release(func(r *document.Release) {
			r.Availability, r.Tombstone, r.Stable = document.Removed, &document.Tombstone{Installed: document.Remove}, nil
		}), gone},
		"another version is stable": {release(func(r *document.Release) { r.Stable = variant("1.1.0", 110) }), gone},
		"it is a fallback": {release(func(r *document.Release) {
			r.Stable, r.Fallbacks = variant("1.1.0", 110), []document.Variant{*r.Stable}
		}), served},
		"it is a target": {release(func(r *document.Release) {
			old := r.Stable
			withTarget(500)(r)
			r.Stable, r.Target = variant("0.9.0", 90), old
		}), served},
		"it is for other host apps": {release(func(r *document.Release) { r.HostApps = []string{"wallet"} }), gone},
		"one of two that load files blocks it": {func(f *fixture) {
			f.hostApp(portal(func(c *delivery.HostAppConfig) { c.Name = "kiosk" }))
			f.publishSite(sequence(1001), func(r *document.Release) { r.HostApps = []string{"portal", "kiosk"} })
			f.hostApp(portal(func(c *delivery.HostAppConfig) { c.Blocks = []delivery.Block{{AppID: "com.example.shop"}} }))
		}, served},
	} {
		t.Run(name, func(t *testing.T) {
			f := newRunFixture(t)
			served(f) // so that it is in every cache of the service
			test.change(f)
			test.want(f)
		})
	}
}

func TestATrialIsNoSingleFile(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.RunURL = "https://" + runName })
	f.hostApp(portal(func(c *delivery.HostAppConfig) { c.Channels = []string{"release", "trial"} }))
	f.publishSite(func(r *document.Release) { r.Type, r.Channel = document.TypeTrial, document.ChannelTrial })
	f.wantNoFile()
}

func TestThePagesOfAllHostAppsThatLoadAVersionMayFrameIt(t *testing.T) {
	f := newRunFixture(t)
	ancestors := func(want string) string {
		t.Helper()
		got := f.run(http.MethodGet, siteBase())
		if policy := got.Header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "; frame-ancestors "+want) {
			t.Errorf("the policy is %s, want frame-ancestors %s", policy, want)
		}
		return got.Header.Get("Etag")
	}
	before := ancestors("https://portal.example.com")
	f.hostApp(portal(func(c *delivery.HostAppConfig) { c.Name, c.Origins = "kiosk", []string{"https://kiosk.example.com"} }))
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Origins = []string{"https://wallet.example.com"} })) // loads none
	f.publishSite(sequence(1001), func(r *document.Release) { r.HostApps = []string{"portal", "kiosk", "wallet"} })
	after := ancestors("https://kiosk.example.com https://portal.example.com")
	if after == before {
		t.Error("a page in a cache keeps its old policy: the ETag is the same")
	}
	if got := f.run(http.MethodGet, siteBase(), "If-None-Match", before); got.Status != 200 {
		t.Errorf("the old page is answered %d, want 200", got.Status)
	}
	if got := f.run(http.MethodGet, siteBase(), "If-None-Match", after); got.Status != 304 {
		t.Errorf("the new page is answered %d, want 304", got.Status)
	}
}

func TestADeclarationThatMakesNoPolicyIsNotRun(t *testing.T) {
	f := newRunFixture(t, func(r *document.Release) {
		r.Stable.Declaration.Domains.Request = []string{"https://a.example; script-src *"}
	})
	got := f.run(http.MethodGet, siteBase())
	if want := `{"title":"The service failed","status":500,"detail":"no policy can be made of what version 1.0.0 of com.example.shop declares, so it is not handed out","code":"Internal"}`; got.Status != 500 || got.Body != want {
		t.Errorf("got %d %s, want %s", got.Status, got.Body, want)
	}
}

func TestFilesThatTheRegistryHasNot(t *testing.T) {
	const away = `{"title":"The registry could not be read","status":502,"detail":"the files of version 1.0.0 cannot be had at present: try again in a while","code":"RegistryUnavailable"}`
	const others = `{"title":"The registry has other bytes than the document names","status":502,"detail":"the files of version 1.0.0 are not served until the registry has them again","code":"BlobMismatch"}`
	other, _ := layerOf(t, map[string]string{"index.html": "other"})
	for name, test := range map[string]struct {
		change func(f *fixture, r *document.Release)
		want   string
	}{
		"the layer is gone":  {func(f *fixture, r *document.Release) { r.Stable.Content.Digest = "sha256:" + hex64("gone") }, away},
		"the layer is other": {func(f *fixture, r *document.Release) { f.source.set(r.Stable.Content.Digest, string(other)) }, others},
		"the layer has other files": {func(f *fixture, r *document.Release) {
			r.Stable.Content = document.Blob{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(other)), Size: int64(len(other))}
			f.source.set(r.Stable.Content.Digest, string(other))
		}, others},
		"the layer is too large": {func(f *fixture, r *document.Release) { f.service.run.files.max = 1024 }, away},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(o *Options) { o.RunURL = "https://" + runName })
			f.hostApp(portal())
			f.publishSite(func(r *document.Release) { test.change(f, r) })
			if got := f.run(http.MethodGet, siteBase()); got.Status != 502 || got.Body != test.want {
				t.Errorf("got %d %s, want %s", got.Status, got.Body, test.want)
			}
			if left, err := os.ReadDir(f.service.run.files.dir); err != nil || len(left) > 0 {
				t.Errorf("left behind is %v, %v", left, err)
			}
			if got := testutil.ToFloat64(f.service.metrics.unpacked.WithLabelValues("error")); got != 1 {
				t.Errorf("failures counted: %v, want 1", got)
			}
		})
	}
}
