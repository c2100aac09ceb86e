package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controller"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
)

const (
	systemNamespace    = "miniprogram-system"
	publishedNamespace = "miniprogram-published"
)

// world is what every test here runs in: a control plane with everything
// installed, a registry, and the manager with its own identity and no other rights.
type world struct {
	cp       *controlplane.ControlPlane
	registry *registrytest.Registry
	scheme   *runtime.Scheme
	admin    client.Client
	// refuse is the status with which the registry answers the manager; 0: it works.
	refuse atomic.Int32
	// undeletable has the status with which it answers deletions, by repository.
	undeletable sync.Map
	front       *httptest.Server
	// replicas map the addresses of EndpointSlices to where the manifest service of a test listens.
	replicas  sync.Map
	addresses atomic.Int32 // given out
	// numbers are what the Prometheus of tests answers, by namespace.
	numbers sync.Map
	// shared is what the manager's reconcilers have in common, with its cache.
	shared controller.Shared
}

// byHandLabel is on versions and Rollouts that a test reconciles itself: the manager does
// not see them.
const byHandLabel = "test.miniprogram.dev/by-hand"

// registryFront stands between the manager and the registry, for as long as the
// test binary runs.
func (w *world) registryFront() *httptest.Server {
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: w.registry.Host()})
		r.Out.Host = r.In.Host
	}}
	return httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if status := w.refuse.Load(); status != 0 {
			rw.WriteHeader(int(status))
			return
		}
		repository, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/miniprograms/"), "/manifests/")
		if status, ok := w.undeletable.Load(repository); ok && r.Method == http.MethodDelete {
			if code, is := status.(int); is {
				rw.WriteHeader(code)
				return
			}
		}
		proxy.ServeHTTP(rw, r)
	}))
}

// registryHost is the registry as the manager knows it.
func (w *world) registryHost() string { return strings.TrimPrefix(w.front.URL, "http://") }

func repositoryRoot(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var (
	worldOnce sync.Once
	theWorld  *world
)

// theWorldFor returns the world that all tests of this package share.
func theWorldFor(t testing.TB) *world {
	t.Helper()
	worldOnce.Do(func() { theWorld = startWorld(t) })
	if theWorld == nil {
		t.Fatal("the tests' world did not start: see the first test that failed")
	}
	return theWorld
}

func startWorld(t testing.TB) *world {
	ctrl.SetLogger(logr.Discard())
	dir, err := os.MkdirTemp("", "registry-")
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registrytest.Run(context.Background(), registrytest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return startWorldOn(context.Background(), t, controlplane.ForTest(t), reg)
}

// startWorldOn installs everything on a control plane and runs the manager until running ends.
func startWorldOn(running context.Context, t testing.TB, cp *controlplane.ControlPlane, reg *registrytest.Registry, prepare ...func(*world)) *world {
	ctx := context.Background()
	if err := controlplane.Apply(ctx, cp.Admin(), filepath.Join(repositoryRoot(t), "config", "install")); err != nil {
		t.Fatal(err)
	}
	w := &world{cp: cp, registry: reg, scheme: runtime.NewScheme()}
	w.front = w.registryFront()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(w.scheme); err != nil {
			t.Fatal(err)
		}
	}
	w.admin = w.client(t, cp.Admin())
	// Admission learns of new kinds, and of policies about them, a moment after they are there.
	eventually(t, "admission knows the kinds", func() string {
		probe := &v1alpha1.MiniProgramVersion{
			ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "probe"},
			Spec: v1alpha1.MiniProgramVersionSpec{
				MiniProgramRef: v1alpha1.MiniProgramReference{Name: "probe"}, Version: "1.0.0",
				Source: v1alpha1.BundleSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: "probe", Key: "probe"}},
			},
		}
		if err := w.admin.Create(ctx, probe, client.DryRunAll); err != nil {
			return err.Error()
		}
		if probe.Annotations[v1alpha1.SubmittedThroughAnnotation] == "" {
			return "who creates a version is not stamped yet"
		}
		return ""
	})
	identity, err := cp.ServiceAccount(ctx, systemNamespace, "miniprogram-manager")
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range prepare {
		do(w)
	}
	w.startManager(running, t, identity)
	return w
}

func (w *world) client(t testing.TB, cfg *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(cfg, client.Options{Scheme: w.scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// as returns a client of a person.
func (w *world) as(t testing.TB, user string) client.Client { return w.client(t, w.cp.User(user)) }

// startManager runs the reconcilers in this process until running ends.
func (w *world) startManager(running context.Context, t testing.TB, cfg *rest.Config) {
	t.Helper()
	skip := true
	kept, err := controller.CacheByObject(publishedNamespace)
	if err != nil {
		t.Fatal(err)
	}
	others, err := labels.Parse("!" + byHandLabel)
	if err != nil {
		t.Fatal(err)
	}
	kept[&v1alpha1.MiniProgramVersion{}] = cache.ByObject{Label: others}
	kept[&v1alpha1.Rollout{}] = cache.ByObject{Label: others}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme: w.scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		Controller: crconfig.Controller{SkipNameValidation: &skip},
		Cache:      cache.Options{ByObject: kept},
	})
	if err != nil {
		t.Fatal(err)
	}
	direct := w.client(t, cfg)
	transport := source.NewTransport(source.Guard{
		AllowInsecure: true, AllowedNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RequestsPerSecond: 1000,
	})
	limits := source.Limits{Timeout: 5 * time.Second, IdleTimeout: time.Second}
	artifacts := registry.New(registry.Options{Host: w.registryHost(), Prefix: "miniprograms", PlainHTTP: true, UserAgent: "test"})
	w.shared = controller.Shared{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("miniprogram-manager"),
		Namespace: systemNamespace, PublicationNamespace: publishedNamespace, ManifestURL: "https://manifest.example.com", RunURL: "https://run.example.net",
		Ledger: &ledger.Ledger{Client: mgr.GetClient(), Namespace: publishedNamespace},
		Keys: &signing.Keys{
			Client: direct, Namespace: systemNamespace, Name: "miniprogram-signing-key", TrustedName: "miniprogram-trusted-keys",
			PublicationNamespace: publishedNamespace, Now: time.Now,
		},
		Enforcement: controller.NewEnforcement(direct, mgr.GetCache(), systemNamespace, publishedNamespace),
		Guards:      w.watcher(t, direct),
		Journal:     &controller.Journal{Registry: artifacts},
		Now:         time.Now,
	}
	err = controller.Setup(running, mgr, &controller.MiniProgramVersionReconciler{
		Shared: w.shared, Registry: artifacts, Limits: bundle.DefaultLimits(), TempDir: os.TempDir(), Packer: "test", Concurrency: 4, DeletionGrace: time.Second,
		HTTP: source.NewHTTP(transport, limits, "test"), OCI: source.NewOCI(transport, limits, "test", artifacts.Place()),
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := mgr.Start(running); err != nil {
			fmt.Fprintln(os.Stderr, "the manager ended:", err)
		}
	}()
}

// eventually waits until check says nothing more is missing.
func eventually(t testing.TB, what string, check func() string) {
	t.Helper()
	deadline := time.Now().Add(25 * time.Second)
	missing := check()
	for missing != "" {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", what, missing)
		}
		<-time.After(50 * time.Millisecond)
		missing = check()
	}
}

// group makes a developer group with a developer, two reviewers and an operator
// who are named after it, and a policy and a host app of its own.
type group struct {
	*world
	ns                        string
	dana, rosa, piet, olu     client.Client
	host                      string
	danaName, rosaName, label string
}

func newGroup(t testing.TB, roles ...string) *group {
	t.Helper()
	w := theWorldFor(t)
	var g *group
	t.Cleanup(func() { // after the namespace is asked to go
		if g != nil {
			g.leave(t)
		}
	})
	g = newGroupIn(t, w, w.cp.Namespace(t), roles...)
	return g
}

// leave removes what the group has in the whole cluster, so that what comes after it is not
// judged, signed and listed with all that was there before.
func (g *group) leave(t testing.TB) {
	t.Helper()
	for _, o := range []client.Object{
		&v1alpha1.ReviewPolicy{ObjectMeta: metav1.ObjectMeta{Name: g.ns}},
		&v1alpha1.HostApp{ObjectMeta: metav1.ObjectMeta{Name: g.host}},
	} {
		g.must(t, client.IgnoreNotFound(g.admin.Delete(ctx(t), o)))
	}
}

func newGroupIn(t testing.TB, w *world, namespace string, roles ...string) *group {
	t.Helper()
	g := &group{world: w, ns: namespace}
	g.host, g.label = "host-"+g.ns, g.ns
	g.danaName, g.rosaName = "dana-"+g.ns, "rosa-"+g.ns
	for _, user := range []string{"dana", "rosa", "piet", "olu"} {
		role := map[string]string{"dana": "edit", "olu": "miniprogram-operator"}[user]
		if role != "" {
			g.bind(t, user+"-"+g.ns, "ClusterRole", role)
		}
	}
	g.bindServiceAccount(t)
	g.dana, g.rosa = w.as(t, g.danaName), w.as(t, g.rosaName)
	g.piet, g.olu = w.as(t, "piet-"+g.ns), w.as(t, "olu-"+g.ns)
	g.must(t, w.admin.Create(ctx(t), &v1alpha1.HostApp{
		ObjectMeta: metav1.ObjectMeta{Name: g.host},
		Spec:       v1alpha1.HostAppSpec{DisplayName: "Host", Availability: v1alpha1.HostAppActive},
	}))
	policy := &v1alpha1.ReviewPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: g.ns},
		Spec: v1alpha1.ReviewPolicySpec{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": g.ns}},
			Enforcement:       v1alpha1.Enforce,
		},
	}
	for _, role := range roles {
		policy.Spec.Approvals = append(policy.Spec.Approvals, v1alpha1.ApprovalRule{Role: role})
	}
	g.must(t, w.admin.Create(ctx(t), policy))
	g.awaitRight(t, g.danaName, "create", "miniprograms")
	g.awaitRight(t, "olu-"+g.ns, "patch", "rollouts")
	return g
}

func ctx(t testing.TB) context.Context {
	t.Helper()
	c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return c
}

func (w *world) must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func condition(conds []metav1.Condition, kind string) string {
	c := meta.FindStatusCondition(conds, kind)
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

func show(o any) string {
	b, err := json.Marshal(o)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func key(ns, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: ns, Name: name}
}

func rolloutMap(g *group, name string) types.NamespacedName {
	return key(publishedNamespace, delivery.RolloutConfigMap(g.ns, name))
}
