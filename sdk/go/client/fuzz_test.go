package client_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/client"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// answers are what somebody between the service and a host app makes of every answer.
type answers struct {
	document, keys, resolve, tag string
	status                       int
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := a.document
	switch {
	case r.URL.Path == "/v1/keys":
		body = a.keys
	case strings.HasSuffix(r.URL.Path, "/resolve"):
		body = a.resolve
	}
	w.Header().Set("ETag", a.tag)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, body) // to a client that has gone, or to one that wants no body
}

// FuzzAnswers answers a host app with anything, at every address: it believes no document and
// no key but those that were signed, never goes back, does what a document says at most, and
// goes on as soon as the service is heard again.
func FuzzAnswers(f *testing.F) {
	made := newService(f)
	envelope := func(by string, sequence int64) string { made.publish(by, sequence); return made.envelope }
	chain := func(documents ...string) string { made.chain(documents...); return made.keys }
	rotated := []string{"1 a a:Active", "2 ab a:Active b:Next", "3 ba a:Retiring b:Active", "4 b b:Active"}
	honest := answers{document: envelope("ab", 50), keys: chain(rotated...), resolve: "{}", tag: `"50"`, status: http.StatusOK}
	resolve := `{"programs":[{"appID":"com.example.shop","channel":"release","action":"install","digest":"` + digest("artifact") +
		`","envelopeDigest":"` + digest(envelope("a", 43)) + `"}]}`
	for _, document := range []string{envelope("a", 42), envelope("a", 43), envelope("a", 41), envelope("b", 44), envelope("c", 45), ""} {
		for _, keys := range []string{honest.keys, chain(rotated[:2]...), chain("1 c c:Active"), "{}"} {
			f.Add(document, keys, resolve, `"tag"`, byte(0))
		}
	}
	f.Add(envelope("a", 43), honest.keys, `{"programs":[{"appID":"com.example.shop","action":"remove"}]}`, "\x01", byte(0))
	for status := range byte(5) {
		f.Add(`{"code":"Blocked","detail":"fraud"}`, "", `{"programs":[{"appID":"com.example.shop","action":"none"}]}`, "", status)
	}

	now := new(answers)
	server := httptest.NewServer(now)
	f.Cleanup(server.Close)
	host := &client.Client{Base: server.URL, HostApp: made.HostApp, Pinned: made.Pinned, HTTP: server.Client(), Now: made.Now}
	first := memory{}
	*now, host.Store = answers{document: envelope("a", 42), keys: chain(rotated[0]), tag: `"42"`, status: http.StatusOK}, first
	if _, err := host.Fetch(f.Context(), "com.example.shop", "release"); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, document, keys, resolve, tag string, status byte) {
		store := maps.Clone(first)
		host.Store = store
		*now = answers{document: document, keys: keys, resolve: resolve, tag: tag, status: statusOf(status)}
		fetched, err := host.Fetch(t.Context(), "com.example.shop", "release")
		if err == nil {
			checkFetched(t, fetched)
		}
		_ = host.FollowKeys(t.Context()) // whatever it says
		resolved, err := host.Resolve(t.Context(), client.Question{AppID: "com.example.shop", Channel: "release"})
		if err == nil {
			checkResolved(t, resolved)
		}
		checkStore(t, store)
		*now = honest
		if got, err := host.Fetch(t.Context(), "com.example.shop", "release"); err != nil || got.Document.Sequence != 50 {
			t.Errorf("after that the service's own document is not believed: %+v, %v", got, err)
		}
	})
}

func statusOf(n byte) int {
	all := []int{http.StatusOK, http.StatusNotModified, http.StatusForbidden, http.StatusNotFound, http.StatusInternalServerError}
	return all[int(n)%len(all)]
}

// checkFetched requires one of the documents that a or b signed.
func checkFetched(t *testing.T, v *release.Verified) {
	t.Helper()
	if n := v.Document.Sequence; n < 42 || n > 44 && n != 50 {
		t.Errorf("document %d is believed", n)
	}
	if v.KeyID != public(t, "a").ID && v.KeyID != public(t, "b").ID {
		t.Errorf("a document by key %s is believed", v.KeyID)
	}
}

func checkResolved(t *testing.T, r *client.Resolved) {
	t.Helper()
	if r.Verified == nil {
		if r.Action != decide.ActionNone || r.Variant != nil {
			t.Errorf("without a document it is to do %+v", r)
		}
		return
	}
	checkFetched(t, r.Verified)
	if r.Action == decide.ActionRemove || r.Variant != r.Verified.Document.Stable {
		t.Errorf("the document does not say so: %+v", r)
	}
}

// checkStore requires that nothing is remembered that leads back, or to a stranger.
func checkStore(t *testing.T, store memory) {
	t.Helper()
	var known struct{ Seen release.Seen }
	var keys struct{ Trust keychain.Trust }
	for name, into := range map[string]any{"document/release/com.example.shop": &known, "keys": &keys} {
		if err := json.Unmarshal(store[name], into); err != nil {
			t.Fatal(err)
		}
	}
	if known.Seen.Sequence < 42 || keys.Trust.Number < 1 {
		t.Errorf("remembered are document %d and key document %d", known.Seen.Sequence, keys.Trust.Number)
	}
	ours := []string{public(t, "a").ID, public(t, "b").ID}
	for _, k := range keys.Trust.Keys {
		if !slices.Contains(ours, k.KeyID) {
			t.Errorf("key %s is trusted", k.KeyID)
		}
	}
}
