package manifest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

const (
	oldToken = "old-token-0123456789abcdef0123456789"
	newToken = "new-token-0123456789abcdef0123456789"
)

// withTokens is a host app that asks for one of the access tokens.
func withTokens(tokens ...string) func(*delivery.HostAppConfig) {
	return func(c *delivery.HostAppConfig) {
		c.Access = "Token"
		for _, token := range tokens {
			c.TokenHashes = append(c.TokenHashes, delivery.TokenHash(c.Name, token))
		}
	}
}

// requests has one in a host app's name for each address; those that answer 200
// with the shop in it do so for wallet.
var requests = map[string]struct{ method, path, body string }{
	"the document": {"GET", shopPath, ""},
	"the list":     {"GET", "/v1/hosts/wallet/programs", ""},
	"the file":     {"GET", "/v1/hosts/wallet/config.json", ""},
	"resolve":      {"POST", "/v1/hosts/wallet/resolve", resolveBody},
	"Dimina":       {"GET", "/dimina/v1/hosts/wallet/com.example.shop.json", ""},
}

func TestWhoHasNoAccessTokenIsAnsweredNothing(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet(withTokens(oldToken, newToken)))
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name = "chat" }, withTokens("of-"+newToken)))
	f.publish(shop())
	const ask = `Bearer realm="miniprogram"`
	for name, test := range map[string]struct {
		header    []string
		challenge string // empty: it is let in
		detail    string
	}{
		"the old one while both are good": {header: []string{"Authorization", "Bearer " + oldToken}},
		"the new one":                     {header: []string{"Authorization", "Bearer " + newToken}},
		"a scheme in other letters":       {header: []string{"Authorization", "bEARER " + newToken}},
		"none":                            {challenge: ask, detail: "a request in the name of host app wallet needs the header Authorization: Bearer with one of its access tokens"},
		"an empty one":                    {[]string{"Authorization", "Bearer "}, ask + `, error="invalid_token"`, "host app wallet does not know this access token"},
		"another":                         {[]string{"Authorization", "Bearer " + newToken + "x"}, ask + `, error="invalid_token"`, "host app wallet does not know this access token"},
		"the beginning of one":            {[]string{"Authorization", "Bearer " + newToken[:20]}, ask + `, error="invalid_token"`, "host app wallet does not know this access token"},
		"that of another host app":        {[]string{"Authorization", "Bearer of-" + newToken}, ask + `, error="invalid_token"`, "host app wallet does not know this access token"},
		"what is published of one": {
			[]string{"Authorization", "Bearer " + delivery.TokenHash("wallet", newToken)}, ask + `, error="invalid_token"`, "host app wallet does not know this access token",
		},
		"a password":           {[]string{"Authorization", "Basic " + newToken}, ask + `, error="invalid_request"`, "host app wallet takes one header Authorization: Bearer with one of its access tokens"},
		"an endless one":       {[]string{"Authorization", "Bearer " + strings.Repeat("x", maxTokenBytes+1)}, ask + `, error="invalid_request"`, "host app wallet takes one header Authorization: Bearer with one of its access tokens"},
		"one in another place": {[]string{"X-Token", newToken}, ask, "a request in the name of host app wallet needs the header Authorization: Bearer with one of its access tokens"},
	} {
		for what, q := range requests {
			t.Run(name+" asks for "+what, func(t *testing.T) {
				got := f.do(q.method, q.path, q.body, test.header...)
				if test.challenge == "" {
					if got.Status != http.StatusOK {
						t.Errorf("status %d: %s", got.Status, got.Body)
					}
					return
				}
				body := `{"title":"An access token is needed","status":401,"detail":"` + test.detail + `","code":"Unauthorized"}`
				want := answer{Status: 401, Body: body, Header: problemHeader(body, "WWW-Authenticate", test.challenge)}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
	if text := f.logs.text(); strings.Contains(text, "token-0123") {
		t.Errorf("a token is in the log: %s", text)
	}
}

func TestTwoHeadersWithTokensAreNone(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet(withTokens(newToken)))
	request, err := http.NewRequest("GET", f.server.URL+"/v1/hosts/wallet/programs", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header["Authorization"] = []string{"Bearer " + newToken, "Bearer " + oldToken}
	response, err := f.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", response.StatusCode)
	}
}

func TestWithoutAnyTokenNobodyIsLetIn(t *testing.T) {
	f := newFixture(t)
	f.publish(shop())
	for name, config := range map[string]*delivery.HostAppConfig{
		"no hash":           wallet(withTokens()),
		"an unknown access": wallet(func(c *delivery.HostAppConfig) { c.Access = "Certificate" }),
	} {
		t.Run(name, func(t *testing.T) {
			f.hostApp(config)
			for _, header := range [][]string{nil, {"Authorization", "Bearer "}, {"Authorization", "Bearer " + newToken}} {
				if got := f.get(shopPath, header...); got.Status != http.StatusUnauthorized {
					t.Errorf("%v: status %d: %s", header, got.Status, got.Body)
				}
			}
		})
	}
}

func TestARotationLeavesNobodyOut(t *testing.T) {
	f := newFixture(t)
	f.publish(shop())
	for _, now := range []struct {
		tokens    []string
		old, next int
	}{
		{[]string{oldToken}, 200, 401}, {[]string{oldToken, newToken}, 200, 200}, {[]string{newToken}, 401, 200},
	} {
		f.hostApp(wallet(withTokens(now.tokens...)))
		got := []int{f.get(shopPath, "Authorization", "Bearer "+oldToken).Status, f.get(shopPath, "Authorization", "Bearer "+newToken).Status}
		if diff := cmp.Diff([]int{now.old, now.next}, got); diff != "" {
			t.Errorf("with %d tokens (-want +got):\n%s", len(now.tokens), diff)
		}
	}
}

func TestAnswersThatNeedATokenAreForWhoHasIt(t *testing.T) {
	f := newFixture(t)
	f.publish(shop())
	want := map[string]string{
		"the document": "private, max-age=5, stale-if-error=86400", "the list": "private, max-age=5, stale-if-error=86400",
		"the file": "private, max-age=300", "resolve": "private, no-store", "Dimina": "private, max-age=5, stale-if-error=86400",
	}
	for name, q := range requests {
		f.hostApp(wallet())
		if got := f.do(q.method, q.path, q.body).Header; slices.Contains(strings.Split(strings.Join(got["Vary"], ", "), ", "), "Authorization") {
			t.Errorf("%s for everybody has Vary %q", name, got["Vary"])
		}
		f.hostApp(wallet(withTokens(newToken)))
		got := f.do(q.method, q.path, q.body, "Authorization", "Bearer "+newToken)
		if cache := got.Header.Get("Cache-Control"); got.Status != 200 || cache != want[name] {
			t.Errorf("%s: status %d, Cache-Control %q, want %q", name, got.Status, cache, want[name])
		}
		if !slices.Contains(got.Header["Vary"], "Authorization") {
			t.Errorf("%s: Vary is %q", name, got.Header["Vary"])
		}
		again := f.do(q.method, q.path, q.body, "Authorization", "Bearer "+newToken, "If-None-Match", got.Header.Get("Etag"))
		if q.method == "GET" && (again.Status != 304 || !strings.HasPrefix(again.Header.Get("Cache-Control"), "private")) {
			t.Errorf("%s, again: status %d, Cache-Control %q", name, again.Status, again.Header.Get("Cache-Control"))
		}
	}
}

func TestADisabledHostAppSaysSoOnlyToItself(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet(withTokens(newToken), func(c *delivery.HostAppConfig) { c.Availability = "Disabled" }))
	got := []int{f.get(shopPath).Status, f.get(shopPath, "Authorization", "Bearer "+newToken).Status}
	if diff := cmp.Diff([]int{401, 403}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// cors are the headers of an answer that are about pages.
func cors(h http.Header) map[string]string {
	got := map[string]string{}
	for name := range maps.Keys(h) {
		if strings.HasPrefix(name, "Access-Control-") {
			got[name] = strings.Join(h[name], "; ")
		}
	}
	return got
}

func TestPagesOfTheListedOriginsAndNoOthersReadAnswers(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet(func(c *delivery.HostAppConfig) {
		c.Origins = []string{"https://wallet.example.com", "https://wallet.example.com:8443"}
	}))
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name, c.Origins = "chat", []string{"https://chat.example.com"} }))
	f.publish(shop())
	blob := blobPath(variant("1.0.0", 100).Archive.Digest)
	f.source.set(variant("1.0.0", 100).Archive.Digest, "archive of 1.0.0")
	for name, test := range map[string]struct {
		origin string
		paths  []string
		read   bool
	}{
		"a listed one":              {"https://wallet.example.com", []string{shopPath, "/v1/hosts/wallet/programs", "/v1/hosts/wallet/config.json", "/v1/keys", blob}, true},
		"one with a port":           {"https://wallet.example.com:8443", []string{shopPath}, true},
		"also a problem":            {"https://wallet.example.com", []string{"/v1/hosts/wallet/programs/com.example.none"}, true},
		"another port":              {"https://wallet.example.com:1", []string{shopPath, "/v1/keys", blob}, false},
		"http":                      {"http://wallet.example.com", []string{shopPath, blob}, false},
		"a subdomain":               {"https://x.wallet.example.com", []string{shopPath, blob}, false},
		"one that ends like it":     {"https://evil-wallet.example.com", []string{shopPath, blob}, false},
		"null":                      {"null", []string{shopPath, blob}, false},
		"that of another host app":  {"https://chat.example.com", []string{shopPath, "/v1/hosts/wallet/programs"}, false},
		"of what is the same there": {"https://chat.example.com", []string{"/v1/keys", blob}, true},
	} {
		t.Run(name, func(t *testing.T) {
			want := map[string]string{}
			if test.read {
				want["Access-Control-Allow-Origin"], want["Access-Control-Expose-Headers"] = test.origin, corsExposed[0]
			}
			for _, path := range test.paths {
				got := f.get(path, "Origin", test.origin)
				if diff := cmp.Diff(want, cors(got.Header)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
				if got.Status == 200 && !slices.Contains(got.Header["Vary"], "Origin") {
					t.Errorf("%s: a cache could hand the answer to another page: Vary %q", path, got.Header["Vary"])
				}
			}
		})
	}
}

func TestABrowserIsToldWhatAPageMayAsk(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet(withTokens(newToken), func(c *delivery.HostAppConfig) { c.Origins = []string{"https://wallet.example.com"} }))
	const resolve = "/v1/hosts/wallet/resolve"
	ask := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type"}
	got := f.do("OPTIONS", resolve, "", append([]string{"Origin", "https://wallet.example.com"}, ask...)...)
	want := answer{Status: 204, Header: http.Header{
		"Vary": {"Origin"}, "Access-Control-Allow-Origin": {"https://wallet.example.com"}, "Access-Control-Expose-Headers": corsExposed,
		"Access-Control-Allow-Methods": {"POST"}, "Access-Control-Allow-Headers": corsHeaders, "Access-Control-Max-Age": {"600"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	body := `{"title":"The page is not one of the host app's","status":403,"detail":"the host app does not list the origin of this page in spec.origins","code":"OriginNotAllowed"}`
	got = f.do("OPTIONS", resolve, "", append([]string{"Origin", "https://evil.example.com"}, ask...)...)
	if diff := cmp.Diff(answer{Status: 403, Header: problemHeader(body), Body: body}, got); diff != "" {
		t.Errorf("another page (-want +got):\n%s", diff)
	}
	if got := f.do("OPTIONS", resolve, ""); got.Status != http.StatusMethodNotAllowed {
		t.Errorf("no browser: status %d, want 405", got.Status)
	}
}

func TestABlockIsInEveryDialectAndLiftingItRestoresWhatWas(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop(withTarget(5000)))
	served := func() map[string]answer {
		all := map[string]answer{}
		for name, q := range requests {
			all[name] = f.do(q.method, q.path, q.body)
		}
		return all
	}
	before := served()
	refused := `{"title":"The host app blocks the program","status":403,"detail":"host app wallet blocks com.example.shop: it leaks","code":"Blocked"}`
	want := map[string]string{
		"the document": refused, "Dimina": refused, "the file": before["the file"].Body, "the list": `{"host":"wallet","programs":[]}`,
		"resolve": `{"programs":[{"appID":"com.example.shop","channel":"release","action":"none","envelopeDigest":"` + digestOf([]byte(before["the document"].Body)) +
			`","reason":"HostBlocked","sequence":1000}]}`,
	}
	for name, block := range map[string]delivery.Block{
		"an app ID": {AppID: "com.example.shop"}, "stable": {Digest: variant("1.0.0", 100).Digest}, "the target": {Digest: variant("2.0.0", 200).Digest},
	} {
		t.Run(name, func(t *testing.T) {
			f.hostApp(wallet(func(c *delivery.HostAppConfig) { block.Reason = "it leaks"; c.Blocks = []delivery.Block{block} }))
			for name, got := range served() {
				if diff := cmp.Diff(want[name], got.Body); diff != "" {
					t.Errorf("%s is answered %d (-want +got):\n%s", name, got.Status, diff)
				}
			}
			f.hostApp(wallet())
			if diff := cmp.Diff(before, served()); diff != "" {
				t.Errorf("after it was lifted (-before +after):\n%s", diff)
			}
		})
	}
}
