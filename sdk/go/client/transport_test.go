package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/client"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

// Who was between once cannot keep a client from what comes later by a tag that he put on
// a good document.
func TestTheTagOfAnAnswerIsNotBelieved(t *testing.T) {
	later := newService(t)
	later.publish("a", 43)
	for name, tag := range map[string]string{
		"for everything": "*", "a list": `"a", *`, "that of a later one": tagOf(later.envelope), "too long": `"` + strings.Repeat("a", 2000) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.tag = tag
			s.wants(42)
			s.tag = ""
			s.publish("a", 43)
			s.wants(43)
			s.wants(43)
			if n := s.documents.Load(); n != 2 {
				t.Errorf("%d documents were sent, want 2", n)
			}
		})
	}
}

// somewhere is a server that notes what it is told, and then leads to another or answers.
type somewhere struct {
	*httptest.Server
	mu     sync.Mutex
	heard  []string
	to     string
	status int
}

func newSomewhere(t *testing.T, start func(*httptest.Server)) *somewhere {
	t.Helper()
	x := &somewhere{status: http.StatusTemporaryRedirect}
	x.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.heard = append(x.heard, strings.TrimSpace(r.Method+" "+r.Header.Get("Authorization")+string(body)))
		if x.to == "" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		http.Redirect(w, r, x.to+r.URL.Path, x.status)
	}))
	start(x.Server)
	t.Cleanup(x.Close)
	return x
}

func (x *somewhere) told() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.heard
}

func TestAnAnswerThatLeadsElsewhere(t *testing.T) {
	plain, withTLS := (*httptest.Server).Start, (*httptest.Server).StartTLS
	for name, test := range map[string]struct {
		from, to func(*httptest.Server)
		status   int
		resolve  bool
		loop     bool
		want     error
		// heard is what the other one is told.
		heard []string
	}{
		"is followed without the token":             {from: withTLS, to: withTLS, heard: []string{"GET"}},
		"is not followed out of TLS":                {from: withTLS, to: plain, want: client.ErrRedirect},
		"is followed into TLS without the token":    {from: plain, to: withTLS, heard: []string{"GET"}},
		"is told nothing of a user":                 {from: withTLS, to: withTLS, resolve: true, want: client.ErrRedirect},
		"may be asked whatever else it is":          {from: withTLS, to: withTLS, resolve: true, status: http.StatusSeeOther, heard: []string{"GET"}},
		"is not followed for ever, if it is itself": {from: withTLS, to: withTLS, loop: true, want: client.ErrRedirect},
	} {
		t.Run(name, func(t *testing.T) {
			other, first := newSomewhere(t, test.to), newSomewhere(t, test.from)
			if first.to = other.URL; test.loop {
				first.to = first.URL
			}
			if test.status != 0 {
				first.status = test.status
			}
			c := &client.Client{
				Base: first.URL, HostApp: "wallet", Token: "secret", Pinned: []dsse.Key{public(t, "a")}, Store: memory{},
				HTTP: withTLSOf(first, other),
			}
			var err error
			if test.resolve {
				_, err = c.Resolve(t.Context(), client.Question{AppID: "com.example.shop", Channel: "release", User: "user-1"})
			} else {
				_, err = c.Fetch(t.Context(), "com.example.shop", "release")
			}
			status, isStatus := errors.AsType[*client.StatusError](err)
			if test.want != nil && !errors.Is(err, test.want) || test.want == nil && (!isStatus || status.Status != http.StatusTeapot) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if got := other.told(); !slices.Equal(got, test.heard) {
				t.Errorf("the other heard %q, want %q", got, test.heard)
			}
			if got := first.told(); !strings.Contains(got[0], "Bearer secret") {
				t.Errorf("the service heard %q", got)
			}
		})
	}
}

// withTLSOf trusts the certificate of test servers: all have the same.
func withTLSOf(servers ...*somewhere) *http.Client {
	for _, x := range servers {
		if x.TLS != nil {
			return x.Client()
		}
	}
	return servers[0].Client()
}

func TestTheCallersOwnRuleAboutRedirectsHoldsToo(t *testing.T) {
	first := newSomewhere(t, (*httptest.Server).Start)
	first.to = first.URL
	refused := errors.New("not here")
	h := first.Client()
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return refused }
	c := &client.Client{Base: first.URL, HostApp: "wallet", Pinned: []dsse.Key{public(t, "a")}, Store: memory{}, HTTP: h}
	if _, err := c.Fetch(t.Context(), "com.example.shop", "release"); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}

// paths is a store that may be asked for nothing but what is a plain path.
type paths struct {
	memory
	t *testing.T
}

func (p paths) Load(ctx context.Context, name string) ([]byte, error) {
	p.t.Errorf("the store is asked for %q", name)
	return p.memory.Load(ctx, name)
}

func TestWhatIsAskedForLeadsNowhereElse(t *testing.T) {
	s := newService(t)
	s.Store = paths{s.store, t}
	for _, appID := range []string{"", "..", "../../keys", "a/b/c", "com.example.shop/../bank", "com.example.shop?channel=trial", strings.Repeat("a", 65)} {
		if _, err := s.Fetch(t.Context(), appID, "release"); !errors.Is(err, release.ErrAppID) {
			t.Errorf("app ID %q: %v", appID, err)
		}
	}
	for _, channel := range []string{"", "Release", "../keys"} {
		if _, err := s.Fetch(t.Context(), "com.example.shop", channel); !errors.Is(err, release.ErrChannel) {
			t.Errorf("channel %q: %v", channel, err)
		}
	}
}

// A clock that was far ahead, once, does not keep a client from the keys until then.
func TestTheKeysAreFollowedAfterTheClockWasSetBack(t *testing.T) {
	s := newService(t)
	right := s.now
	s.wants(42)
	var stored struct {
		Trust    json.RawMessage `json:"trust"`
		Followed time.Time       `json:"followed"`
	}
	if err := json.Unmarshal(s.store["keys"], &stored); err != nil {
		t.Fatal(err)
	}
	stored.Followed = right.AddDate(10, 0, 0)
	text, err := json.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	s.store["keys"] = text
	before := s.chains.Load()
	s.wants(42)
	s.wants(42)
	if n := s.chains.Load() - before; n != 1 {
		t.Errorf("the keys were asked for %d times, want once", n)
	}
}
