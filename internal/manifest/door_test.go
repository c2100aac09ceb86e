package manifest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// served runs the whole service on sockets until the test ends, and returns the public address.
func (f *fixture) served(t *testing.T, adjust ...func(*ServeOptions)) string {
	t.Helper()
	o := ServeOptions{Public: listen(t), Private: listen(t)}
	for _, a := range adjust {
		a(&o)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.service.Serve(ctx, o) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return o.Public.Addr().String()
}

// guestOf is a client at an address of its own, such as 127.0.0.2.
type guestOf struct {
	net.Conn
	lines *bufio.Reader
}

func from(t *testing.T, source, address string) *guestOf {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &guestOf{Conn: conn, lines: bufio.NewReaderSize(conn, 1<<10)}
}

// ask sends a request and returns the answer without its date.
func (g *guestOf) ask(t *testing.T, method, path string) answer {
	t.Helper()
	if _, err := io.WriteString(g, method+" "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(g.lines, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.Close {
		response.Header.Set("Connection", "close")
	}
	response.Header.Del("Date")
	return answer{Status: response.StatusCode, Header: response.Header, Body: string(text)}
}

// until waits for something that happens in the service.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tooLate := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tooLate:
			t.Fatal(what)
		case <-tick.C:
		}
	}
}

const plainPath = "/v1/hosts/wallet/programs"

func TestOnlySoManyConnectionsAreOpen(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.MaxConnections, o.MaxConnectionsPerAddress = 3, 2 })
	f.hostApp(wallet())
	address := f.served(t)
	wanted := func(got answer, status int, body string) {
		t.Helper()
		seconds, err := strconv.Atoi(got.Header.Get("Retry-After"))
		if err != nil || seconds < 5 || seconds > 15 {
			t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
		}
		got.Header.Del("Retry-After")
		want := answer{Status: status, Header: problemHeader(body, "Connection", "close"), Body: body}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
	}
	const perAddress = `{"title":"Too many requests","status":429,"detail":"too many connections are open from this address: wait for as many seconds as Retry-After says","code":"TooManyRequests"}`
	const all = `{"title":"Too many ask at a time","status":503,"detail":"as many connections are open as are allowed: try again after as many seconds as Retry-After says","code":"Busy"}`
	first, second := from(t, "127.0.0.2", address), from(t, "127.0.0.2", address)
	for path, one := range map[string]*guestOf{plainPath: first, "/v1/keys": second} { // one in the lane, one at net/http
		if got := one.ask(t, "GET", path); got.Status != 200 || got.Header.Get("Connection") != "" {
			t.Errorf("within the limits: %d, %v", got.Status, got.Header)
		}
	}
	wanted(from(t, "127.0.0.2", address).ask(t, "GET", plainPath), 429, perAddress)
	if got := from(t, "127.0.0.3", address).ask(t, "GET", plainPath); got.Status != 200 {
		t.Errorf("another address: %d", got.Status)
	}
	wanted(from(t, "127.0.0.4", address).ask(t, "GET", "/v1/keys"), 503, all)
	if got := from(t, "127.0.0.4", address).ask(t, "HEAD", plainPath); got.Status != 503 || got.Body != "" {
		t.Errorf("headers for one who is turned away: %d %q", got.Status, got.Body)
	}
	m := f.service.metrics
	for limit, want := range map[string]float64{refusedAddress: 1, refusedTotal: 2} {
		if got := testutil.ToFloat64(m.refused.WithLabelValues(limit)); got != want {
			t.Errorf("turned away for %s: %v, want %v", limit, got, want)
		}
	}
	for _, one := range []*guestOf{first, second} {
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the places are never free again", func() bool { return testutil.ToFloat64(m.connections) == 1 })
	for range 2 {
		if got := from(t, "127.0.0.2", address).ask(t, "GET", plainPath); got.Status != 200 {
			t.Errorf("who has gone makes no room: %d", got.Status)
		}
	}
}

func TestAProxyMayHaveAllConnections(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.MaxConnections, o.MaxConnectionsPerAddress, o.TrustedProxies = 4, 1, proxies(t, "127.0.0.2")
	})
	f.hostApp(wallet())
	address := f.served(t)
	for range 3 {
		if got := from(t, "127.0.0.2", address).ask(t, "GET", plainPath); got.Status != 200 {
			t.Errorf("a proxy is answered %d", got.Status)
		}
	}
	if got := testutil.ToFloat64(f.service.metrics.connections); got != 3 {
		t.Errorf("%v connections are open, want 3", got)
	}
	// From three quarters on a connection ends with its answer.
	for path, source := range map[string]string{plainPath: "127.0.0.2"} {
		if got := from(t, source, address).ask(t, "GET", path); got.Status != 200 || got.Header.Get("Connection") != "close" {
			t.Errorf("the last place: %d, %v", got.Status, got.Header)
		}
	}
}

func TestWithTLSAConnectionTooManyIsClosed(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.MaxConnections = 1 })
	dir := t.TempDir()
	writeCertificate(t, dir, 1)
	address := f.served(t, func(o *ServeOptions) {
		o.TLSCert, o.TLSKey = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	})
	from(t, "127.0.0.1", address)
	until(t, "the first is not counted", func() bool { return testutil.ToFloat64(f.service.metrics.connections) == 1 })
	if text, err := io.ReadAll(from(t, "127.0.0.1", address)); err != nil || len(text) > 0 {
		t.Errorf("the second reads %q, %v", text, err)
	}
	if got := testutil.ToFloat64(f.service.metrics.refused.WithLabelValues(refusedTotal)); got != 1 {
		t.Errorf("turned away: %v, want 1", got)
	}
}

// needDescriptors makes sure that the test may have so many files open.
func needDescriptors(t testing.TB, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Max < n {
		t.Fatalf("the test needs %d file descriptors, and %d are allowed: %v", n, limit.Max, err)
	}
}

// Two thousand that rest, and hundreds that are as slow as they can, take what they are allowed
// to from one address each: everybody else is answered as if they were not there.
func TestWhoRestsAndWhoIsSlowKeepsNobodyOut(t *testing.T) {
	const resting, slow = 2000, 100
	needDescriptors(t, 2*(resting+3*slow)+500)
	blob := strings.Repeat("0123456789abcdef", 200<<10/16)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(blob)))
	f := newFixture(t)
	f.hostApp(wallet())
	f.publish(shop(withTarget(500), func(r *document.Release) {
		r.Stable.Archive = document.Blob{Digest: digest, Size: int64(len(blob))}
	}))
	f.source.set(digest, blob)
	address := f.served(t)
	for n := range resting {
		path := plainPath
		if n%2 == 1 {
			path = "/v1/keys" // half of them rest at net/http
		}
		if got := from(t, "127.0.0.2", address).ask(t, "GET", path); got.Status != 200 {
			t.Fatalf("connection %d: %d %s", n, got.Status, got.Body)
		}
	}
	if got := from(t, "127.0.0.2", address).ask(t, "GET", plainPath); got.Status != 429 {
		t.Errorf("one more from that address: %d", got.Status)
	}
	head := "POST /v1/hosts/wallet/resolve HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
	for range slow {
		for _, begun := range []string{head + "X-A: b", head + "Content-Length: 60000\r\n\r\n{", "GET " + blobPath(digest) + " HTTP/1.1\r\nHost: a\r\n\r\n"} {
			one := from(t, "127.0.0.3", address)
			if tcp, ok := one.Conn.(*net.TCPConn); !ok || tcp.SetReadBuffer(1<<10) != nil {
				t.Fatal("the buffer of a slow reader stays large")
			}
			if _, err := io.WriteString(one, begun); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 20 {
		good := from(t, "127.0.0.1", address)
		for path, size := range map[string]int{shopPath: 0, "/v1/keys": 0, blobPath(digest): len(blob)} {
			if got := good.ask(t, "GET", path); got.Status != 200 || size > 0 && got.Body != blob {
				t.Fatalf("a good client is answered %d with %d bytes", got.Status, len(got.Body))
			}
		}
	}
}

// failing is a listener that at first has no file descriptors left.
type failing struct {
	net.Listener
	left int
}

func (l *failing) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestAWantOfFileDescriptorsPasses(t *testing.T) {
	f := newFixture(t)
	f.hostApp(wallet())
	address := f.served(t, func(o *ServeOptions) { o.Public = &failing{o.Public, 3} })
	if got := from(t, "127.0.0.1", address).ask(t, "GET", plainPath); got.Status != 200 {
		t.Errorf("afterwards: %d %s", got.Status, got.Body)
	}
	if passes(net.ErrClosed) || !passes(fmt.Errorf("accepting: %w", syscall.ENFILE)) {
		t.Error("what passes is not told from what does not")
	}
	closed := make(chan struct{})
	close(closed)
	if _, err := acceptPatiently(&failing{nil, 1}, closed); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("at the end: %v", err)
	}
}
