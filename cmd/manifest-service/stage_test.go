package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Cores: one for who answers, one for who asks.
const (
	serverCore = "0"
	askerCore  = "1"
)

// stage has the service and nginx, which serve the same bytes.
type stage struct {
	dir string
	// ours and nginx are addresses.
	ours, nginx       string
	oursPID, nginxPID int
	envelopes         []string
	blob              string
	blobHex           string
	key               *ecdsa.PrivateKey
}

func newStage(b *testing.B) *stage {
	b.Helper()
	for _, tool := range []string{"nginx", "wrk", "taskset"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.Fatalf("%s is needed to compare with: apt-get install --no-install-recommends nginx wrk util-linux", tool)
		}
	}
	if runtime.NumCPU() < 2 {
		b.Fatal("two cores are needed: one for who answers, one for who asks")
	}
	s := &stage{dir: b.TempDir(), blob: strings.Repeat("0123456789abcdef", 200<<10/16)}
	s.blobHex = hexOf(s.blob)
	var err error
	s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(b, err)
	build(b, filepath.Join(s.dir, "manifest-service"), ".")
	build(b, filepath.Join(s.dir, "openloop"), "../../hack/openloop")
	s.publish(b)
	s.startOurs(b)
	s.startNginx(b)
	return s
}

func build(b testing.TB, binary, packagePath string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, packagePath)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("building %s: %v\n%s", packagePath, err, out)
	}
}

func hexOf(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

func appID(n int) string { return fmt.Sprintf("com.example.program%d", n) }

func programPath(n int) string { return "/v1/hosts/wallet/programs/" + appID(n) }

// programDocument is one that rolls a version out to 5 % of users of each host app.
func programDocument(n int, sequence int64, archive document.Blob, hostApps ...string) *document.Release {
	if archive.Digest == "" {
		archive = document.Blob{Digest: "sha256:" + hexOf(appID(n)+" archive"), Size: 144499}
	}
	issued := document.At(time.Now())
	variant := func(version string, code int64) *document.Variant {
		of := appID(n) + " " + version
		return &document.Variant{
			Delivery: 3_600_000 + code, Version: version, VersionCode: code,
			Digest: "sha256:" + hexOf(of+" artifact"), ContentDigest: "sha256:" + hexOf(of+" files"),
			Archive: archive, Content: document.Blob{Digest: "sha256:" + hexOf(of+" content"), Size: 98211}, Format: "Dimina",
			Declaration: document.Declaration{EntryPages: []string{"pages/index/index"}},
		}
	}
	r := &document.Release{
		Type: document.TypeRelease, AppID: appID(n), Channel: document.ChannelRelease, HostApps: hostApps,
		Rollout:  document.Rollout{Namespace: "team", Name: "program" + strconv.Itoa(n)},
		Sequence: sequence, IssuedAt: issued, ExpiresAt: document.At(issued.Add(7 * 24 * time.Hour)), PollSeconds: 300,
		Availability: document.Listed, Listing: &document.Listing{DisplayName: "Program " + strconv.Itoa(n)},
		Stable: variant("1.0.0", 1), Target: variant("1.1.0", 2), Decide: document.DecideHost,
	}
	r.Split = &document.Split{Algorithm: "bucket/v1", By: "user", Seed: r.AppID + "@" + r.Target.Digest, BasisPoints: 500}
	return r
}

// envelopeOf signs a document.
func envelopeOf(t testing.TB, key *ecdsa.PrivateKey, r *document.Release) string {
	t.Helper()
	payload, err := document.Marshal(r)
	must(t, err)
	envelope, err := dsse.Sign(key, document.PayloadType, payload)
	must(t, err)
	raw, err := envelope.Marshal()
	must(t, err)
	return string(raw)
}

func writeKey(t testing.TB, file string, key *ecdsa.PrivateKey) {
	t.Helper()
	text, err := dsse.MarshalPublicKeyPEM(&key.PublicKey)
	must(t, err)
	must(t, os.WriteFile(file, text, 0o600))
}

// publish leaves what is served as a run of the service before this one has: in its
// copy on disk and its cache of blobs. So neither a control plane nor a registry
// takes time of what is measured.
func (s *stage) publish(b *testing.B) {
	b.Helper()
	for _, folder := range []string{"state", "blobs", "www"} {
		must(b, os.Mkdir(filepath.Join(s.dir, folder), 0o755))
	}
	record := func(name, kind string, data map[string]string) {
		text, err := json.Marshal(map[string]any{"name": name, "kind": kind, "data": data})
		must(b, err)
		must(b, os.WriteFile(filepath.Join(s.dir, "state", hexOf(name)+".json"), text, 0o600))
	}
	archive := document.Blob{Digest: "sha256:" + s.blobHex, Size: int64(len(s.blob))}
	for n := range 20 {
		r := programDocument(n, 1000, archive, "wallet")
		s.envelopes = append(s.envelopes, envelopeOf(b, s.key, r))
		record(delivery.RolloutConfigMap(r.Rollout.Namespace, r.Rollout.Name), delivery.KindRollout,
			map[string]string{delivery.KeyEnvelope: s.envelopes[n], delivery.KeyRepository: "team/program"})
	}
	config, err := delivery.MarshalHostApp(&delivery.HostAppConfig{
		Name: "wallet", Availability: "Active", Dialects: []string{"Signed", "Resolve"}, Poll: delivery.Poll{IntervalSeconds: 1800, MinSeconds: 300},
	})
	must(b, err)
	record(delivery.HostAppConfigMap("wallet"), delivery.KindHostApp, map[string]string{delivery.KeyHostApp: config})
	must(b, os.WriteFile(filepath.Join(s.dir, "blobs", s.blobHex), []byte(s.blob), 0o600))
	must(b, os.WriteFile(filepath.Join(s.dir, "www", "blob"), []byte(s.blob), 0o644))
	must(b, os.WriteFile(filepath.Join(s.dir, "www", "document"), []byte(s.envelopes[0]), 0o644))
	writeKey(b, filepath.Join(s.dir, "keys.pem"), s.key)
	must(b, os.WriteFile(filepath.Join(s.dir, "kubeconfig"), []byte(awayKubeconfig), 0o600))
}

// awayKubeconfig is for a cluster that is away.
const awayKubeconfig = `{"apiVersion":"v1","kind":"Config","current-context":"away","contexts":[{"name":"away","context":{"cluster":"away"}}],
"clusters":[{"name":"away","cluster":{"server":"http://127.0.0.1:1"}}]}`

func freeAddress(t testing.TB) string {
	t.Helper()
	port, err := child.FreePort()
	must(t, err)
	return "127.0.0.1:" + strconv.Itoa(port)
}

// onCore runs a program on one core until the benchmark ends, and returns its process
// when an address of it answers.
func onCore(b *testing.B, ready, log string, env []string, command ...string) int {
	b.Helper()
	taskset, err := exec.LookPath("taskset")
	must(b, err)
	p, err := child.Start(child.Command{Path: taskset, Args: append([]string{"-c", serverCore}, command...), Env: env, Log: log})
	must(b, err)
	b.Cleanup(func() { must(b, p.Stop(10*time.Second)) })
	ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
	defer cancel()
	must(b, p.AwaitReady(ctx, answers(ready)))
	return p.PID()
}

// processorTime is what a process has used so far.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(b, err)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	must(b, err)
	system, err := strconv.Atoi(fields[12])
	must(b, err)
	const hundredths = 10 * time.Millisecond // sysconf(_SC_CLK_TCK) is 100 wherever Go runs on Linux
	return time.Duration(user+system) * hundredths
}

// answers asks whether an address answers well.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return errors.Join(errors.New(url+" answers "+response.Status), response.Body.Close())
		}
		return response.Body.Close()
	}
}

func (s *stage) startOurs(b *testing.B) {
	b.Helper()
	s.ours = freeAddress(b)
	private := freeAddress(b)
	in := func(name string) string { return filepath.Join(s.dir, name) }
	s.oursPID = onCore(b, "http://"+private+"/readyz", in("service.log"), []string{"GOMAXPROCS=1"}, in("manifest-service"),
		"-kubeconfig="+in("kubeconfig"), "-trusted-keys="+in("keys.pem"), "-state-dir="+in("state"), "-blob-cache-dir="+in("blobs"),
		"-registry=127.0.0.1:1", "-addr="+s.ours, "-private-addr="+private, "-shutdown-delay=0s",
		"-address-limits=resolve=0") // all ask from one address
}

// nginxConfig is one process that serves files to connections that stay open, and logs nothing.
const nginxConfig = `daemon off;
master_process off;
worker_processes 1;
pid %[1]s/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 120s;
  keepalive_requests 1000000000;
  default_type application/octet-stream;
  client_body_temp_path %[1]s/client; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server { listen %[2]s; root %[1]s/www; }
}
`

func (s *stage) startNginx(b *testing.B) {
	b.Helper()
	s.nginx = freeAddress(b)
	nginx, err := exec.LookPath("nginx")
	must(b, err)
	config := filepath.Join(s.dir, "nginx.conf")
	must(b, os.WriteFile(config, fmt.Appendf(nil, nginxConfig, s.dir, s.nginx), 0o600))
	s.nginxPID = onCore(b, "http://"+s.nginx+"/document", filepath.Join(s.dir, "nginx.log"), nil, nginx, "-e", "stderr", "-c", config)
}

// request is what one server is asked, again and again.
type request struct {
	addr, path, send, tag string
	pid                   int // of who is asked
}

func (r *request) headers() map[string]string {
	h := map[string]string{}
	if r.send != "" {
		h["Content-Type"] = "application/json"
	}
	if r.tag != "" {
		h["If-None-Match"] = r.tag
	}
	return h
}

func (r *request) method() string {
	if r.send != "" {
		return http.MethodPost
	}
	return http.MethodGet
}

// try asks once, and fails unless the answer is what it must be. A conditional
// request learns the tag first. It returns the size of the answer's body.
func (s *stage) try(b *testing.B, r *request, conditional bool, status int, body string) int {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	ask := func() (*http.Response, string) {
		q, err := http.NewRequestWithContext(b.Context(), r.method(), "http://"+r.addr+r.path, strings.NewReader(r.send))
		must(b, err)
		for name, value := range r.headers() {
			q.Header.Set(name, value)
		}
		response, err := client.Do(q)
		must(b, err)
		text, err := io.ReadAll(response.Body)
		must(b, errors.Join(err, response.Body.Close()))
		return response, string(text)
	}
	if conditional {
		first, _ := ask()
		r.tag = first.Header.Get("Etag")
	}
	response, text := ask()
	if response.StatusCode != status || body != "" && text != body {
		b.Fatalf("%s%s answers %s with %d bytes, want %d with %d: %.200s", r.addr, r.path, response.Status, len(text), status, len(body), text)
	}
	return len(text)
}

var (
	wrkRate   = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)$`)
	wrkAll    = regexp.MustCompile(`(?m)^\s*([0-9]+) requests in `)
	wrkErrors = regexp.MustCompile(`(?m)^\s*(Socket errors|Non-2xx or 3xx responses):.*$`)
)

// wrk asks for as much as there is, and returns how much that was in a second, and
// how many microseconds of a processor each answer took.
func (s *stage) wrk(b *testing.B, r request) (rate, microseconds float64) {
	b.Helper()
	args := []string{"-c", askerCore, "wrk", "-t1", "-c64", "-d3s"}
	for name, value := range r.headers() {
		args = append(args, "-H", name+": "+value)
	}
	if r.send != "" {
		script := filepath.Join(s.dir, "post.lua")
		must(b, os.WriteFile(script, fmt.Appendf(nil, "wrk.method = \"POST\"\nwrk.body = [[%s]]\n", r.send), 0o600))
		args = append(args, "-s", script)
	}
	before := processorTime(b, r.pid)
	out, err := exec.CommandContext(b.Context(), "taskset", append(args, "http://"+r.addr+r.path)...).CombinedOutput()
	used := processorTime(b, r.pid) - before
	found, all := wrkRate.FindSubmatch(out), wrkAll.FindSubmatch(out)
	if err != nil || found == nil || all == nil || wrkErrors.Match(out) {
		b.Fatalf("wrk: %v\n%s", err, out)
	}
	rate, err = strconv.ParseFloat(string(found[1]), 64)
	must(b, err)
	count, err := strconv.Atoi(string(all[1]))
	must(b, err)
	return rate, float64(used.Microseconds()) / float64(count)
}

// openLoop asks so often in a second, and returns within how many milliseconds 99 of
// 100 answers were there.
func (s *stage) openLoop(b *testing.B, r request, rate float64) float64 {
	b.Helper()
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method(), r.path, r.addr)
	for name, value := range r.headers() {
		fmt.Fprintf(&raw, "%s: %s\r\n", name, value)
	}
	if r.send != "" {
		fmt.Fprintf(&raw, "Content-Length: %d\r\n", len(r.send))
	}
	fmt.Fprintf(&raw, "\r\n%s", r.send)
	cmd := exec.CommandContext(b.Context(), "taskset", "-c", askerCore, filepath.Join(s.dir, "openloop"),
		"-addr", r.addr, "-rate", strconv.FormatFloat(rate, 'f', 0, 64), "-connections", "64", "-for", "3s")
	cmd.Stdin, cmd.Stderr = &raw, os.Stderr
	out, err := cmd.Output()
	must(b, err)
	var result struct{ P99Ms float64 }
	must(b, json.Unmarshal(out, &result))
	return result.P99Ms
}
