package source

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// HTTP fetches bundles from https URLs. It is safe for concurrent use.
type HTTP struct {
	transport *Transport
	client    *http.Client
	limits    Limits
	userAgent string
}

// NewHTTP returns an HTTP that sends its requests through t. userAgent is how it
// introduces itself.
func NewHTTP(t *Transport, l Limits, userAgent string) *HTTP {
	return &HTTP{
		transport: t,
		client:    &http.Client{Transport: t, CheckRedirect: checkRedirect},
		limits:    l.withDefaults(),
		userAgent: userAgent,
	}
}

// The fields of a spec that messages about http sources name.
const (
	httpURLField    = "spec.source.http.url"
	httpSHA256Field = "spec.source.http.sha256"
	httpSecretField = "spec.source.http.secretRef"
)

// Fetch reads the file at rawURL. An empty wantSHA256 compares nothing; otherwise
// it is 64 hexadecimal digits, with or without "sha256:". cred may be nil.
//
// It fails with a *PermanentError where only another spec can help, with a
// *TemporaryError, possibly inside a *RetryError, where the same spec can succeed
// later, and with the context's error when that has ended.
func (h *HTTP) Fetch(ctx context.Context, rawURL, wantSHA256 string, cred *Credentials) (*Fetched, error) {
	u, err := h.transport.guard.parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	want, err := parseSHA256(httpSHA256Field, wantSHA256)
	if err != nil {
		return nil, err
	}
	w := watch(ctx, h.limits)
	defer w.stop()
	f, err := h.get(w, u, cred)
	if err != nil {
		return nil, err
	}
	if err := checkSHA256(f, want, httpSHA256Field); err != nil {
		_ = f.Close() // err says what matters
		return nil, err
	}
	return f, nil
}

func (h *HTTP) get(w *watchdog, u *url.URL, cred *Credentials) (*Fetched, error) {
	what := printable(u)
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, w.explain(what, err)
	}
	req.Header.Set("User-Agent", h.userAgent)
	cred.authorize(req)
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, w.explain(what, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		hint := cred.hint(u.Scheme, u.Host, httpSecretField)
		return nil, refusal(what, resp.StatusCode, retryAfter(resp.Header, time.Now()), hint, httpURLField)
	}
	if resp.ContentLength > h.limits.MaxBytes {
		return nil, w.explain(what, errTooLarge)
	}
	f, err := spool(h.limits.Dir, w.reader(resp.Body), h.limits.MaxBytes, what)
	if err != nil {
		return nil, w.explain(what, err)
	}
	return f, nil
}

// parseURL refuses what no try could fetch.
func (g Guard) parseURL(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		// The parser's error quotes the whole address.
		return nil, &PermanentError{SourceInvalid, httpURLField + " is no URL: write it as https://host/path"}
	}
	if u.User != nil {
		return nil, &PermanentError{SourceInvalid, fmt.Sprintf("%s %s holds a user name: put the credentials into a Secret and name it in %s", httpURLField, printable(u), httpSecretField)}
	}
	if g.checkScheme(u) != nil {
		return nil, &PermanentError{SourceForbidden, fmt.Sprintf("%s %s is no https address: only https is allowed, unless the manager runs with --allow-insecure-sources", httpURLField, printable(u))}
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && !g.allows(addr) {
		return nil, &PermanentError{SourceForbidden, fmt.Sprintf("%s %s names the address %s, which is not public: use a public host, or ask for the address to be added to the manager's allow-list", httpURLField, printable(u), addr)}
	}
	return u, nil
}
