package main

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

const (
	platformLabel   = "bench"
	bundleBytes     = 200 << 10
	versionsAtOnce  = 1000
	programsAtOnce  = 10
	publishPatience = 10 * time.Minute
	settling        = 2 * time.Second
)

// BenchmarkPublish has the manager, as a process of its own with its own rights
// and the flags of the install, publish a thousand versions that are applied at once:
// from the first apply until the last is Ready. It reports the seconds, the writes
// that each version cost the API server after its creation, and the greatest
// memory that the manager's process had.
func BenchmarkPublish(b *testing.B) {
	b.Run(strconv.Itoa(versionsAtOnce), func(b *testing.B) {
		p := newPlatform(b, "publish", v1alpha1.ApprovalRule{Role: "quality"})
		var took time.Duration
		rounds := 0
		for b.Loop() {
			took += p.publish(b, fmt.Sprintf("round-%d", rounds))
			rounds++
		}
		b.ReportMetric(took.Seconds()/float64(rounds), "seconds")
		b.ReportMetric(float64(p.writes.Load())/float64(rounds*versionsAtOnce), "writes_per_version")
		b.ReportMetric(p.peakMiB(b), "peak_rss_mib")
	})
}

// platform is an installation with a running manager.
type platform struct {
	name    string // of its policy, and the label of its namespaces
	client  client.WithWatch
	manager *child.Process
	// sources is the URL of bundles, dir has the manager's files, and registry is its host.
	sources, dir, registry string
	// artifacts is the registry that it has at first.
	artifacts *registrytest.Registry
	// writes are those of versions' after their creation.
	writes atomic.Int64
}

// newPlatform is one whose policy asks for the approvals. The API server may hold
// what another platform has left; neither policy covers what is of the other.
func newPlatform(b testing.TB, name string, approvals ...v1alpha1.ApprovalRule) *platform {
	b.Helper()
	plane := controlplane.ForTest(b)
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	must(b, controlplane.Apply(ctx, plane.Admin(), filepath.Join("..", "..", "config", "install")))
	scheme := runtime.NewScheme()
	must(b, clientgoscheme.AddToScheme(scheme))
	must(b, v1alpha1.AddToScheme(scheme))
	config := plane.Admin()
	config.QPS = -1 // the load is the clients', and is not to wait here
	p := &platform{name: name}
	var err error
	p.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	must(b, err)
	sources := httptest.NewServer(http.HandlerFunc(serveBundle))
	b.Cleanup(sources.Close)
	p.sources = sources.URL
	p.build(b, plane)
	p.startManager(b)
	must(b, client.IgnoreAlreadyExists(p.client.Create(b.Context(), &v1alpha1.HostApp{
		ObjectMeta: metav1.ObjectMeta{Name: "wallet"}, Spec: v1alpha1.HostAppSpec{DisplayName: "Wallet", Availability: v1alpha1.HostAppActive},
	})))
	must(b, p.client.Create(b.Context(), &v1alpha1.ReviewPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ReviewPolicySpec{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{platformLabel: name}},
			Enforcement:       v1alpha1.Enforce, Approvals: approvals,
		},
	}))
	return p
}

// build makes what every process of the manager needs: its binary, an identity, and a
// registry where there is none yet.
func (p *platform) build(b testing.TB, plane *controlplane.ControlPlane) {
	b.Helper()
	p.dir = b.TempDir()
	build := exec.CommandContext(b.Context(), "go", "build", "-o", filepath.Join(p.dir, "manager"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("building the manager: %v\n%s", err, out)
	}
	if p.registry == "" {
		p.artifacts = registrytest.Start(b, registrytest.Options{Dir: filepath.Join(p.dir, "registry")})
		p.registry = p.artifacts.Host()
	}
	identity, err := plane.ServiceAccount(b.Context(), "miniprogram-system", "miniprogram-manager")
	must(b, err)
	must(b, plane.WriteKubeconfig(filepath.Join(p.dir, "kubeconfig"), identity))
}

// startManager runs the manager with flags more than those that it needs here, until
// it is stopped or the test ends.
func (p *platform) startManager(b testing.TB, flags ...string) {
	b.Helper()
	probes, err := child.KeepPort(0)
	must(b, err)
	manager, err := child.Start(child.Command{
		Path: filepath.Join(p.dir, "manager"), Log: filepath.Join(p.dir, "manager.log"),
		Args: append([]string{
			"--kubeconfig=" + filepath.Join(p.dir, "kubeconfig"), "--leader-elect=false", "--metrics-bind-address=0",
			"--health-probe-bind-address=127.0.0.1:" + strconv.Itoa(probes),
			"--registry=" + p.registry, "--registry-plain-http", "--temp-dir=" + p.dir,
			"--allow-insecure-sources", "--allowed-source-networks=127.0.0.0/8", "--source-requests-per-second=1000",
		}, flags...),
	})
	must(b, err)
	p.manager = manager
	b.Cleanup(func() { must(b, manager.Stop(10*time.Second)) })
	p.await(b, "the manager is ready", func() string {
		answer, err := http.Get("http://127.0.0.1:" + strconv.Itoa(probes) + "/readyz")
		if err != nil {
			return err.Error()
		}
		must(b, answer.Body.Close())
		if answer.StatusCode != http.StatusOK {
			return answer.Status
		}
		return ""
	})
}

// publish applies the versions and returns how long it took until all were Ready.
func (p *platform) publish(b *testing.B, namespace string) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), publishPatience)
	defer cancel()
	b.StopTimer()
	p.prepare(ctx, b, namespace)
	events, err := p.client.Watch(ctx, &v1alpha1.MiniProgramVersionList{}, client.InNamespace(namespace))
	must(b, err)
	defer events.Stop()
	b.StartTimer()
	began := time.Now()
	applied := make(chan error, 1)
	go func() {
		applying, ctx := errgroup.WithContext(ctx)
		applying.SetLimit(8)
		for n := range versionsAtOnce {
			applying.Go(func() error { return p.client.Create(ctx, p.version(namespace, n)) })
		}
		err := applying.Wait()
		if err != nil {
			cancel() // the watch need not go on
		}
		applied <- err
	}()
	took := p.awaitReady(b, events, began)
	b.StopTimer()
	must(b, <-applied)
	p.countLate(events)
	b.StartTimer()
	return took
}

// prepare makes what is there before versions come.
func (p *platform) prepare(ctx context.Context, b testing.TB, namespace string) {
	b.Helper()
	must(b, p.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{platformLabel: p.name}}}))
	for n := range programsAtOnce {
		must(b, p.client.Create(ctx, &v1alpha1.MiniProgram{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: programName(n)},
			Spec:       v1alpha1.MiniProgramSpec{AppID: namespace + "." + programName(n), DisplayName: "App", HostApps: []string{"wallet"}, Kind: "WebApp"},
		}))
	}
}

func programName(n int) string { return fmt.Sprintf("app-%d", n%programsAtOnce) }

func (p *platform) version(namespace string, n int) *v1alpha1.MiniProgramVersion {
	number := fmt.Sprintf("1.%d.%d", n/programsAtOnce/100, n/programsAtOnce%100)
	return &v1alpha1.MiniProgramVersion{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: programName(n) + "-" + strings.ReplaceAll(number, ".", "-")},
		Spec: v1alpha1.MiniProgramVersionSpec{
			MiniProgramRef: v1alpha1.MiniProgramReference{Name: programName(n)}, Version: number,
			Source: v1alpha1.BundleSource{HTTP: &v1alpha1.HTTPSource{URL: fmt.Sprintf("%s/%s/%d.zip", p.sources, namespace, n)}},
		},
	}
}

func (p *platform) awaitReady(b *testing.B, events watch.Interface, began time.Time) time.Duration {
	b.Helper()
	ready := map[string]bool{}
	for event := range events.ResultChan() {
		version, ok := event.Object.(*v1alpha1.MiniProgramVersion)
		if !ok {
			b.Fatalf("the watch ends: %v", event.Object)
		}
		if event.Type == watch.Modified {
			p.writes.Add(1)
		}
		if meta.IsStatusConditionTrue(version.Status.Conditions, v1alpha1.ConditionReady) {
			ready[version.Name] = true
		}
		if len(ready) == versionsAtOnce {
			return time.Since(began)
		}
	}
	b.Fatalf("%d of %d versions became Ready; the manager's last words:\n%s", len(ready), versionsAtOnce, p.manager.LogTail(20))
	return 0
}

// countLate counts the writes that come after all versions are Ready, until
// there are none for a while.
func (p *platform) countLate(events watch.Interface) {
	for {
		select {
		case event := <-events.ResultChan():
			if event.Type == watch.Modified {
				p.writes.Add(1)
			}
		case <-time.After(settling):
			return
		}
	}
}

// peakMiB is the greatest resident memory of the manager's process so far.
func (p *platform) peakMiB(b testing.TB) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.manager.PID()))
	must(b, err)
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			must(b, err)
			return kib / 1024
		}
	}
	b.Fatal("the system does not tell the memory of processes")
	return 0
}

func (p *platform) await(b testing.TB, what string, missing func() string) {
	b.Helper()
	deadline := time.Now().Add(time.Minute)
	for why := missing(); why != ""; why = missing() {
		if time.Now().After(deadline) {
			b.Fatalf("waiting until %s: %s\n%s", what, why, p.manager.LogTail(20))
		}
		<-time.After(50 * time.Millisecond)
	}
}

// serveBundle answers each path with a web bundle of its own that nothing can
// compress, the same at each request.
func serveBundle(w http.ResponseWriter, r *http.Request) {
	var seed [32]byte
	copy(seed[:], r.URL.Path)
	content := rand.NewChaCha8(seed)
	archive := zip.NewWriter(w)
	for _, file := range []struct {
		name    string
		content io.Reader
	}{
		{"index.html", strings.NewReader("<!doctype html><title>App</title>")},
		{"data.bin", io.LimitReader(content, bundleBytes)},
	} {
		part, err := archive.CreateHeader(&zip.FileHeader{Name: file.name, Method: zip.Store})
		if err != nil {
			return // the client has gone
		}
		if _, err := io.Copy(part, file.content); err != nil {
			return
		}
	}
	_ = archive.Close() // the client may have gone
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
