package source

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	bundleText = "the bytes of a bundle"
	otherSum   = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// seen is everything about an error that a caller can act on.
type seen struct {
	Message   string
	Permanent bool
	Reason    string
	After     time.Duration
	// Asked: the source itself asked to wait.
	Asked bool
}

func look(t *testing.T, err error) seen {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	got := seen{Message: err.Error()}
	var permanent *PermanentError
	var temporary *TemporaryError
	var retry *RetryError
	switch {
	case errors.As(err, &permanent):
		got.Permanent, got.Reason = true, permanent.Reason
	case errors.As(err, &temporary):
		got.Reason = temporary.Reason
	default:
		t.Fatalf("neither permanent nor temporary: %v", err)
	}
	if errors.As(err, &retry) {
		got.After, got.Asked = retry.After, retry.Asked
	}
	return got
}

// readAndClose returns everything that a caller sees of f.
func readAndClose(t *testing.T, f *Fetched) (text string) {
	t.Helper()
	for range 2 { // a push may start again
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return text
}

func newHTTP(t *testing.T, g Guard, l Limits) *HTTP {
	t.Helper()
	g.RequestsPerSecond = 1000
	transport := NewTransport(g)
	t.Cleanup(transport.CloseIdleConnections)
	return NewHTTP(transport, l, "test/1")
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestHTTPFetchesTheBytesAsTheyLie(t *testing.T) {
	dir := t.TempDir()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" || r.UserAgent() != "test/1" {
			w.WriteHeader(http.StatusTeapot)
		}
		fmt.Fprint(w, bundleText)
	})
	for name, sum := range map[string]string{
		"with a sha256":                sumOf(bundleText),
		"with a prefix and upper case": "sha256:" + strings.ToUpper(sumOf(bundleText)),
		"without a sha256":             "",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHTTP(t, Guard{AllowInsecure: true, AllowedNets: loopback}, Limits{Dir: dir, MaxBytes: int64(len(bundleText))})
			f, err := h.Fetch(t.Context(), base+"/app.zip?signature=secret", sum, nil)
			if err != nil {
				t.Fatal(err)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != 0 {
				t.Errorf("files that a crash would leave behind: %v, %v", left, err)
			}
			got := []any{f.Size, f.SHA256, f.Origin, f.Resolved, readAndClose(t, f)}
			want := []any{int64(len(bundleText)), "sha256:" + sumOf(bundleText), base + "/app.zip", "", bundleText}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if _, err := f.ReadAt(make([]byte, 1), 0); err == nil {
				t.Error("closed bytes can still be read")
			}
		})
	}
}

func TestAnswersThatAreNoBundle(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		limits Limits
		sum    string
		cred   func(host string) *Credentials
		want   seen // URL and HOST stand for the server's
	}{
		"404": {
			answer: http.NotFound,
			want:   seen{Reason: SourceMissing, Message: "URL answers 404 Not Found: correct spec.source.http.url or put the bundle there; it is tried again"},
		},
		"500": {
			answer: status(http.StatusInternalServerError, ""),
			want:   seen{Reason: SourceUnavailable, Message: "URL answers 500 Internal Server Error; it is tried again"},
		},
		"503 with Retry-After in seconds": {
			answer: status(http.StatusServiceUnavailable, "120"),
			want:   seen{Reason: SourceUnavailable, After: 2 * time.Minute, Asked: true, Message: "URL answers 503 Service Unavailable and asks to wait; it is tried again after 2m0s"},
		},
		"429 with a Retry-After of years": {
			answer: status(http.StatusTooManyRequests, "99999999"),
			want:   seen{Reason: SourceUnavailable, After: time.Hour, Asked: true, Message: "URL answers 429 Too Many Requests and asks to wait; it is tried again after 1h0m0s"},
		},
		"429 with a Retry-After that is no time": {
			answer: status(http.StatusTooManyRequests, "soon"),
			want:   seen{Reason: SourceUnavailable, Message: "URL answers 429 Too Many Requests; it is tried again"},
		},
		"a part of the file": {
			answer: status(http.StatusPartialContent, ""),
			want:   seen{Reason: SourceUnavailable, Message: "URL answers 206 Partial Content; it is tried again"},
		},
		"401 without credentials": {
			answer: status(http.StatusUnauthorized, ""),
			want:   seen{Reason: SourceUnauthorized, Message: "URL answers 401 Unauthorized: name a Secret with credentials for HOST in spec.source.http.secretRef; it is tried again"},
		},
		"403 with credentials for another host": {
			answer: status(http.StatusForbidden, ""),
			cred: func(string) *Credentials {
				return &Credentials{Logins: map[string]Login{"elsewhere.example.com": {Token: "x"}}}
			},
			want: seen{Reason: SourceUnauthorized, Message: "URL answers 403 Forbidden: the Secret of spec.source.http.secretRef does not name the host HOST, so nothing of it was sent there; it is tried again"},
		},
		"401 with credentials": {
			answer: status(http.StatusUnauthorized, ""),
			cred:   func(host string) *Credentials { return &Credentials{Logins: map[string]Login{host: {Token: "x"}}} },
			want:   seen{Reason: SourceUnauthorized, Message: "URL answers 401 Unauthorized: what the Secret of spec.source.http.secretRef holds for HOST is not accepted there: correct it; it is tried again"},
		},
		"another sha256": {
			answer: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, bundleText) },
			sum:    otherSum,
			want: seen{Reason: SourceDigest, After: repairDelay, Message: "the bundle fetched from URL has sha256 " + sumOf(bundleText) +
				", but spec.source.http.sha256 says " + otherSum + ": correct the digest or the file"},
		},
		"one byte too many": {
			answer: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, bundleText) },
			limits: Limits{MaxBytes: int64(len(bundleText)) - 1},
			want:   seen{Reason: SourceTooLarge, After: repairDelay, Message: "the bundle at URL is larger than 20 bytes, the most that is accepted: make it smaller"},
		},
		"a body without end": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				for block := make([]byte, 4096); ; {
					if _, err := w.Write(block); err != nil {
						return
					}
				}
			},
			limits: Limits{MaxBytes: 1 << 20},
			want:   seen{Reason: SourceTooLarge, After: repairDelay, Message: "the bundle at URL is larger than 1048576 bytes, the most that is accepted: make it smaller"},
		},
		"a body that stops and never ends": {
			answer: func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, bundleText)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			},
			limits: Limits{IdleTimeout: 50 * time.Millisecond},
			want:   seen{Reason: SourceUnavailable, Message: "fetching URL was given up: nothing arrived for 50ms; it is tried again"},
		},
		"no answer at all": {
			answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			limits: Limits{IdleTimeout: 50 * time.Millisecond},
			want:   seen{Reason: SourceUnavailable, Message: "fetching URL was given up: nothing arrived for 50ms; it is tried again"},
		},
		"a body that drips": {
			answer: drip,
			limits: Limits{IdleTimeout: 10 * time.Second, Timeout: 100 * time.Millisecond},
			want:   seen{Reason: SourceUnavailable, Message: "fetching URL was given up: it did not end within 100ms; it is tried again"},
		},
		"a body that ends too soon": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				fmt.Fprint(w, bundleText)
			},
			want: seen{Reason: SourceUnavailable, Message: "fetching URL failed: unexpected EOF; it is tried again"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, tt.answer)
			host := strings.TrimPrefix(base, "http://")
			h := newHTTP(t, Guard{AllowInsecure: true, AllowedNets: loopback}, tt.limits)
			var cred *Credentials
			if tt.cred != nil {
				cred = tt.cred(host)
			}
			_, err := h.Fetch(t.Context(), base+"/app.zip?token=secret#part", tt.sum, cred)
			got := look(t, err)
			got.Message = strings.ReplaceAll(strings.ReplaceAll(got.Message, base+"/app.zip", "URL"), host, "HOST")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func status(code int, after string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(code)
	}
}

// drip writes a byte now and then until the client goes away.
func drip(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
		}
	}
}

func TestAServerThatIsDownIsTriedAgain(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	h := newHTTP(t, Guard{AllowInsecure: true, AllowedNets: loopback}, Limits{})
	_, err := h.Fetch(t.Context(), s.URL+"/app.zip?token=secret", "", nil)
	host := strings.TrimPrefix(s.URL, "http://")
	want := seen{Reason: SourceUnavailable, Message: "fetching " + s.URL + "/app.zip failed: dial tcp " + host + ": connect: connection refused; it is tried again"}
	if diff := cmp.Diff(want, look(t, err)); diff != "" {
		t.Error(diff)
	}
}

func TestTheEndOfTheManagerIsNoFaultOfTheSource(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	h := newHTTP(t, Guard{AllowInsecure: true, AllowedNets: loopback}, Limits{})
	if _, err := h.Fetch(ctx, base, "", nil); err != context.Canceled {
		t.Errorf("got %v, want the context's own error", err)
	}
}

func TestAddressesThatNoTryCouldFetch(t *testing.T) {
	guard := Guard{AllowedNets: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	tests := map[string]struct{ url, sum, want, reason string }{
		"no URL":           {"://secret", "", "spec.source.http.url is no URL: write it as https://host/path", SourceInvalid},
		"no host":          {"https:///x", "", "spec.source.http.url is no URL: write it as https://host/path", SourceInvalid},
		"a user":           {"https://me:secret@example.com/x?y=secret", "", "spec.source.http.url https://example.com/x holds a user name: put the credentials into a Secret and name it in spec.source.http.secretRef", SourceInvalid},
		"http":             {"http://example.com/x", "", "spec.source.http.url http://example.com/x is no https address: only https is allowed, unless the manager runs with --allow-insecure-sources", SourceForbidden},
		"file":             {"file://host/etc/passwd", "", "spec.source.http.url file://host/etc/passwd is no https address: only https is allowed, unless the manager runs with --allow-insecure-sources", SourceForbidden},
		"a private host":   {"https://10.2.0.1/x", "", "spec.source.http.url https://10.2.0.1/x names the address 10.2.0.1, which is not public: use a public host, or ask for the address to be added to the manager's allow-list", SourceForbidden},
		"a loopback host":  {"https://[::1]:8443/x", "", "spec.source.http.url https://[::1]:8443/x names the address ::1, which is not public: use a public host, or ask for the address to be added to the manager's allow-list", SourceForbidden},
		"a short sha256":   {"https://example.com/x", "abc", `spec.source.http.sha256 is "abc", which is no sha256: write its 64 hexadecimal digits, as sha256sum prints them`, SourceInvalid},
		"a sha256 of junk": {"https://example.com/x", strings.Repeat("z", 64), `spec.source.http.sha256 is "` + strings.Repeat("z", 64) + `", which is no sha256: write its 64 hexadecimal digits, as sha256sum prints them`, SourceInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := newHTTP(t, guard, Limits{}).Fetch(t.Context(), tt.url, tt.sum, nil)
			want := seen{Permanent: true, Reason: tt.reason, Message: tt.want}
			if diff := cmp.Diff(want, look(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// hops serves /0, which redirects to /1 and so on, until /last, the bundle.
func hops(last string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var at int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &at); err != nil || r.URL.Path == last {
			fmt.Fprint(w, bundleText)
			return
		}
		http.Redirect(w, r, fmt.Sprintf("/%d?secret", at+1), http.StatusFound)
	}
}

func TestRedirects(t *testing.T) {
	plain := serve(t, hops("/0"))
	secure := httptest.NewTLSServer(hops("/0"))
	t.Cleanup(secure.Close)
	away := httptest.NewTLSServer(http.RedirectHandler(plain+"/0?signature=secret", http.StatusFound))
	t.Cleanup(away.Close)
	pool := x509.NewCertPool()
	pool.AddCert(secure.Certificate())
	pool.AddCert(away.Certificate())

	tests := map[string]struct {
		url  string
		want seen // zero: the bundle comes
	}{
		"three are followed": {url: serve(t, hops("/3")) + "/0"},
		"four are too many": {
			url:  serve(t, hops("/4")) + "/0",
			want: seen{Reason: SourceForbidden, After: repairDelay, Message: "URL was not fetched: it redirects more than 3 times: name the last address"},
		},
		"to a lower scheme": {
			url:  away.URL + "/app.zip",
			want: seen{Reason: SourceForbidden, After: repairDelay, Message: "URL was not fetched: it redirects to " + plain + "/0, and a redirect to another scheme is refused"},
		},
		"to a higher scheme": {
			url:  serve(t, http.RedirectHandler(secure.URL+"/0", http.StatusFound).ServeHTTP) + "/app.zip",
			want: seen{Reason: SourceForbidden, After: repairDelay, Message: "URL was not fetched: it redirects to " + secure.URL + "/0, and a redirect to another scheme is refused"},
		},
		"to a file": {
			url:  serve(t, http.RedirectHandler("file:///etc/passwd", http.StatusFound).ServeHTTP) + "/app.zip",
			want: seen{Reason: SourceForbidden, After: repairDelay, Message: "URL was not fetched: it redirects to file:///etc/passwd, and a redirect to another scheme is refused"},
		},
		"to a private address": {
			url: serve(t, http.RedirectHandler("http://169.254.169.254/latest/meta-data", http.StatusFound).ServeHTTP) + "/app.zip",
			want: seen{Reason: SourceForbidden, After: repairDelay, Message: "URL was not fetched: it leads to the address 169.254.169.254, which is not public: " +
				"use a public host, or ask for the address to be added to the manager's allow-list"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHTTP(t, Guard{AllowInsecure: true, AllowedNets: loopback, RootCAs: pool}, Limits{})
			f, err := h.Fetch(t.Context(), tt.url, "", nil)
			if tt.want == (seen{}) {
				if err != nil {
					t.Fatal(err)
				}
				readAndClose(t, f)
				return
			}
			got := look(t, err)
			got.Message = strings.ReplaceAll(got.Message, tt.url, "URL")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCredentialsStayWithTheirHost(t *testing.T) {
	var got []string
	note := func(name string, r *http.Request) {
		got = append(got, fmt.Sprintf("%s%s auth=%q referer=%q", name, r.URL.Path, r.Header.Get("Authorization"), r.Referer()))
	}
	var first string
	second := serve(t, func(w http.ResponseWriter, r *http.Request) {
		note("second", r)
		http.Redirect(w, r, first+"/back", http.StatusFound)
	})
	first = serve(t, func(w http.ResponseWriter, r *http.Request) {
		note("first", r)
		switch r.URL.Path {
		case "/start":
			http.Redirect(w, r, "/same", http.StatusFound)
		case "/same":
			http.Redirect(w, r, second+"/other", http.StatusFound)
		default:
			fmt.Fprint(w, bundleText)
		}
	})
	host := func(base string) string { return strings.TrimPrefix(base, "http://") }
	cred := &Credentials{Logins: map[string]Login{host(first): {Token: "one"}, host(second): {Token: "two"}}}
	h := newHTTP(t, Guard{AllowInsecure: true, AllowedNets: loopback}, Limits{})
	f, err := h.Fetch(t.Context(), first+"/start?key=secret", "", cred)
	if err != nil {
		t.Fatal(err)
	}
	readAndClose(t, f)
	want := []string{
		`first/start auth="Bearer one" referer=""`,
		`first/same auth="Bearer one" referer=""`,
		`second/other auth="" referer=""`,
		`first/back auth="" referer=""`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNamesThatLeadToPrivateAddressesAreRefusedWhenDialling(t *testing.T) {
	dialled := false
	base := serve(t, func(http.ResponseWriter, *http.Request) { dialled = true })
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	named := "http://localhost:" + u.Port() + "/app.zip"
	h := newHTTP(t, Guard{AllowInsecure: true}, Limits{})
	_, err = h.Fetch(t.Context(), named, "", nil)
	got := look(t, err)
	got.Message = strings.ReplaceAll(got.Message, "::1", "127.0.0.1") // whichever localhost is first
	want := seen{Reason: SourceForbidden, After: repairDelay, Message: named + " was not fetched: it leads to the address 127.0.0.1, which is not public: " +
		"use a public host, or ask for the address to be added to the manager's allow-list"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if dialled {
		t.Error("the private address was reached")
	}
}

func TestASlowBodyThatEndsIsFetched(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for range 15 {
			<-tick.C
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
		}
	})
	h := newHTTP(t, Guard{AllowInsecure: true, AllowedNets: loopback}, Limits{IdleTimeout: time.Second})
	f, err := h.Fetch(t.Context(), base, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := readAndClose(t, f); got != strings.Repeat("x", 15) {
		t.Errorf("got %q", got)
	}
}

func TestEveryRequestOfTheTransportKeepsToHTTPS(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, serve(t, hops("/0"))+"/token?secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := NewTransport(Guard{AllowedNets: loopback}).RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("http was spoken")
	}
	if want := "http://" + req.URL.Host + "/token leads to http, and only https is allowed"; err.Error() != want {
		t.Errorf("got %s, want %s", err, want)
	}
}

func TestProxiesOfTheEnvironmentDoNotApply(t *testing.T) {
	if NewTransport(Guard{}).base.Proxy != nil {
		t.Error("a proxy would dial in our place, past the guard")
	}
}
