package source

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

// What a Guard means where its fields are zero.
const (
	// DefaultRequestsPerSecond is how many requests a second go to one host.
	DefaultRequestsPerSecond = 10
	// maxRedirects is how many redirects are followed in a row.
	maxRedirects = 3
	// maxHosts bounds the limiters, for the hosts are named by anybody.
	maxHosts = 4096
)

// Guard says where a Transport may go.
type Guard struct {
	// AllowInsecure allows http beside https.
	AllowInsecure bool
	// AllowedNets are addresses that may be dialled although they are not public.
	AllowedNets []netip.Prefix
	// RefusedNets are addresses that may not be dialled although they are public,
	// as a cluster's own. AllowedNets wins over it.
	RefusedNets []netip.Prefix
	// RootCAs are trusted for https. Nil: those of the system.
	RootCAs *x509.CertPool
	// RequestsPerSecond is how many requests go to one host, with bursts of twice
	// that. Zero: DefaultRequestsPerSecond.
	RequestsPerSecond int
}

// Transport sends requests to public addresses only. One serves everything that
// is fetched for other people: sources, their redirects, the token services of
// registries. The address is checked after the name is resolved, at the moment
// of dialling, so that no name can change its mind in between. Proxies of the
// environment do not apply: they would dial in our place. It is safe for
// concurrent use.
type Transport struct {
	guard Guard
	base  *http.Transport

	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

// NewTransport returns a Transport that keeps to g.
func NewTransport(g Guard) *Transport {
	g.RequestsPerSecond = cmp.Or(g.RequestsPerSecond, DefaultRequestsPerSecond)
	dialer := &net.Dialer{
		Timeout: 10 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error { return g.checkDial(address) },
	}
	return &Transport{
		guard: g,
		base: &http.Transport{
			DialContext:     dialer.DialContext,
			TLSClientConfig: &tls.Config{RootCAs: g.RootCAs, MinVersion: tls.VersionTLS12},
			// The digest is of the bytes as they lie on the server.
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    10 * time.Second,
			IdleConnTimeout:        30 * time.Second,
			MaxIdleConns:           32,
			MaxResponseHeaderBytes: 64 << 10,
		},
		limiters: map[string]*rate.Limiter{},
	}
}

// RoundTrip implements http.RoundTripper. It waits for its turn at the host.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.guard.checkScheme(req.URL); err != nil {
		closeBody(req)
		return nil, err
	}
	if err := t.limiter(canonicalHost(req.URL.Scheme, req.URL.Host)).Wait(req.Context()); err != nil {
		closeBody(req)
		return nil, err
	}
	return t.base.RoundTrip(req)
}

// CloseIdleConnections closes the connections that wait for another request.
func (t *Transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

func (t *Transport) limiter(host string) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.limiters[host]
	if !ok {
		if len(t.limiters) >= maxHosts {
			clear(t.limiters)
		}
		l = rate.NewLimiter(rate.Limit(t.guard.RequestsPerSecond), 2*t.guard.RequestsPerSecond)
		t.limiters[host] = l
	}
	return l
}

func (g Guard) checkScheme(u *url.URL) error {
	if u.Scheme == "https" || (u.Scheme == "http" && g.AllowInsecure) {
		return nil
	}
	return &forbiddenError{fmt.Sprintf("%s leads to %s, and only https is allowed", printable(u), u.Scheme)}
}

func (g Guard) checkDial(address string) error {
	addrPort, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("reading the address to dial: %w", err)
	}
	if !g.allows(addrPort.Addr()) {
		return &forbiddenError{fmt.Sprintf("it leads to the address %s, which is not public: use a public host, or ask for the address to be added to the manager's allow-list", addrPort.Addr().Unmap())}
	}
	return nil
}

func (g Guard) allows(addr netip.Addr) bool {
	if contains(g.AllowedNets, addr) {
		return true
	}
	return isGlobal(addr) && !contains(g.RefusedNets, addr)
}

// checkRedirect is the http.Client's: a few hops, all of one scheme, and no
// credential for any host but the first.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return &forbiddenError{fmt.Sprintf("it redirects more than %d times: name the last address", maxRedirects)}
	}
	if req.URL.Scheme != via[0].URL.Scheme {
		return &forbiddenError{fmt.Sprintf("it redirects to %s, and a redirect to another scheme is refused", printable(req.URL))}
	}
	// Every hop's headers are made from the first request's, so a chain that has
	// left its host once must be told so for good, also when it comes back.
	for _, hop := range append(via[1:len(via):len(via)], req) {
		if canonicalHost(hop.URL.Scheme, hop.URL.Host) != canonicalHost(via[0].URL.Scheme, via[0].URL.Host) {
			req.Header.Del("Authorization")
		}
	}
	// The address that was redirected from may hold a secret in its query.
	req.Header.Del("Referer")
	return nil
}

// canonicalHost is host with its port, in lower case and without a final dot, so
// that spellings of one host are equal.
func canonicalHost(scheme, host string) string {
	u := url.URL{Host: host}
	port := u.Port()
	if port == "" {
		port = "443"
		if scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), port)
}

// printable is u without user, password, query and fragment.
func printable(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // nothing was read from it
	}
}
