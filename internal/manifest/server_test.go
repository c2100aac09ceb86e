package manifest

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func fetch(client *http.Client, url string) (int, string, error) {
	response, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func TestTheEndLosesNoRequest(t *testing.T) {
	f := newBlobFixture(t)
	f.service.becomeReady("a test")
	f.source.hold()
	o := ServeOptions{Public: listen(t), Private: listen(t)}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.service.Serve(ctx, o) }()

	type result struct {
		status int
		body   string
		err    error
	}
	underWay := make(chan result, 1)
	go func() {
		status, body, err := fetch(new(http.Client), "http://"+o.Public.Addr().String()+archivePath())
		underWay <- result{status, body, err}
	}()
	<-f.source.began // the request waits for the registry

	ready := "http://" + o.Private.Addr().String() + "/readyz"
	if status, body, err := fetch(new(http.Client), ready); status != 200 {
		t.Fatalf("before the end: %d %s %v", status, body, err)
	}
	end()
	for status := 200; status == 200; { // the private address answers to the last
		var err error
		if status, _, err = fetch(new(http.Client), ready); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("the service ended with a request under way: %v", err)
	default:
	}
	close(f.source.wait)
	if got := <-underWay; got.err != nil || got.status != 200 || got.body != archiveText {
		t.Errorf("the request under way got %+v", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("the service ended with %v", err)
	}
}

func TestAnAPIThatIsAwayIsToldOfOnce(t *testing.T) {
	f := newFixture(t) // its API server refuses connections
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.service.Run(ctx) }()
	for testutil.ToFloat64(f.service.metrics.watchFails) < 2 {
		runtime.Gosched()
	}
	end()
	if err := <-ended; err != nil {
		t.Errorf("the service ended with %v", err)
	}
	if log := f.logs.text(); strings.Count(log, "cannot be read; what is in service stays") != 1 || !strings.Contains(log, "connection refused") {
		t.Errorf("the log is %s, want the failure once", log)
	}
	if f.service.Ready() {
		t.Error("the service is ready")
	}
}

func TestTheServiceEndsWhenAListenerFails(t *testing.T) {
	f := newFixture(t)
	o := ServeOptions{Public: listen(t), Private: listen(t)}
	if err := o.Public.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.service.Serve(t.Context(), o); err == nil {
		t.Error("no error")
	}
}

func TestClientsAreAskedToGoElsewhereBeforeTheEnd(t *testing.T) {
	f := newFixture(t)
	keepsOpen := func() bool {
		response, err := f.server.Client().Get(f.server.URL + "/v1/keys")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return !response.Close
	}
	if !keepsOpen() {
		t.Error("a connection is closed while all is well")
	}
	f.service.draining.Store(true)
	if keepsOpen() {
		t.Error("a connection is kept open while the service ends")
	}
}

func TestADefectIsAProblemAndNotTheEnd(t *testing.T) {
	f := newFixture(t)
	f.server.Config.Handler = f.service.route("/boom", func(http.ResponseWriter, *http.Request) *Problem { panic("boom") })
	const want = `{"title":"The service failed","status":500,"detail":"the request met a defect of the service, which is in its log","code":"Internal"}`
	if got := f.get("/"); got.Status != 500 || got.Body != want {
		t.Errorf("answer %d %s, want %s", got.Status, got.Body, want)
	}
}

// writeCertificate writes a self-signed certificate for 127.0.0.1 and returns it.
func writeCertificate(t *testing.T, dir string, serial int64) *x509.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "tls.crt"), "CERTIFICATE", der)
	writePEM(t, filepath.Join(dir, "tls.key"), "PRIVATE KEY", marshalKey(t, key))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func marshalKey(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheLogHasNoAddressOfAClient(t *testing.T) {
	var lines strings.Builder
	f := newFixture(t, func(o *Options) {
		o.Log = funcr.New(func(_, line string) { lines.WriteString(line) }, funcr.Options{Verbosity: 1})
	})
	errors := f.service.server(f.service.Handler()).ErrorLog
	errors.Printf("http: TLS handshake error from %s: EOF\n", "192.0.2.7:4711")
	errors.Printf("http2: server connection error from %v: PROTOCOL_ERROR", "[2001:db8::7%25eth0]:4711")
	if got := lines.String(); strings.Contains(got, "4711") || strings.Contains(got, "192.0.2") || strings.Contains(got, "2001:db8") {
		t.Errorf("the log is %s", got)
	}
	if got := lines.String(); !strings.Contains(got, "TLS handshake error from a client: EOF") || !strings.Contains(got, "error from a client: PROTOCOL_ERROR") {
		t.Errorf("the log is %s", got)
	}
}

func TestTLSWithHTTP2AndACertificateThatIsReplaced(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.ReloadEvery = time.Millisecond })
	dir := t.TempDir()
	pool := x509.NewCertPool()
	pool.AddCert(writeCertificate(t, dir, 1))
	o := ServeOptions{
		Public: listen(t), Private: listen(t),
		TLSCert: filepath.Join(dir, "tls.crt"), TLSKey: filepath.Join(dir, "tls.key"),
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.service.Serve(ctx, o) }()

	serial := func() int64 { // of a connection of its own
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
		}}
		response, err := client.Get("https://" + o.Public.Addr().String() + "/v1/keys")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != 200 || response.ProtoMajor != 2 {
			t.Fatalf("answer %d over %s, want 200 over HTTP/2", response.StatusCode, response.Proto)
		}
		return response.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("serial number %d, want 1", got)
	}
	other := t.TempDir()
	pool.AddCert(writeCertificate(t, other, 2))
	for _, name := range []string{"tls.crt", "tls.key"} { // in between the two do not fit, and the old pair stays
		if err := os.Rename(filepath.Join(other, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for serial() != 2 {
		if ctx.Err() != nil {
			t.Fatal("the new certificate is never used")
		}
	}
	end()
	if err := <-ended; err != nil {
		t.Errorf("the service ended with %v", err)
	}
}
