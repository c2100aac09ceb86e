package manifest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// now is the time of all tests.
var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// fixture is a service with a key of its own, fed without a cluster.
type fixture struct {
	t       testing.TB
	key     *ecdsa.PrivateKey
	keyFile string
	service *Service
	source  *memorySource
	server  *httptest.Server
	logs    *logBook
	options Options
	// heard is told of each answer, by what openapi.yaml calls it.
	heard func(operation, answer string)
}

// logBook collects lines of the log.
type logBook struct {
	mu    sync.Mutex
	lines []string
}

func (b *logBook) logger() logr.Logger {
	return funcr.New(func(_, line string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, line)
	}, funcr.Options{})
}

func (b *logBook) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

func newFixture(t testing.TB, adjust ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, key: newKey(t), source: newMemorySource(), logs: new(logBook)}
	f.keyFile = filepath.Join(t.TempDir(), "keys.pem")
	f.trust(f.key)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	f.options = Options{
		Client: client, Namespace: "miniprogram-published", TrustedKeys: f.keyFile,
		Blobs: f.source, CacheDir: t.TempDir(), PublicURL: "https://mini.example.com",
		Log: f.logs.logger(), Now: func() time.Time { return now },
	}
	for _, a := range adjust {
		a(&f.options)
	}
	f.start()
	return f
}

// start starts a new service with the fixture's folders, as after a restart.
func (f *fixture) start() {
	f.t.Helper()
	service, err := New(f.options)
	if err != nil {
		f.t.Fatal(err)
	}
	f.service = service
	handler := service.Handler()
	if _, isTest := f.t.(*testing.T); isTest { // benchmarks measure the service alone
		handler = watched(f.t, handler, f.heard)
	}
	f.server = httptest.NewServer(handler)
	f.t.Cleanup(f.server.Close)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// trust writes the file of trusted keys.
func (f *fixture) trust(keys ...*ecdsa.PrivateKey) {
	f.t.Helper()
	var all []byte
	for _, key := range keys {
		text, err := dsse.MarshalPublicKeyPEM(&key.PublicKey)
		if err != nil {
			f.t.Fatal(err)
		}
		all = append(all, text...)
	}
	if err := os.WriteFile(f.keyFile, all, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// hex64 is 64 hexadecimal digits that stand for text.
func hex64(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// variant is a version whose archive is "archive of <version>".
func variant(version string, code int64) *document.Variant {
	archive, content := "archive of "+version, "content of "+version
	return &document.Variant{
		Delivery: 3_600_000 + code, Version: version, VersionCode: code,
		Digest: "sha256:" + hex64("artifact of "+version), ContentDigest: "sha256:" + hex64("tar of "+version),
		Archive:     document.Blob{Digest: "sha256:" + hex64(archive), Size: int64(len(archive)), MediaType: document.ArchiveMediaType},
		Content:     document.Blob{Digest: "sha256:" + hex64(content), Size: int64(len(content)), MediaType: document.ContentMediaType},
		Format:      "Dimina",
		Declaration: document.Declaration{EntryPages: []string{"pages/index", "pages/cart"}},
	}
}

// shop is a document with a stable version for host app wallet.
func shop(change ...func(*document.Release)) *document.Release {
	r := &document.Release{
		Type: document.TypeRelease, AppID: "com.example.shop", Channel: document.ChannelRelease,
		HostApps: []string{"wallet"}, Rollout: document.Rollout{Namespace: "shop-team", Name: "shop"},
		Sequence: 1000, IssuedAt: document.At(now), ExpiresAt: document.At(now.Add(7 * 24 * time.Hour)), PollSeconds: 300,
		Availability: document.Listed, Listing: &document.Listing{DisplayName: "Shop & more"},
		Stable: variant("1.0.0", 100), Decide: document.DecideHost,
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func sequence(n int64) func(*document.Release) { return func(r *document.Release) { r.Sequence = n } }

// withTarget rolls 2.0.0 out to a share of users.
func withTarget(basisPoints int32) func(*document.Release) {
	return func(r *document.Release) {
		r.Target = variant("2.0.0", 200)
		r.Split = &document.Split{Algorithm: "bucket/v1", By: "user", Seed: r.AppID + "@" + r.Target.Digest, BasisPoints: basisPoints}
	}
}

func (f *fixture) envelope(r *document.Release) string {
	f.t.Helper()
	return signed(f.t, f.key, r)
}

func signed(t testing.TB, key *ecdsa.PrivateKey, r *document.Release) string {
	t.Helper()
	payload, err := document.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return signedBytes(t, key, document.PayloadType, payload)
}

func signedBytes(t testing.TB, key *ecdsa.PrivateKey, payloadType string, payload []byte) string {
	t.Helper()
	e, err := dsse.Sign(key, payloadType, payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// rolloutRecord is the ConfigMap of a document.
func (f *fixture) rolloutRecord(r *document.Release) *record {
	return &record{Name: delivery.RolloutConfigMap(r.Rollout.Namespace, r.Rollout.Name), Kind: delivery.KindRollout, Data: map[string]string{
		delivery.KeyEnvelope: f.envelope(r), delivery.KeyRepository: "shop-team/shop",
	}}
}

func (f *fixture) put(records ...*record) {
	for _, r := range records {
		f.service.store.apply([]update{{name: r.Name, record: r}})
	}
}

func (f *fixture) publish(releases ...*document.Release) {
	for _, r := range releases {
		f.put(f.rolloutRecord(r))
	}
}

func (f *fixture) remove(name string) { f.service.store.apply([]update{{name: name}}) }

// wallet is a host app that opted into everything.
func wallet(change ...func(*delivery.HostAppConfig)) *delivery.HostAppConfig {
	c := &delivery.HostAppConfig{
		Name: "wallet", DisplayName: "Wallet", Availability: "Active",
		Dialects: []string{"Signed", "Resolve", "Dimina"}, Poll: delivery.Poll{IntervalSeconds: 1800, MinSeconds: 300},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func hostAppRecord(t testing.TB, c *delivery.HostAppConfig) *record {
	t.Helper()
	text, err := delivery.MarshalHostApp(c)
	if err != nil {
		t.Fatal(err)
	}
	return &record{Name: delivery.HostAppConfigMap(c.Name), Kind: delivery.KindHostApp, Data: map[string]string{delivery.KeyHostApp: text}}
}

func (f *fixture) hostApp(c *delivery.HostAppConfig) { f.put(hostAppRecord(f.t, c)) }

// answer is a response as tests compare it.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// do sends a request without the client's own compression.
func (f *fixture) do(method, path, body string, header ...string) answer {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second) // else a stream that should not be let in would never end
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, f.server.URL+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "identity")
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	request.Host = request.Header.Get("Host") // empty: that of the URL
	response, err := f.server.Client().Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	response.Header.Del("Date")
	return answer{Status: response.StatusCode, Header: response.Header, Body: string(text)}
}

func (f *fixture) get(path string, header ...string) answer {
	f.t.Helper()
	return f.do(http.MethodGet, path, "", header...)
}

const shopPath = "/v1/hosts/wallet/programs/com.example.shop"

// wantServed fails unless the shop's document is served byte for byte.
func (f *fixture) wantServed(envelope string) {
	f.t.Helper()
	if got := f.get(shopPath); got.Status != http.StatusOK || got.Body != envelope {
		f.t.Errorf("served is %d %.200s\nwant %.200s", got.Status, got.Body, envelope)
	}
}

// wantRejected fails unless so many ConfigMaps were rejected for a reason.
func (f *fixture) wantRejected(reason string, want float64) {
	f.t.Helper()
	if got := testutil.ToFloat64(f.service.metrics.rejected.WithLabelValues(reason)); got != want {
		f.t.Errorf("rejected for %s: %v, want %v", reason, got, want)
	}
}

// wantNotCurrent fails unless so many ConfigMaps are bad or gone for a reason.
func (f *fixture) wantNotCurrent(reason string, want float64) {
	f.t.Helper()
	if got := testutil.ToFloat64(f.service.metrics.kept.WithLabelValues(reason)); got != want {
		f.t.Errorf("not current for %s: %v, want %v", reason, got, want)
	}
}

// memorySource is a registry's blobs; it counts what is fetched.
type memorySource struct {
	mu      sync.Mutex
	blobs   map[string][]byte // by repository@digest
	fetched []string
	// wait, when set, is what every fetch waits for; began hears of each that does.
	wait, began chan struct{}
	// size is what the registry says of a blob's size.
	size func(int64) int64
}

// hold makes fetches wait until wait is closed.
func (m *memorySource) hold() {
	m.wait, m.began = make(chan struct{}), make(chan struct{}, 100)
}

func newMemorySource() *memorySource {
	return &memorySource{blobs: map[string][]byte{}, size: func(n int64) int64 { return n }}
}

// set puts a blob into the repository of the shop.
func (m *memorySource) set(digest, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blobs["shop-team/shop@"+digest] = []byte(text)
}

// forget takes a blob out of the repository of the shop.
func (m *memorySource) forget(digest string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, "shop-team/shop@"+digest)
}

func (m *memorySource) FetchBlob(ctx context.Context, repository, digest string) (io.ReadCloser, int64, error) {
	m.mu.Lock()
	m.fetched = append(m.fetched, repository+"@"+digest)
	text, ok := m.blobs[repository+"@"+digest]
	wait := m.wait
	m.mu.Unlock()
	if wait != nil {
		m.began <- struct{}{}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
	if !ok {
		return nil, 0, errors.New("there is no such blob in the registry at 10.0.0.7")
	}
	return io.NopCloser(bytes.NewReader(text)), m.size(int64(len(text))), nil
}

func (m *memorySource) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.fetched)
}
