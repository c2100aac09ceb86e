package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// asksPerSecond of host apps, without a pause, whatever happens.
const asksPerSecond = 200

// away is how long something is away.
const away = 3 * time.Second

// BenchmarkAvailability asks two replicas for a document, 200 times a second, through a
// balancer that asks the other one when a connection fails, while in turn the API server
// goes away and comes back, each replica is restarted and then killed, each is started from
// its copy on disk while the API server is away, and the registry goes away. A document
// changes meanwhile whenever the API server is there. It reports the requests, those that failed
// (one is a failure of the benchmark), those that the balancer tried again, and the slowest.
func BenchmarkAvailability(b *testing.B) {
	for b.Loop() {
		s := newSite(b)
		end := s.ask(b)
		for _, disaster := range []struct {
			name   string
			happen func(*testing.B)
		}{
			{"the API server goes away and comes back", func(b *testing.B) { s.withoutAPI(b, func() { <-time.After(away) }) }},
			{"each replica is restarted", func(b *testing.B) { s.each(b, func(r *replica) { must(b, r.process.Stop(20*time.Second)) }) }},
			{"each replica is killed", func(b *testing.B) { s.each(b, func(r *replica) { must(b, r.process.Kill()) }) }},
			{"each replica starts from its disk", func(b *testing.B) {
				s.withoutAPI(b, func() { s.each(b, func(r *replica) { must(b, r.process.Kill()) }) })
			}},
			{"the registry goes away", s.withoutRegistry},
		} {
			before := s.asked.Load()
			disaster.happen(b)
			s.change(b)
			b.Logf("%s: %d requests, %d failed so far", disaster.name, s.asked.Load()-before, s.failed.Load())
		}
		end()
		b.ReportMetric(float64(s.asked.Load()), "requests")
		b.ReportMetric(float64(s.failed.Load()), "failed")
		b.ReportMetric(float64(s.retried.Load()), "retried")
		b.ReportMetric(milliseconds(time.Duration(s.slowest.Load())), "slowest_ms")
		if s.asked.Load() == 0 || s.failed.Load() > 0 {
			b.Errorf("%d of %d requests failed; the last so: %v", s.failed.Load(), s.asked.Load(), s.lastFailure.Load())
		}
	}
}

// site is all that there is: a control plane, a registry, two replicas and a balancer.
type site struct {
	dir       string
	key       *ecdsa.PrivateKey
	plane     *controlplane.ControlPlane
	registry  *registrytest.Registry
	namespace string
	replicas  []*replica
	balancer  *httptest.Server
	next      atomic.Uint64
	sequence  int64

	asked, failed, retried, slowest atomic.Int64
	lastFailure                     atomic.Value
}

type replica struct {
	address, private string
	ready            atomic.Bool
	process          *child.Process
}

func newSite(b *testing.B) *site {
	b.Helper()
	s := &site{dir: b.TempDir(), namespace: "default", sequence: 1}
	var err error
	s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(b, err)
	build(b, filepath.Join(s.dir, "manifest-service"), ".")
	writeKey(b, filepath.Join(s.dir, "keys.pem"), s.key)
	s.registry = registrytest.Start(b, registrytest.Options{Dir: filepath.Join(s.dir, "registry")})
	s.startAPI(b)
	b.Cleanup(func() { must(b, s.plane.Stop()) })
	text, err := delivery.MarshalHostApp(&delivery.HostAppConfig{Name: "wallet", Availability: "Active"})
	must(b, err)
	s.write(b, delivery.HostAppConfigMap("wallet"), delivery.KindHostApp, map[string]string{delivery.KeyHostApp: text})
	for i := range 2 {
		r := &replica{address: freeAddress(b), private: freeAddress(b)}
		s.replicas = append(s.replicas, r)
		s.start(b, i)
		b.Cleanup(func() { must(b, r.process.Stop(20*time.Second)) })
	}
	s.balance(b)
	s.change(b)
	return s
}

func (s *site) startAPI(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 3*time.Minute)
	defer cancel()
	plane, err := controlplane.Start(ctx, controlplane.Options{Dir: filepath.Join(s.dir, "plane")})
	must(b, err)
	s.plane = plane
	must(b, s.plane.WriteKubeconfig(filepath.Join(s.dir, "kubeconfig"), s.plane.Admin()))
}

// withoutAPI stops the API server, and starts it again afterwards.
func (s *site) withoutAPI(b *testing.B, do func()) {
	b.Helper()
	must(b, s.plane.Stop())
	do()
	s.startAPI(b)
}

// withoutRegistry stops the registry, and asks for a blob that nobody has, so that it is missed.
func (s *site) withoutRegistry(b *testing.B) {
	must(b, s.registry.Stop())
	for _, r := range s.replicas {
		v := programDocument(0, 1, document.Blob{}, "wallet").Stable
		response, err := http.Get("http://" + r.address + "/v1/blobs/sha256/" + v.Archive.Digest[len("sha256:"):])
		must(b, err)
		must(b, response.Body.Close())
		if response.StatusCode != http.StatusBadGateway {
			b.Errorf("a blob without a registry: %s", response.Status)
		}
	}
	<-time.After(away)
}

// each does something to one replica after the other, and starts it again.
func (s *site) each(b *testing.B, end func(*replica)) {
	b.Helper()
	for i, r := range s.replicas {
		end(r)
		s.start(b, i)
	}
}

func (s *site) start(b *testing.B, i int) {
	b.Helper()
	r := s.replicas[i]
	in := func(name string) string { return filepath.Join(s.dir, name) }
	of := func(name string) string { return in(name + strconv.Itoa(i)) }
	var err error
	r.process, err = child.Start(child.Command{
		Path: in("manifest-service"), Log: of("service") + ".log",
		Args: []string{"-kubeconfig=" + in("kubeconfig"), "-publication-namespace=" + s.namespace, "-trusted-keys=" + in("keys.pem"),
			"-state-dir=" + of("state"), "-blob-cache-dir=" + of("blobs"), "-registry=" + s.registry.Host(), "-registry-plain-http",
			"-addr=" + r.address, "-private-addr=" + r.private, "-shutdown-delay=1s"},
	})
	must(b, err)
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	must(b, r.process.AwaitReady(ctx, answers("http://"+r.private+"/readyz")))
	// As ready as its probe, of which the balancer hears a moment later.
	must(b, r.process.AwaitReady(ctx, func(context.Context) error {
		if s.balancer != nil && !r.ready.Load() {
			return errors.New("the balancer has not heard that it is ready")
		}
		return nil
	}))
}

// balance starts what a Service and an ingress are in a cluster: requests go by turns to
// the replicas that were ready a moment ago, and to another one when the connection fails.
func (s *site) balance(b *testing.B) {
	b.Helper()
	ctx, end := context.WithCancel(b.Context())
	var probing sync.WaitGroup
	for _, r := range s.replicas {
		r.ready.Store(true)
		probing.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					r.ready.Store(answers("http://"+r.private+"/readyz")(ctx) == nil)
				}
			}
		})
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	s.balancer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.forward(transport, w, r) }))
	b.Cleanup(func() {
		s.balancer.Close()
		end()
		probing.Wait()
	})
}

// forward answers with what the first replica says that says something.
func (s *site) forward(transport *http.Transport, w http.ResponseWriter, r *http.Request) {
	first := s.next.Add(1)
	err := errors.New("no replica is ready")
	for try := range 2 * len(s.replicas) {
		one := s.replicas[(int(first%2)+try)%len(s.replicas)]
		if !one.ready.Load() && try < len(s.replicas) {
			continue
		}
		out := r.Clone(r.Context())
		out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", one.address
		var response *http.Response
		if response, err = transport.RoundTrip(out); err == nil {
			var text []byte
			text, err = io.ReadAll(response.Body)
			if err = errors.Join(err, response.Body.Close()); err == nil {
				w.WriteHeader(response.StatusCode)
				_, _ = w.Write(text)
				return
			}
		}
		s.retried.Add(1)
	}
	http.Error(w, err.Error(), http.StatusBadGateway)
}

// ask asks for the document again and again until it is told to end.
func (s *site) ask(b *testing.B) (end func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(time.Second / asksPerSecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				all.Go(func() { s.askOnce(client) })
			}
		}
	})
	return func() {
		cancel()
		all.Wait()
	}
}

func (s *site) askOnce(client *http.Client) {
	began := time.Now()
	s.asked.Add(1)
	if _, err := get(client, s.balancer.URL+programPath(0)); err != nil {
		s.failed.Add(1)
		s.lastFailure.Store(err.Error())
	}
	for took := int64(time.Since(began)); ; {
		if slowest := s.slowest.Load(); took <= slowest || s.slowest.CompareAndSwap(slowest, took) {
			return
		}
	}
}

func get(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return string(text), errors.Join(err, response.Body.Close())
}

// change publishes another document, and returns when both replicas serve it.
func (s *site) change(b *testing.B) {
	b.Helper()
	s.sequence++
	r := programDocument(0, s.sequence, document.Blob{}, "wallet")
	envelope := envelopeOf(b, s.key, r)
	s.write(b, delivery.RolloutConfigMap(r.Rollout.Namespace, r.Rollout.Name), delivery.KindRollout,
		map[string]string{delivery.KeyEnvelope: envelope, delivery.KeyRepository: "team/program"})
	deadline := time.Now().Add(2 * time.Minute)
	for i, one := range s.replicas {
		for text := ""; text != envelope; {
			if time.Now().After(deadline) {
				log, err := os.ReadFile(filepath.Join(s.dir, "service"+strconv.Itoa(i)+".log"))
				must(b, err)
				b.Fatalf("replica %d does not serve what was published:\n%.2000s", i, log)
			}
			text, _ = get(http.DefaultClient, "http://"+one.address+programPath(0)) // not yet there, at first
		}
	}
}

// write writes a ConfigMap, whether it is there or not.
func (s *site) write(b *testing.B, name, kind string, data map[string]string) {
	b.Helper()
	client, err := kubernetes.NewForConfig(s.plane.Admin())
	must(b, err)
	maps := client.CoreV1().ConfigMaps(s.namespace)
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: kind}}, Data: data,
	}
	if _, err = maps.Update(b.Context(), cm, metav1.UpdateOptions{}); err != nil {
		_, err = maps.Create(b.Context(), cm, metav1.CreateOptions{})
	}
	must(b, err)
}
