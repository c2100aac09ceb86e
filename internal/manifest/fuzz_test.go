package manifest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// FuzzConfigMap lets anybody write into the publication namespace: nothing that he
// writes is served unless a trusted key signed it.
func FuzzConfigMap(f *testing.F) {
	x := newFixture(f)
	x.hostApp(wallet())
	x.publish(shop(withTarget(500)))
	good := []string{x.envelope(shop(withTarget(500)))}
	for _, r := range []*document.Release{shop(sequence(1001)), shop(sequence(999)), shop(withTarget(10000))} {
		f.Add(delivery.KindRollout, x.envelope(r), "shop-team/shop")
		good = append(good, x.envelope(r))
	}
	config, err := delivery.MarshalHostApp(wallet())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{config, `{"name":"wallet"}`, `{"name":"wallet","availability":"Disabled","tokenHashes":[""]}`, "{}", "null", "[]", `{"payload":"","signatures":null}`} {
		f.Add(delivery.KindHostApp, seed, "")
		f.Add(delivery.KindRollout, seed, " ")
	}
	f.Fuzz(func(t *testing.T, kind, text, repository string) {
		r := &record{Name: delivery.RolloutConfigMap("shop-team", "shop"), Kind: kind, Data: map[string]string{
			delivery.KeyEnvelope: text, delivery.KeyRepository: repository, delivery.KeyHostApp: text,
		}}
		x.put(r)
		r = &record{Name: delivery.HostAppConfigMap("stranger"), Kind: kind, Data: r.Data}
		x.put(r)
		p := x.service.store.current.Load().hosts["wallet"].programs[slot{"com.example.shop", document.ChannelRelease}]
		if !slices.Contains(good, string(p.envelope())) {
			t.Errorf("served is %q", p.envelope())
		}
	})
}

// FuzzResolve sends any body to whatever reads the one of resolve, which explain does, too.
func FuzzResolve(f *testing.F) {
	x := newFixture(f)
	x.hostApp(wallet())
	x.publish(shop(withTarget(500)))
	for _, seed := range []string{
		resolveBody, "", "null", "{}", "[]", `{"programs":[null]}`, `{"programs":[{"appID":"com.example.shop","installed":null}]}`,
		`{"attributes":{"a":null},"user":"\ud800","programs":[{"appID":"com.example.shop"}]}`, `{"programs":[{"appID":"a","installed":{"versionCode":1e400}}]}`,
		`{"user":"secret","programs":{}}`, strings.Repeat("[", 1000),
	} {
		f.Add(seed)
	}
	handler := x.service.Handler()
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/v1/hosts/wallet/resolve", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest && w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if w.Code != http.StatusOK && len(body) > 20 && strings.Contains(w.Body.String(), body) {
			t.Errorf("the problem repeats what it was sent: %s", w.Body)
		}
	})
}

// FuzzHeaders sends any headers that a handler reads by itself: nobody gets in by them
// who has no token, and nothing breaks.
func FuzzHeaders(f *testing.F) {
	x := newFixture(f)
	x.hostApp(wallet(withTokens(newToken)))
	x.publish(shop(withTarget(500)))
	for _, seed := range [][4]string{
		{"Bearer " + newToken, "gzip, zstd;q=0.5", `"a", W/"b"`, "https://app.example.com"}, {"bearer  x", "*;q=NaN", "*", "null"},
		{"Basic " + newToken, ";;;=", `"`, ""}, {"", "identity;q=2", "W/", "\x00"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	handler := x.service.Handler()
	f.Fuzz(func(t *testing.T, authorization, encoding, match, origin string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, shopPath, nil)
		r.Header = http.Header{"Authorization": {authorization}, "Accept-Encoding": {encoding}, "If-None-Match": {match}, "Origin": {origin}}
		handler.ServeHTTP(w, r)
		scheme, token, _ := strings.Cut(authorization, " ")
		good := strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) == newToken
		if let := w.Code == http.StatusOK || w.Code == http.StatusNotModified; let != good || !let && w.Code != http.StatusUnauthorized {
			t.Errorf("%q is answered %d", authorization, w.Code)
		}
	})
}

// FuzzDiskCopy lets a folder hold any file in the place of the copy: a start reads it or
// passes it over, and serves of it only what a trusted key signed.
func FuzzDiskCopy(f *testing.F) {
	x := newFixture(f)
	good := x.envelope(shop())
	for _, seed := range []string{
		`{"name":"shop-team.shop.rollout","kind":"rollout","data":{"envelope":"{}"}}`, "", "null", "[]", `{"name":1}`, `{"data":null}`, `{"data":{"envelope":null}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		copied, err := openDiskCopy(dir)
		if err != nil {
			t.Fatal(err)
		}
		updates, err := copied.load()
		if err != nil && len(updates) > 0 {
			t.Errorf("%d records of a file that cannot be read: %v", len(updates), err)
		}
		st := newStore(x.options.Log, newMetrics(), x.options.Now, x.service.store.keys.Load())
		st.apply(updates)
		for _, e := range st.entries {
			if string(e.envelope()) != good {
				t.Errorf("taken over is %q", e.envelope())
			}
		}
	})
}

// FuzzDimina asks for Dimina's manifest with any file name and query.
func FuzzDimina(f *testing.F) {
	x := newFixture(f)
	x.hostApp(wallet())
	x.publish(shop(withTarget(500)))
	for _, seed := range [][2]string{{"com.example.shop.json", "user=u1"}, {"com.example.shop.json", "user=%"}, {".json", "channel=trial"}, {"a.json", "user=a;b"}} {
		f.Add(seed[0], seed[1])
	}
	h := x.service.store.current.Load().hosts["wallet"]
	f.Fuzz(func(t *testing.T, file, query string) {
		r := httptest.NewRequest(http.MethodGet, "/dimina", nil)
		r.SetPathValue("file", file)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		p := x.service.getDimina(w, r, h)
		if p == nil && (w.Code != http.StatusOK || file != "com.example.shop.json") {
			t.Errorf("%q is answered %d %s", file, w.Code, w.Body)
		}
		if p != nil && (p.Status < 400 || p.Status > 499) {
			t.Errorf("%q is answered %d", file, p.Status)
		}
	})
}
