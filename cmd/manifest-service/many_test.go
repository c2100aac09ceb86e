package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

const (
	manyPrograms = 10_000
	// changes in one minute, one after the other at equal distances.
	changes = 1_000
)

// many is a publication namespace with the documents of many programs, and a service.
type many struct {
	dir      string
	key      *ecdsa.PrivateKey
	maps     typedcorev1.ConfigMapInterface
	address  string
	process  *child.Process
	hostApps []string
	client   *http.Client
}

// measureMany lets a service serve 10,000 programs to 5 host apps each, from a real API
// server, and reports:
//
//   - ready_seconds: from the start of its process, which has no copy on disk, until it is ready
//   - change_p50_ms, change_p99_ms: from the beginning of the write of a changed document
//     until the service serves it, while 1,000 a minute change
//   - rss_mib: the greatest memory that the process had, all that included
func measureMany(b *testing.B) {
	m := newMany(b)
	m.publish(b)
	ready := m.start(b)
	m.wantAll(b)
	took := m.change(b)
	slices.Sort(took)
	b.ReportMetric(ready.Seconds(), "ready_seconds")
	b.ReportMetric(milliseconds(took[len(took)/2]), "change_p50_ms")
	b.ReportMetric(milliseconds(took[len(took)*99/100]), "change_p99_ms")
	b.ReportMetric(peakMiB(b, m.process.PID()), "rss_mib")
	must(b, m.process.Stop(10*time.Second))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func newMany(b *testing.B) *many {
	b.Helper()
	plane := controlplane.ForTest(b)
	m := &many{dir: b.TempDir(), hostApps: []string{"wallet", "bank", "travel", "games", "car"}, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}}
	var err error
	m.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(b, err)
	config := plane.Admin()
	config.QPS = -1 // the load is the client's, and is not to wait here
	client, err := kubernetes.NewForConfig(config)
	must(b, err)
	namespace := plane.Namespace(b)
	m.maps = client.CoreV1().ConfigMaps(namespace)
	must(b, plane.WriteKubeconfig(filepath.Join(m.dir, "kubeconfig"), plane.Admin()))
	must(b, os.WriteFile(filepath.Join(m.dir, "namespace"), []byte(namespace), 0o600))
	writeKey(b, filepath.Join(m.dir, "keys.pem"), m.key)
	build(b, filepath.Join(m.dir, "manifest-service"), ".")
	return m
}

func (m *many) configMap(b *testing.B, n int, sequence int64) *corev1.ConfigMap {
	r := programDocument(n, sequence, document.Blob{}, m.hostApps...)
	payload, err := document.Marshal(r)
	must(b, err)
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name:   delivery.RolloutConfigMap(r.Rollout.Namespace, r.Rollout.Name),
			Labels: map[string]string{v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: delivery.KindRollout},
		},
		Data: map[string]string{
			delivery.KeyEnvelope: envelopeOf(b, m.key, r), delivery.KeyDocument: string(payload),
			delivery.KeySequence: strconv.FormatInt(sequence, 10), delivery.KeyRepository: r.Rollout.Namespace + "/" + r.Rollout.Name,
		},
	}
}

func (m *many) publishHostApps(b *testing.B) {
	b.Helper()
	for _, name := range m.hostApps {
		text, err := delivery.MarshalHostApp(&delivery.HostAppConfig{Name: name, Availability: "Active"})
		must(b, err)
		_, err = m.maps.Create(b.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Name: delivery.HostAppConfigMap(name), Labels: map[string]string{v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: delivery.KindHostApp},
			},
			Data: map[string]string{delivery.KeyHostApp: text},
		}, metav1.CreateOptions{})
		must(b, err)
	}
}

func (m *many) publish(b *testing.B) {
	b.Helper()
	m.publishHostApps(b)
	creating, ctx := errgroup.WithContext(b.Context())
	creating.SetLimit(16)
	for n := range manyPrograms {
		creating.Go(func() error {
			_, err := m.maps.Create(ctx, m.configMap(b, n, 1), metav1.CreateOptions{})
			return err
		})
	}
	must(b, creating.Wait())
}

// start starts the service, and returns after how long it was ready.
func (m *many) start(b *testing.B) time.Duration {
	b.Helper()
	namespace, err := os.ReadFile(filepath.Join(m.dir, "namespace"))
	must(b, err)
	m.address = freeAddress(b)
	private := freeAddress(b)
	in := func(name string) string { return filepath.Join(m.dir, name) }
	began := time.Now()
	m.process, err = child.Start(child.Command{
		Path: in("manifest-service"), Log: in("service.log"),
		Args: []string{"-kubeconfig=" + in("kubeconfig"), "-publication-namespace=" + string(namespace), "-trusted-keys=" + in("keys.pem"),
			"-state-dir=" + in("state"), "-blob-cache-dir=" + in("blobs"), "-registry=127.0.0.1:1", "-addr=" + m.address, "-private-addr=" + private,
			"-shutdown-delay=0s"},
	})
	must(b, err)
	b.Cleanup(func() { must(b, m.process.Stop(10*time.Second)) })
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	must(b, m.process.AwaitReady(ctx, answers("http://"+private+"/readyz")))
	return time.Since(began)
}

// get is what is served of a program to a host app.
func (m *many) get(hostApp string, n int) (string, error) {
	response, err := m.client.Get("http://" + m.address + "/v1/hosts/" + hostApp + "/programs/" + appID(n))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("program %d for %s: %s", n, hostApp, response.Status)
	}
	return string(text), err
}

// wantAll fails unless every program is served to every host app.
func (m *many) wantAll(b *testing.B) {
	b.Helper()
	for n := range manyPrograms {
		for _, name := range m.hostApps {
			_, err := m.get(name, n)
			must(b, err)
		}
	}
}

// change writes changed documents at a constant rate, and returns how long each took
// from the beginning of its write until it was served.
func (m *many) change(b *testing.B) []time.Duration {
	b.Helper()
	var all sync.WaitGroup
	took := make([]time.Duration, changes)
	failed := make(chan error, changes)
	tick := time.NewTicker(time.Minute / changes)
	defer tick.Stop()
	for i := range changes {
		<-tick.C
		all.Go(func() {
			began := time.Now()
			n := i * (manyPrograms / changes)
			changed := m.configMap(b, n, 2)
			if _, err := m.maps.Update(b.Context(), changed, metav1.UpdateOptions{}); err != nil {
				failed <- err
				return
			}
			for {
				text, err := m.get(m.hostApps[i%len(m.hostApps)], n)
				if err != nil || time.Since(began) > time.Minute {
					failed <- fmt.Errorf("program %d was not changed within a minute: %w", n, err)
					return
				}
				if text == changed.Data[delivery.KeyEnvelope] {
					took[i] = time.Since(began)
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		b.Error(err)
	}
	return took
}

// peakMiB is the greatest memory that a process had.
func peakMiB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(b, err)
	for line := range strings.SplitSeq(string(status), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.Atoi(fields[1])
			must(b, err)
			return float64(kib) / 1024
		}
	}
	b.Fatal("no VmHWM of the service")
	return 0
}
