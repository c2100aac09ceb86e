package manifest_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/manifest"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
)

// noBlobs is a registry without blobs.
type noBlobs struct{}

func (noBlobs) FetchBlob(context.Context, string, string) (io.ReadCloser, int64, error) {
	return nil, 0, errors.New("there are no blobs")
}

// cluster is a publication namespace on a real API server.
type cluster struct {
	*testing.T
	admin     kubernetes.Interface
	service   kubernetes.Interface // with the service's rights
	namespace string
	key       *ecdsa.PrivateKey
	keyFile   string
}

func newCluster(t *testing.T) *cluster {
	cp := controlplane.ForTest(t)
	c := &cluster{T: t, namespace: cp.Namespace(t)}
	var err error
	c.admin, err = kubernetes.NewForConfig(cp.Admin())
	c.check(err)
	config, err := cp.ServiceAccount(t.Context(), c.namespace+"-system", "manifest-service")
	c.check(err)
	c.service, err = kubernetes.NewForConfig(config)
	c.check(err)
	_, err = c.admin.RbacV1().Roles(c.namespace).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "manifest-service"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch"}}},
	}, metav1.CreateOptions{})
	c.check(err)
	_, err = c.admin.RbacV1().RoleBindings(c.namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "manifest-service"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "manifest-service"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: c.namespace + "-system", Name: "manifest-service"}},
	}, metav1.CreateOptions{})
	c.check(err)
	cp.AwaitRight(t, "system:serviceaccount:"+c.namespace+"-system:manifest-service",
		authorizationv1.ResourceAttributes{Namespace: c.namespace, Verb: "list", Resource: "configmaps"})
	c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.check(err)
	text, err := dsse.MarshalPublicKeyPEM(&c.key.PublicKey)
	c.check(err)
	c.keyFile = filepath.Join(t.TempDir(), "public.pem")
	c.check(os.WriteFile(c.keyFile, text, 0o600))
	return c
}

func (c *cluster) check(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) configMap(name, kind string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.PublishedLabel: "true", delivery.DocumentLabel: kind}},
		Data:       data,
	}
}

func (c *cluster) document(sequence int64, change ...func(*document.Release)) *corev1.ConfigMap {
	v := &document.Variant{
		Delivery: 1, Version: "1.0.0", VersionCode: 1,
		Digest: digest, ContentDigest: digest, Archive: document.Blob{Digest: digest, Size: 1}, Content: document.Blob{Digest: digest, Size: 1},
	}
	at := document.At(time.Now())
	release := &document.Release{
		Type: document.TypeRelease, AppID: "com.example.shop", Channel: "release", HostApps: []string{"wallet"},
		Rollout:  document.Rollout{Namespace: "shop-team", Name: "shop"},
		Sequence: sequence, IssuedAt: at, ExpiresAt: document.At(at.Add(time.Hour)), PollSeconds: 300,
		Availability: document.Listed, Stable: v, Decide: document.DecideHost,
	}
	for _, f := range change {
		f(release)
	}
	payload, err := document.Marshal(release)
	c.check(err)
	envelope, err := dsse.Sign(c.key, document.PayloadType, payload)
	c.check(err)
	raw, err := envelope.Marshal()
	c.check(err)
	return c.configMap(delivery.RolloutConfigMap("shop-team", "shop"), delivery.KindRollout, map[string]string{
		delivery.KeyEnvelope: string(raw), delivery.KeyDocument: string(payload),
		delivery.KeySequence: strconv.FormatInt(sequence, 10), delivery.KeyRepository: "shop-team/shop",
	})
}

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// running is a service that was started.
type running struct {
	public, private string
	stop            func()
}

// run starts a service, which the test's end stops.
func (c *cluster) run(client kubernetes.Interface, stateDir string, adjust ...func(*manifest.Options)) *running {
	c.Helper()
	options := manifest.Options{
		Client: client, Namespace: c.namespace, TrustedKeys: c.keyFile, StateDir: stateDir,
		Blobs: noBlobs{}, CacheDir: c.TempDir(), Log: testr.New(c.T),
	}
	for _, a := range adjust {
		a(&options)
	}
	service, err := manifest.New(options)
	c.check(err)
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		c.check(err)
		return l
	}
	o := manifest.ServeOptions{Public: listen(), Private: listen()}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Serve(ctx, o) }()
	stopped := false
	r := &running{public: "http://" + o.Public.Addr().String(), private: "http://" + o.Private.Addr().String()}
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		end()
		if err := <-ended; err != nil {
			c.Errorf("the service ended with %v", err)
		}
	}
	c.Cleanup(r.stop)
	return r
}

// await asks until the answer is as wanted.
func (c *cluster) await(url string, status int, body string) {
	c.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		response, err := http.Get(url)
		c.check(err)
		text, err := io.ReadAll(response.Body)
		c.check(err)
		c.check(response.Body.Close())
		if response.StatusCode == status && (body == "" || string(text) == body) {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("%s answers %d %.300s, want %d %.300s", url, response.StatusCode, text, status, body)
		}
	}
}

func TestAPublishedConfigMapIsServedFromARealAPIServer(t *testing.T) {
	c := newCluster(t)
	stateDir := t.TempDir()
	r := c.run(c.service, stateDir)
	c.await(r.private+"/readyz", 200, "ok\n")
	const program = "/v1/hosts/wallet/programs/com.example.shop"
	c.await(r.public+program, 404, "")

	maps := c.admin.CoreV1().ConfigMaps(c.namespace)
	config, err := delivery.MarshalHostApp(&delivery.HostAppConfig{Name: "wallet", Availability: "Active"})
	c.check(err)
	_, err = maps.Create(t.Context(), c.configMap("wallet.hostapp", delivery.KindHostApp, map[string]string{delivery.KeyHostApp: config}), metav1.CreateOptions{})
	c.check(err)
	// What is not published is not read, however well it is signed.
	unpublished := c.document(5_000)
	delete(unpublished.Labels, v1alpha1.PublishedLabel)
	unpublished.Name = "unpublished"
	_, err = maps.Create(t.Context(), unpublished, metav1.CreateOptions{})
	c.check(err)

	current := c.document(1_000)
	_, err = maps.Create(t.Context(), current, metav1.CreateOptions{})
	c.check(err)
	c.await(r.public+program, 200, current.Data[delivery.KeyEnvelope])
	for n := int64(1_001); n <= 1_010; n++ {
		current = c.document(n)
		_, err = maps.Update(t.Context(), current, metav1.UpdateOptions{})
		c.check(err)
		written := time.Now()
		c.await(r.public+program, 200, current.Data[delivery.KeyEnvelope])
		t.Logf("sequence %d served %s after its write was acknowledged", n, time.Since(written).Round(10*time.Microsecond))
	}

	// Tampering and deleting by hand take nothing out of service.
	tampered := current.DeepCopy()
	tampered.Data[delivery.KeyEnvelope] = "{}"
	_, err = maps.Update(t.Context(), tampered, metav1.UpdateOptions{})
	c.check(err)
	c.check(maps.Delete(t.Context(), current.Name, metav1.DeleteOptions{}))
	next := c.document(1_011)
	second := next.DeepCopy() // something after the deletion, to wait for
	_, err = maps.Create(t.Context(), c.configMap("bank.hostapp", delivery.KindHostApp, map[string]string{
		delivery.KeyHostApp: `{"name":"bank","availability":"Active"}`}), metav1.CreateOptions{})
	c.check(err)
	c.await(r.public+"/v1/hosts/bank/programs", 200, "")
	c.await(r.public+program, 200, current.Data[delivery.KeyEnvelope])

	// The next start finds the API away, serves, and catches up when it is back.
	r.stop()
	away := c.run(unreachable(c), stateDir)
	c.await(away.private+"/readyz", 200, "ok\n")
	c.await(away.public+program, 200, current.Data[delivery.KeyEnvelope])
	away.stop()
	_, err = maps.Create(t.Context(), second, metav1.CreateOptions{})
	c.check(err)
	back := c.run(c.service, stateDir)
	c.await(back.public+program, 200, second.Data[delivery.KeyEnvelope])
}

func TestTheRightsOfTheServiceAreEnoughAndNoMore(t *testing.T) {
	c := newCluster(t)
	_, err := c.service.CoreV1().ConfigMaps(c.namespace).List(t.Context(), metav1.ListOptions{})
	c.check(err)
	if _, err := c.service.CoreV1().Secrets(c.namespace).List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("it may list Secrets")
	}
	if _, err := c.service.CoreV1().ConfigMaps("kube-system").List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("it may read another namespace")
	}
	if err := c.service.CoreV1().ConfigMaps(c.namespace).Delete(t.Context(), "any", metav1.DeleteOptions{}); err == nil {
		t.Error("it may delete")
	}
}

// unreachable is a client of an API server that is away.
func unreachable(c *cluster) kubernetes.Interface {
	c.Helper()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:1"})
	c.check(err)
	return client
}

// A change reaches whoever listens within a second of its write.
func TestAChangeIsToldAtOnceFromARealAPIServer(t *testing.T) {
	c := newCluster(t)
	r := c.run(c.service, "")
	maps := c.admin.CoreV1().ConfigMaps(c.namespace)
	config, err := delivery.MarshalHostApp(&delivery.HostAppConfig{Name: "wallet", Availability: "Active"})
	c.check(err)
	_, err = maps.Create(t.Context(), c.configMap("wallet.hostapp", delivery.KindHostApp, map[string]string{delivery.KeyHostApp: config}), metav1.CreateOptions{})
	c.check(err)
	c.await(r.public+"/v1/hosts/wallet/programs", 200, "")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.public+"/v1/hosts/wallet/events", nil)
	c.check(err)
	response, err := http.DefaultClient.Do(request)
	c.check(err)
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	next := func() string {
		for lines.Scan() {
			if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
				return data
			}
		}
		c.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
	if got := next(); got != `{"type":"reset"}` {
		t.Fatalf("the first event is %s", got)
	}
	_, err = maps.Create(t.Context(), c.document(1_000), metav1.CreateOptions{})
	c.check(err)
	late := 0
	for n := int64(1_000); n <= 1_005; n++ {
		if n > 1_000 {
			_, err = maps.Update(t.Context(), c.document(n), metav1.UpdateOptions{})
			c.check(err)
		}
		written := time.Now()
		if got, want := next(), fmt.Sprintf(`{"type":"changed","appID":"com.example.shop","sequence":%d}`, n); got != want {
			t.Fatalf("event %s, want %s", got, want)
		}
		if took := time.Since(written); took > time.Second {
			late++
			t.Logf("sequence %d was told %s after its write", n, took)
		}
	}
	if late > 3 { // one or two may be so on a machine that is busy with other things
		t.Errorf("%d of 6 changes were told more than a second after their write", late)
	}
}
