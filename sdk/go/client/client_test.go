package client_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/client"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/keychain"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const archive = "the archive of 1.4.2"

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// tagOf is the tag that the service gives a text.
func tagOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

func private(t testing.TB, name string) *ecdsa.PrivateKey {
	t.Helper()
	raw := make([]byte, 32)
	raw[31] = name[0]
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(t testing.TB, name string) dsse.Key {
	t.Helper()
	key, err := dsse.NewKey(&private(t, name).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func seal(t testing.TB, payloadType string, payload []byte, by string) *dsse.Envelope {
	t.Helper()
	e, err := dsse.Sign(private(t, by), payloadType, payload)
	for _, next := range by[1:] {
		if err == nil {
			err = e.Add(private(t, string(next)))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// memory is a store for tests.
type memory map[string][]byte

func (m memory) Load(_ context.Context, name string) ([]byte, error) { return m[name], nil }

func (m memory) Save(_ context.Context, name string, value []byte) error {
	m[name] = value
	return nil
}

// service is a manifest service that says what a test tells it to.
type service struct {
	*client.Client
	t                       testing.TB
	envelope, keys, resolve string
	store                   memory
	now                     time.Time
	documents, chains       atomic.Int32 // requests that were answered with a body
	status                  int
	tag                     string // instead of the document's own
}

func newService(t testing.TB) *service {
	t.Helper()
	s := &service{t: t, store: memory{}, now: noon.Add(time.Hour)}
	s.publish("a", 42)
	s.chain("1 a a:Active")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/hosts/wallet/programs/com.example.shop", func(w http.ResponseWriter, r *http.Request) {
		switch known := r.Header.Get("If-None-Match"); {
		case s.status != 0:
			w.WriteHeader(s.status)
			_, _ = io.WriteString(w, `{"code":"Blocked","detail":"fraud"}`)
		case r.Header.Get("Authorization") != "Bearer secret" || r.FormValue("channel") != "release":
			w.WriteHeader(http.StatusUnauthorized)
		case len(known) > 1000:
			w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		case strings.Contains(known, "*") || strings.Contains(known, tagOf(s.envelope)):
			w.WriteHeader(http.StatusNotModified)
		default:
			s.documents.Add(1)
			w.Header().Set("ETag", cmp.Or(s.tag, tagOf(s.envelope)))
			_, _ = io.WriteString(w, s.envelope)
		}
	})
	mux.HandleFunc("GET /v1/keys", func(w http.ResponseWriter, _ *http.Request) {
		s.chains.Add(1)
		_, _ = io.WriteString(w, s.keys)
	})
	mux.HandleFunc("POST /v1/hosts/wallet/resolve", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s.resolve) })
	mux.HandleFunc("GET /v1/blobs/sha256/{hex}", func(w http.ResponseWriter, r *http.Request) {
		if "sha256:"+r.PathValue("hex") != digest(archive) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, archive)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.Client = &client.Client{
		Base: server.URL + "/", HostApp: "wallet", Token: "secret", Pinned: []dsse.Key{public(t, "a")}, Store: s.store,
		HTTP: server.Client(), Now: func() time.Time { return s.now },
	}
	return s
}

func shop(sequence int64, change ...func(*document.Release)) *document.Release {
	doc := &document.Release{
		Type: document.TypeRelease, AppID: "com.example.shop", Channel: document.ChannelRelease, HostApps: []string{"wallet"},
		Rollout: document.Rollout{Namespace: "shop-team", Name: "shop"}, Sequence: sequence, IssuedAt: document.At(noon),
		ExpiresAt: document.At(noon.AddDate(0, 0, 7)), PollSeconds: 300, Availability: document.Listed, Decide: document.DecideHost,
		Stable: &document.Variant{
			Delivery: 1, Version: "1.4.2", Digest: digest("artifact"), ContentDigest: digest("the tar"),
			Archive: document.Blob{Digest: digest(archive), Size: int64(len(archive))}, Content: document.Blob{Digest: digest("tar"), Size: 3},
		},
	}
	for _, c := range change {
		c(doc)
	}
	return doc
}

func (s *service) publish(by string, sequence int64, change ...func(*document.Release)) {
	s.t.Helper()
	payload, err := document.Marshal(shop(sequence, change...))
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := seal(s.t, document.PayloadType, payload, by).Marshal()
	if err != nil {
		s.t.Fatal(err)
	}
	s.envelope = string(raw)
}

// chain publishes key documents such as "2 ab a:Active b:Next".
func (s *service) chain(documents ...string) {
	s.t.Helper()
	var c keychain.Chain
	for i, text := range documents {
		parts := strings.Fields(text)
		d := &keychain.Document{Type: keychain.Type, Number: int64(parts[0][0] - '0'), IssuedAt: document.At(noon)}
		for _, item := range parts[2:] {
			name, state, _ := strings.Cut(item, ":")
			k, err := keychain.NewKey(public(s.t, name), keychain.State(state))
			if err != nil {
				s.t.Fatal(err)
			}
			if k.State == keychain.Retiring {
				k.RetireAfter = document.At(noon.AddDate(0, 1, 0))
			}
			if k.State == keychain.Next {
				k.NotBefore = document.At(noon)
			}
			d.Keys = append(d.Keys, k)
		}
		payload, err := keychain.Marshal(d)
		if err != nil {
			s.t.Fatalf("document %d: %v", i, err)
		}
		c.Documents = append(c.Documents, *seal(s.t, keychain.PayloadType, payload, parts[1]))
	}
	text, err := json.Marshal(c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.keys = string(text)
}

func (s *service) fetch() (*release.Verified, error) {
	return s.Fetch(s.t.Context(), "com.example.shop", "release")
}

// wants fetches a document of that sequence.
func (s *service) wants(sequence int64) {
	s.t.Helper()
	got, err := s.fetch()
	if err != nil {
		s.t.Fatal(err)
	}
	if got.Document.Sequence != sequence {
		s.t.Errorf("sequence %d, want %d", got.Document.Sequence, sequence)
	}
}

// refuses fetches, and fails with the error.
func (s *service) refuses(want error) {
	s.t.Helper()
	if got, err := s.fetch(); !errors.Is(err, want) {
		s.t.Errorf("got %+v, %v, want %v", got, err, want)
	}
}

func TestADocumentIsFetchedOnceAndNeverGoesBack(t *testing.T) {
	s := newService(t)
	s.wants(42)
	s.wants(42)
	if n := s.documents.Load(); n != 1 {
		t.Errorf("the document was sent %d times, want once", n)
	}
	s.publish("a", 43)
	s.wants(43)
	s.publish("a", 42)
	s.refuses(release.ErrRolledBack)
	// Also after a restart, with the same store.
	s.Client = &client.Client{Base: s.Base, HostApp: s.HostApp, Token: s.Token, Pinned: s.Pinned, Store: s.store, HTTP: s.HTTP, Now: s.Now}
	s.refuses(release.ErrRolledBack)
}

func TestWhatDoesNotPassIsNotBelieved(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *service)
		want   error
	}{
		"by a stranger":        {func(s *service) { s.publish("c", 43) }, release.ErrSignature},
		"expired":              {func(s *service) { s.now = noon.AddDate(0, 0, 7) }, release.ErrExpired},
		"for another host app": {func(s *service) { s.publish("a", 43, func(r *document.Release) { r.HostApps = []string{"maps"} }) }, release.ErrHostApp},
		"for another app ID":   {func(s *service) { s.publish("a", 43, func(r *document.Release) { r.AppID = "com.example.bank" }) }, release.ErrAppID},
		"too large":            {func(s *service) { s.envelope += strings.Repeat(" ", release.MaxEnvelopeSize) }, release.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.wants(42)
			before := string(s.store["document/release/com.example.shop"])
			test.change(s)
			s.refuses(test.want)
			if got := string(s.store["document/release/com.example.shop"]); got != before {
				t.Errorf("it is remembered: %s", got)
			}
		})
	}
}

func TestTheServicesProblemIsTold(t *testing.T) {
	s := newService(t)
	s.status = http.StatusForbidden
	_, err := s.fetch()
	want := client.StatusError{Status: 403, Code: "Blocked", Detail: "fraud"}
	if got, ok := errors.AsType[*client.StatusError](err); !ok || *got != want {
		t.Errorf("got %v, want %v", err, &want)
	}
}

func TestTheKeysAreFollowed(t *testing.T) {
	s := newService(t)
	s.wants(42)
	s.wants(42)
	if n := s.chains.Load(); n != 1 {
		t.Errorf("the keys were asked for %d times, want once a day", n)
	}
	// The rotation is over before the client hears of it.
	rotated := []string{"1 a a:Active", "2 ab a:Active b:Next", "3 ba a:Retiring b:Active", "4 b b:Active"}
	s.chain(rotated...)
	s.publish("b", 43)
	s.now = s.now.Add(time.Minute)
	s.wants(43)
	s.publish("a", 44)
	s.refuses(release.ErrSignature)
	s.publish("b", 44)
	// An old copy of the chain is refused, and changes nothing.
	s.chain(rotated[:3]...)
	if err := s.FollowKeys(t.Context()); !errors.Is(err, keychain.ErrRolledBack) {
		t.Errorf("an old copy: %v", err)
	}
	s.wants(44)
	// A day later they are followed although nothing is wrong.
	s.chain(append(rotated, "5 b b:Active c:Next")...)
	before := s.chains.Load()
	s.now = s.now.Add(25 * time.Hour)
	s.wants(44)
	if n := s.chains.Load() - before; n != 1 {
		t.Errorf("the keys were asked for %d times in the next day", n)
	}
	// A build with another pin begins anew.
	s.Pinned = []dsse.Key{public(t, "c")}
	s.publish("c", 45)
	s.chain("9 c c:Active")
	s.wants(45)
}

func TestADamagedStoreIsNoFreshOne(t *testing.T) {
	s := newService(t)
	s.wants(42)
	s.store["document/release/com.example.shop"] = []byte("{")
	if got, err := s.fetch(); err == nil {
		t.Errorf("it begins anew, and could be led back: %+v", got)
	}
}

func TestWhatIsDownloadedIsChecked(t *testing.T) {
	s := newService(t)
	read := func(blob document.Blob) error {
		body, err := s.Download(t.Context(), blob)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(body)
		if err == nil && string(got) != archive {
			t.Errorf("got %q", got)
		}
		return errors.Join(err, body.Close())
	}
	good := shop(1).Stable.Archive
	if err := read(good); err != nil {
		t.Error(err)
	}
	if err := read(document.Blob{Digest: good.Digest, Size: good.Size - 1}); !errors.Is(err, client.ErrSize) {
		t.Errorf("too long: %v", err)
	}
	if got, ok := errors.AsType[*client.StatusError](read(document.Blob{Digest: digest("x"), Size: 1})); !ok || got.Status != http.StatusNotFound {
		t.Errorf("what is not there: %v", got)
	}
	if err := read(document.Blob{Digest: "../keys", Size: 1}); err == nil {
		t.Error("what is no digest was asked for")
	}
}

func TestAReaderPassesOnTheRightBytesAlone(t *testing.T) {
	blob := document.Blob{Digest: digest(archive), Size: int64(len(archive))}
	for name, test := range map[string]struct {
		text string
		want error
	}{
		"the right ones": {archive, nil},
		"too few":        {archive[1:], client.ErrSize},
		"too many":       {archive + "!", client.ErrSize},
		"others":         {"T" + archive[1:], client.ErrDigest},
	} {
		for _, from := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			got, err := io.ReadAll(client.NewReader(from(strings.NewReader(test.text)), blob))
			if !errors.Is(err, test.want) || int64(len(got)) > blob.Size {
				t.Errorf("%s: %d bytes, %v, want %v", name, len(got), err, test.want)
			}
		}
	}
	if err := client.Content(strings.NewReader("the tar"), shop(1).Stable); err != nil {
		t.Error(err)
	}
	if err := client.Content(bytes.NewReader(nil), shop(1).Stable); !errors.Is(err, client.ErrContent) {
		t.Errorf("another content: %v", err)
	}
}

func TestAnAnswerOfTheServiceIsOnlyAChoice(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *service)
		action string
		digest string
		other  string // envelope
		want   error
	}{
		"of the document's variant": {action: "install", digest: digest("artifact")},
		"of another variant":        {action: "install", digest: digest("evil"), want: client.ErrUnsigned},
		"by another envelope":       {action: "install", digest: digest("artifact"), other: digest("other"), want: client.ErrUnsigned},
		"to remove what stays":      {action: "remove", want: client.ErrUnsigned},
		"to remove what is suspended": {change: func(s *service) {
			s.publish("a", 43, func(r *document.Release) { r.Availability = document.Suspended })
		}, action: "remove"},
		"to do what nobody knows":                  {action: "wipe", digest: digest("artifact"), want: client.ErrUnsigned},
		"to do nothing":                            {action: "none"},
		"of a document that is signed by somebody": {change: func(s *service) { s.publish("c", 43) }, action: "install", digest: digest("artifact"), want: release.ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			if test.change != nil {
				test.change(s)
			}
			named := test.other
			if named == "" {
				named = digest(s.envelope)
			}
			text, err := json.Marshal(map[string]any{"programs": []any{map[string]any{
				"appID": "com.example.shop", "channel": "release", "action": test.action, "digest": test.digest, "envelopeDigest": named, "reason": "NoTarget",
			}}})
			if err != nil {
				t.Fatal(err)
			}
			s.resolve = string(text)
			got, err := s.Resolve(t.Context(), client.Question{AppID: "com.example.shop", Channel: "release", User: "user-1"})
			if !errors.Is(err, test.want) {
				t.Fatalf("got %+v, %v, want %v", got, err, test.want)
			}
			if test.want == nil && (got.Action != decide.Action(test.action) || (got.Variant != nil) != (test.digest != "")) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
