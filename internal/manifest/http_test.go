package manifest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	hostclient "github.com/miniprogram-dev/miniprogram-operator/sdk/go/client"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// problemHeader is what every problem has, with its length.
func problemHeader(body string, more ...string) http.Header {
	h := http.Header{
		"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"},
		"X-Content-Type-Options": {"nosniff"}, "Content-Length": lengthOf([]byte(body)),
	}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

func TestProblems(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name, c.Dialects = "bank", nil }))
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name, c.Availability = "closed", "Disabled" }))
	f.hostApp(wallet(func(c *delivery.HostAppConfig) {
		c.Name, c.Blocks = "strict", []delivery.Block{{AppID: "com.example.shop", Reason: "a complaint"}}
	}))
	f.publish(
		shop(withTarget(5000), func(r *document.Release) { r.HostApps = []string{"wallet", "closed", "strict"} }),
		shop(func(r *document.Release) {
			r.AppID, r.Rollout.Name, r.Decide = "com.example.list", "list", document.DecideService
		}),
		shop(func(r *document.Release) { r.AppID, r.Rollout.Name, r.Stable.Format = "com.example.web", "web", "Web" }),
		shop(func(r *document.Release) {
			r.AppID, r.Rollout.Name, r.Availability = "com.example.bad", "bad", document.Suspended
		}),
		shop(func(r *document.Release) {
			r.AppID, r.Rollout.Name, r.IssuedAt, r.ExpiresAt = "com.example.old", "old", document.At(now.Add(-time.Hour)), document.At(now)
		}),
	)
	const resolve = "/v1/hosts/wallet/resolve"
	tests := map[string]struct {
		method, path, body string
		header             []string
		want               answer
	}{
		"no such path": {path: "/v2/hosts", want: answer{Status: 404,
			Body: `{"title":"There is nothing at this address","status":404,"detail":"no address of this service has this path","code":"NotFound"}`}},
		"an unknown host app": {path: "/v1/hosts/nobody/programs", want: answer{Status: 404,
			Body: `{"title":"The host app is not known","status":404,"detail":"no host app has this name","code":"UnknownHost"}`}},
		"a disabled host app": {path: "/v1/hosts/closed/programs/com.example.shop", want: answer{Status: 403,
			Body: `{"title":"The host app is disabled","status":403,"detail":"host app closed is disabled: nothing is served to it, and nothing changes on its devices","code":"HostAppDisabled"}`}},
		"an unknown program": {path: "/v1/hosts/wallet/programs/com.example.none", want: answer{Status: 404,
			Body: `{"title":"The program is not published for this host app","status":404,"detail":"nothing is published under this app ID for host app wallet","code":"UnknownProgram"}`}},
		"a program of another host app": {path: "/v1/hosts/bank/programs/com.example.shop", want: answer{Status: 404,
			Body: `{"title":"The program is not published for this host app","status":404,"detail":"nothing is published under this app ID for host app bank","code":"UnknownProgram"}`}},
		"a blocked program": {path: "/v1/hosts/strict/programs/com.example.shop", want: answer{Status: 403,
			Body: `{"title":"The host app blocks the program","status":403,"detail":"host app strict blocks com.example.shop: a complaint","code":"Blocked"}`}},
		"a document that does not decide": {path: "/v1/hosts/wallet/programs/com.example.list", want: answer{Status: 409,
			Body: `{"title":"The document alone does not decide","status":409,"detail":"the document needs lists that only the service holds: ask /v1/hosts/wallet/resolve","code":"ServiceDecides"}`}},
		"an unknown channel": {path: shopPath + "?channel=nightly", want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"the parameter channel must be release or trial","code":"InvalidRequest"}`}},
		"a channel that cannot be read": {path: shopPath + "?channel=tri%2", want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"the query is malformed","code":"InvalidRequest"}`}},
		"two channels": {path: shopPath + "?channel=release&channel=trial", want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"the parameter channel stands there twice","code":"InvalidRequest"}`}},
		"the trial channel": {path: shopPath + "?channel=trial", want: answer{Status: 403,
			Body: `{"title":"The channel is not enabled for this host app","status":403,"detail":"host app wallet has not opted into the channel trial","code":"ChannelNotEnabled"}`}},
		"a wrong method": {method: "DELETE", path: shopPath, want: answer{Status: 405, Header: http.Header{"Allow": {"GET, HEAD"}},
			Body: `{"title":"The address does not know this method","status":405,"detail":"the methods are GET, HEAD","code":"MethodNotAllowed"}`}},
		"resolve by GET": {path: resolve, want: answer{Status: 405, Header: http.Header{"Allow": {"POST"}},
			Body: `{"title":"The address does not know this method","status":405,"detail":"the methods are POST","code":"MethodNotAllowed"}`}},
		"resolve without its dialect": {method: "POST", path: "/v1/hosts/bank/resolve", body: "{}", want: answer{Status: 403,
			Body: `{"title":"The dialect is not enabled for this host app","status":403,"detail":"host app bank has not opted into the dialect Resolve","code":"DialectNotEnabled"}`}},
		"resolve of no JSON": {method: "POST", path: resolve, body: `{"user":"+4915112345678",}`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"the body is no JSON from byte 26 on","code":"InvalidRequest"}`}},
		"resolve of something after the JSON": {method: "POST", path: resolve, body: `{} +4915112345678`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"the body is no JSON from byte 4 on","code":"InvalidRequest"}`}},
		"resolve with a key of a wrong type": {method: "POST", path: resolve, body: `{"user":4915112345678}`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"user must be a string","code":"InvalidRequest"}`}},
		"resolve with an attribute of a wrong type": {method: "POST", path: resolve, body: `{"attributes":{"+4915112345678":1}}`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"each of attributes must be a string","code":"InvalidRequest"}`}},
		"resolve with attributes that are none": {method: "POST", path: resolve, body: `{"attributes":1}`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"attributes must be an object","code":"InvalidRequest"}`}},
		"resolve with a key that is no text": {method: "POST", path: resolve, body: "{\"user\":\"\xff\"}", want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"the body is not UTF-8","code":"InvalidRequest"}`}},
		"resolve with two users": {method: "POST", path: resolve, body: `{"user":"4915112345678","user":"4915112345679"}`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"a name stands twice in one object of the body","code":"InvalidRequest"}`}},
		"resolve with an attribute twice": {method: "POST", path: resolve, body: `{"attributes":{"+4915112345678":"a","+4915112345678":"b"}}`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"a name stands twice in one object of the body","code":"InvalidRequest"}`}},
		"resolve with a number too large": {method: "POST", path: resolve, body: `{"programs":[{"installed":{"versionCode":49151123456784915112345678}}]}`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"programs.installed.versionCode must be a whole number","code":"InvalidRequest"}`}},
		"resolve of a list": {method: "POST", path: resolve, body: `[]`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"the body must be an object","code":"InvalidRequest"}`}},
		"resolve of nothing": {method: "POST", path: resolve, body: `{}`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"programs must have 1 to 200 entries, it has 0","code":"InvalidRequest"}`}},
		"resolve of too many": {method: "POST", path: resolve, body: `{"programs":[` + strings.Repeat(`{"appID":"a"},`, 200) + `{"appID":"a"}]}`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"programs must have 1 to 200 entries, it has 201","code":"InvalidRequest"}`}},
		"resolve without app ID": {method: "POST", path: resolve, body: `{"programs":[{"appID":"a"},{}]}`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"programs[1].appID is missing","code":"InvalidRequest"}`}},
		"resolve of an unknown channel": {method: "POST", path: resolve, body: `{"programs":[{"appID":"a","channel":"beta"}]}`, want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"programs[0].channel must be release or trial","code":"InvalidRequest"}`}},
		"resolve of too much": {method: "POST", path: resolve, body: `{"user":"` + strings.Repeat("x", maxRequestBytes) + `"}`, want: answer{Status: 413,
			Body: `{"title":"The request's body is too large","status":413,"detail":"65536 bytes are allowed","code":"BodyTooLarge"}`}},
		"resolve of a form": {method: "POST", path: resolve, body: `a=b`, header: []string{"Content-Type", "application/x-www-form-urlencoded"}, want: answer{Status: 415,
			Body: `{"title":"The request's body is no JSON","status":415,"detail":"Content-Type must be application/json","code":"UnsupportedMedia"}`}},
		"a blob that nothing names": {path: "/v1/blobs/sha256/" + strings.Repeat("0", 64), want: answer{Status: 404,
			Body: `{"title":"The blob is not part of anything published","status":404,"detail":"no document in service names sha256:` + strings.Repeat("0", 64) + `","code":"UnknownBlob"}`}},
		"a blob's address in capitals": {path: "/v1/blobs/sha256/" + strings.ToUpper(hex64("archive of 1.0.0")), want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"a blob's address ends in the 64 lower-case hexadecimal digits of its SHA-256","code":"InvalidRequest"}`}},
		"Dimina without its dialect": {path: "/dimina/v1/hosts/bank/com.example.shop.json", want: answer{Status: 403,
			Body: `{"title":"The dialect is not enabled for this host app","status":403,"detail":"host app bank has not opted into the dialect Dimina","code":"DialectNotEnabled"}`}},
		"Dimina without .json": {path: "/dimina/v1/hosts/wallet/com.example.shop", want: answer{Status: 404,
			Body: `{"title":"There is nothing at this address","status":404,"detail":"the address of a program ends in .json","code":"NotFound"}`}},
		"Dimina of a program for browsers": {path: "/dimina/v1/hosts/wallet/com.example.web.json", want: answer{Status: 404,
			Body: `{"title":"The program has no version in this dialect's format","status":404,"detail":"version 1.0.0 of com.example.web has the format Web, which Dimina containers cannot run","code":"FormatNotSupported"}`}},
		"Dimina of a suspended program": {path: "/dimina/v1/hosts/wallet/com.example.bad.json?user=u1", want: answer{Status: 404,
			Body: `{"title":"No version is due","status":404,"detail":"no version of com.example.bad is due: Suspended","code":"NoVersion"}`}},
		"Dimina of an expired document": {path: "/dimina/v1/hosts/wallet/com.example.old.json", want: answer{Status: 404,
			Body: `{"title":"No version is due","status":404,"detail":"no version of com.example.old is due: Expired","code":"NoVersion"}`}},
		"Dimina of a blocked program": {path: "/dimina/v1/hosts/strict/com.example.shop.json", want: answer{Status: 403,
			Body: `{"title":"The host app blocks the program","status":403,"detail":"host app strict blocks com.example.shop: a complaint","code":"Blocked"}`}},
		"Dimina with a malformed query": {path: "/dimina/v1/hosts/wallet/com.example.shop.json?user=%2", want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"the query is malformed","code":"InvalidRequest"}`}},
		"Dimina with two users": {path: "/dimina/v1/hosts/wallet/com.example.shop.json?user=a&user=b", want: answer{Status: 400,
			Body: `{"title":"The request is invalid","status":400,"detail":"the parameter user stands there twice","code":"InvalidRequest"}`}},
		"HEAD has no body": {method: "HEAD", path: "/v1/hosts/nobody/programs", want: answer{Status: 404,
			Header: http.Header{"Content-Length": {"108"}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.method == "" {
				test.method = http.MethodGet
			}
			want := answer{Status: test.want.Status, Header: problemHeader(test.want.Body), Body: test.want.Body}
			for name, values := range test.want.Header {
				want.Header[name] = values
			}
			if diff := cmp.Diff(want, f.do(test.method, test.path, test.body, test.header...)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
	if log := f.logs.text(); strings.Contains(log, "4915112345678") {
		t.Errorf("the log has a user's key: %s", log)
	}
}

func TestADocumentIsServedInTheEncodingThatIsPreferred(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop(withTarget(500)))
	raw := f.envelope(shop(withTarget(500)))
	plain := f.get(shopPath).Header.Get("Etag")
	decoders := map[string]func(string) string{
		"":     func(s string) string { return s },
		"gzip": func(s string) string { return readAll(t, must(gzip.NewReader(strings.NewReader(s)))) },
		"zstd": func(s string) string { return readAll(t, must(zstd.NewReader(strings.NewReader(s)))) },
	}
	for accept, want := range map[string]string{"identity": "", "gzip, deflate, br": "gzip", "gzip, deflate, br, zstd": "zstd", "gzip;q=0": "",
		"gzip;q=0.5, zstd;q=0.4, identity;q=0.1": "gzip", "gzip;q=0.2, identity;q=0.3": "", "*": "zstd", "identity;q=0": "", "identity;q=0, gzip": "gzip", "*;q=0, zstd": "zstd"} {
		t.Run(accept, func(t *testing.T) {
			got := f.get(shopPath, "Accept-Encoding", accept)
			etag := plain
			header := http.Header{
				"Content-Type": {"application/vnd.dsse.envelope.v1+json"}, "Cache-Control": {"public, max-age=5, stale-if-error=86400"},
				"Vary": {"Accept-Encoding"}, "X-Content-Type-Options": {"nosniff"}, "Content-Length": lengthOf([]byte(got.Body)),
			}
			if want != "" {
				header.Set("Content-Encoding", want)
				etag = strings.TrimSuffix(plain, `"`) + "-" + want + `"`
			}
			header.Set("Etag", etag)
			got.Body = decoders[want](got.Body)
			if diff := cmp.Diff(answer{Status: 200, Header: header, Body: raw}, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			delete(header, "Content-Type")
			delete(header, "Content-Length")
			delete(header, "Content-Encoding")
			delete(header, "X-Content-Type-Options")
			again := f.get(shopPath, "Accept-Encoding", accept, "If-None-Match", `"other", W/`+etag)
			if diff := cmp.Diff(answer{Status: 304, Header: header}, again); diff != "" {
				t.Errorf("answer to the tag (-want +got):\n%s", diff)
			}
		})
	}
}

func must[T io.Reader](r T, err error) T {
	if err != nil {
		panic(err)
	}
	return r
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAClientCanVerifyWhatItGets(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop(withTarget(500)))
	key, err := dsse.NewKey(&f.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	got, err := release.Verify([]byte(f.get(shopPath+"?channel=release").Body), release.Expect{
		AppID: "com.example.shop", Channel: "release", HostApp: "wallet", Keys: []dsse.Key{key}, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(shop(withTarget(500)), got.Document); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

// memory is a store of a host app.
type memory map[string][]byte

func (m memory) Load(_ context.Context, name string) ([]byte, error) { return m[name], nil }

func (m memory) Save(_ context.Context, name string, value []byte) error {
	m[name] = value
	return nil
}

// Host apps make the tag of a document by themselves, and believe none that they are told.
func TestAClientIsNotSentTwiceWhatItHas(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	pinned, err := dsse.NewKey(&f.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	f.publish(shop())
	for _, compressed := range []bool{false, true} {
		seen := &answered{from: &http.Transport{DisableCompression: !compressed}}
		c := &hostclient.Client{
			Base: f.server.URL, HostApp: "wallet", Pinned: []dsse.Key{pinned}, Store: memory{}, Now: f.options.Now,
			HTTP: &http.Client{Transport: seen},
		}
		for range 3 {
			if _, err := c.Fetch(t.Context(), "com.example.shop", "release"); err != nil {
				t.Fatal(err)
			}
		}
		if want := []int{200, 304, 304}; !slices.Equal(seen.documents, want) {
			t.Errorf("compressed %v: answers %v, want %v", compressed, seen.documents, want)
		}
	}
}

// answered notes those of answers about documents.
type answered struct {
	from      *http.Transport
	documents []int
}

func (s *answered) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := s.from.RoundTrip(r)
	if err == nil && strings.Contains(r.URL.Path, "/programs/") {
		s.documents = append(s.documents, response.StatusCode)
	}
	return response, err
}

func TestHEADAnswersAsGETWithoutABody(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop())
	f.source.set("sha256:"+hex64("archive of 1.0.0"), "archive of 1.0.0")
	for _, path := range []string{shopPath, "/v1/hosts/wallet/programs", "/v1/keys", "/v1/hosts/wallet/config.json",
		"/dimina/v1/hosts/wallet/com.example.shop.json", "/v1/blobs/sha256/" + hex64("archive of 1.0.0")} {
		want := f.get(path)
		want.Body = ""
		if diff := cmp.Diff(want, f.do(http.MethodHead, path, "")); diff != "" || want.Status != 200 {
			t.Errorf("%s: status %d, answer (-GET +HEAD):\n%s", path, want.Status, diff)
		}
	}
}

func TestTheListHasWhatAHostAppMayListAndWhatItMustHearOf(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet(func(c *delivery.HostAppConfig) {
		c.Blocks = []delivery.Block{{AppID: "com.example.blocked", Reason: "r"}}
	}))
	program := func(appID string, availability document.Availability, hosts ...string) *document.Release {
		return shop(func(r *document.Release) {
			r.AppID, r.Rollout.Name, r.Availability, r.HostApps = appID, strings.TrimPrefix(appID, "com.example."), availability, hosts
		})
	}
	f.publish(
		program("com.example.shop", document.Listed, "wallet", "bank"),
		program("com.example.hidden", document.Hidden, "wallet"),
		program("com.example.suspended", document.Suspended, "wallet"),
		program("com.example.blocked", document.Listed, "wallet"),
		program("com.example.elsewhere", document.Listed, "bank"),
	)
	line := func(r *document.Release) string {
		return `{"appID":"` + r.AppID + `","channel":"release","sequence":1000,"issuedAt":"2026-11-22T09:00:00Z","availability":"` +
			string(r.Availability) + `","envelopeDigest":"` + digestOf([]byte(f.envelope(r))) + `","listing":{"displayName":"Shop & more"}}`
	}
	want := `{"host":"wallet","programs":[` + line(program("com.example.shop", document.Listed, "wallet", "bank")) + `,` +
		line(program("com.example.suspended", document.Suspended, "wallet")) + `]}`
	got := f.get("/v1/hosts/wallet/programs")
	if diff := cmp.Diff(want, got.Body); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	f.publish(program("com.example.elsewhere", document.Listed, "bank"))
	if again := f.get("/v1/hosts/wallet/programs", "If-None-Match", got.Header.Get("Etag")); again.Status != 304 {
		t.Errorf("a list that did not change: %d, want 304", again.Status)
	}
}

func TestKeysAndConfig(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Name, c.DisplayName, c.Dialects = "bank", "", nil }))
	key, err := dsse.NewKey(&f.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := dsse.MarshalPublicKeyPEM(&f.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	keys := []any{map[string]any{"keyID": key.ID, "algorithm": "ECDSA-P256-SHA256", "publicKey": string(text)}}
	const base = "https://mini.example.com"
	for path, want := range map[string]any{
		"/v1/keys": map[string]any{"keys": keys, "documents": []any{}},
		"/v1/hosts/wallet/config.json": map[string]any{
			"host": "wallet", "displayName": "Wallet", "dialects": []any{"Signed", "Resolve", "Dimina"}, "keys": keys,
			"poll": map[string]any{"intervalSeconds": 1800.0, "minSeconds": 300.0},
			"urls": map[string]any{
				"programs": base + "/v1/hosts/wallet/programs", "program": base + "/v1/hosts/wallet/programs/{appID}?channel={channel}",
				"blob": base + "/v1/blobs/sha256/{hex}", "keys": base + "/v1/keys", "events": base + "/v1/hosts/wallet/events", "resolve": base + "/v1/hosts/wallet/resolve",
				"dimina": base + "/dimina/v1/hosts/wallet/{appID}.json?user={user}&channel={channel}",
			},
		},
		"/v1/hosts/bank/config.json": map[string]any{
			"host": "bank", "dialects": []any{"Signed"}, "keys": keys, "poll": map[string]any{"intervalSeconds": 1800.0, "minSeconds": 300.0},
			"urls": map[string]any{
				"programs": base + "/v1/hosts/bank/programs", "program": base + "/v1/hosts/bank/programs/{appID}?channel={channel}",
				"blob": base + "/v1/blobs/sha256/{hex}", "keys": base + "/v1/keys", "events": base + "/v1/hosts/bank/events",
			},
		},
	} {
		got := f.get(path)
		var body any
		if err := json.NewDecoder(bytes.NewBufferString(got.Body)).Decode(&body); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, body); diff != "" || got.Header.Get("Cache-Control") != "public, max-age=300" {
			t.Errorf("%s with %v (-want +got):\n%s", path, got.Header, diff)
		}
	}
}

func TestWithoutAPublicURLAddressesAreThoseOfTheRequest(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.PublicURL = "" })
	f.hostApp(wallet())
	if got, want := f.get("/v1/hosts/wallet/config.json").Body, `"keys":"`+f.server.URL+`/v1/keys"`; !strings.Contains(got, want) {
		t.Errorf("the configuration is %s, want %s in it", got, want)
	}
}

func TestABlockOfADigestBlocksEveryDocumentThatCouldHandItOut(t *testing.T) {
	for name, blocked := range map[string]string{
		"stable": variant("1.0.0", 100).Digest, "target": variant("2.0.0", 200).Digest, "a fallback": variant("0.9.0", 90).Digest,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.hostApp(wallet())
			f.publish(shop(withTarget(500), func(r *document.Release) { r.Fallbacks = []document.Variant{*variant("0.9.0", 90)} }))
			if got := f.get(shopPath).Status; got != 200 {
				t.Fatalf("before: %d", got)
			}
			f.hostApp(wallet(func(c *delivery.HostAppConfig) { c.Blocks = []delivery.Block{{Digest: blocked, Reason: "it leaks"}} }))
			want := `{"title":"The host app blocks the program","status":403,"detail":"host app wallet blocks com.example.shop: it leaks","code":"Blocked"}`
			if diff := cmp.Diff(want, f.get(shopPath).Body); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			f.publish(shop(sequence(1001), func(r *document.Release) { r.Stable = variant("3.0.0", 300) }))
			if got := f.get(shopPath).Status; got != 200 {
				t.Errorf("a document without the digest: %d, want 200", got)
			}
		})
	}
}
