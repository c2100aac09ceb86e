//go:build argocd

package argocdtest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

const (
	argoNamespace   = "argocd"
	systemNamespace = "miniprogram-system"

	// patience is how long anything may take, on a machine with other things to do.
	patience = 4 * time.Minute
)

// installation is an Argo CD of processes beside a real control plane, each with the
// rights of its account, and with it the manager and the manifest service.
type installation struct {
	root, dir string
	cp        *controlplane.ControlPlane
	admin     client.Client
	git       *repository
	ports     struct{ redis, repoServer, server, service, private int }
	// olu runs rollouts in Argo CD, vera only looks.
	olu, vera person
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually asks until the answer is empty.
func eventually(t testing.TB, what string, ask func() string) {
	t.Helper()
	missing := ""
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		missing = ask()
		return missing == "", nil
	})
	if err != nil {
		t.Fatalf("waiting for %s: %v: %s", what, err, missing)
	}
}

// install starts an Argo CD and returns when it can be worked with.
func install(t *testing.T) *installation {
	t.Helper()
	ctrllog.SetLogger(logr.Discard()) // what clients have to say is in the errors
	root, err := controlplane.RepositoryDir()
	must(t, err)
	i := &installation{root: root, dir: t.TempDir(), cp: controlplane.ForTest(t)}
	i.admin = i.client(t, i.cp.Admin())
	for _, port := range []*int{&i.ports.redis, &i.ports.repoServer, &i.ports.server, &i.ports.service, &i.ports.private} {
		*port = freePort(t)
	}
	i.git = newRepository(t, root, filepath.Join(i.dir, "git"))
	must(t, controlplane.Apply(t.Context(), i.cp.Admin(), i.git.path("argocd")))
	i.startRedis(t)
	i.startArgo(t, "argocd-repo-server", "", i.ports.repoServer,
		"--address=127.0.0.1", "--port="+strconv.Itoa(i.ports.repoServer), "--metrics-address=127.0.0.1", "--metrics-port="+strconv.Itoa(freePort(t)), "--disable-tls")
	i.startArgo(t, "argocd-server", "argocd-server", i.ports.server,
		"--address=127.0.0.1", "--port="+strconv.Itoa(i.ports.server), "--metrics-port="+strconv.Itoa(freePort(t)), "--insecure", "--staticassets="+i.dir)
	i.letPeopleIn(t)
	metrics := freePort(t)
	i.startArgo(t, "argocd-application-controller", "argocd-application-controller", metrics, "--metrics-port="+strconv.Itoa(metrics))
	probes := freePort(t)
	i.startArgo(t, "argocd-applicationset-controller", "argocd-applicationset-controller", probes,
		"--probe-addr="+loopback(probes), "--metrics-addr="+loopback(freePort(t)), "--webhook-addr="+loopback(freePort(t)))
	return i
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func freePort(t testing.TB) int {
	t.Helper()
	port, err := child.FreePort()
	must(t, err)
	return port
}

func (i *installation) client(t testing.TB, cfg *rest.Config) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	must(t, v1alpha1.AddToScheme(scheme))
	cfg.WarningHandler = rest.NoWarnings{}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	must(t, err)
	return c
}

// person returns a client of somebody with a certificate.
func (i *installation) person(t testing.TB, name string, groups ...string) client.Client {
	t.Helper()
	return i.client(t, i.cp.User(name, groups...))
}

// start runs a program until the end of the test, whose log it tells when the test fails.
func (i *installation) start(t *testing.T, name string, ready func(context.Context) error, c child.Command) {
	t.Helper()
	c.Log = filepath.Join(i.dir, "logs", name+".log")
	p, err := child.Start(c)
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of %s's log:\n%s", name, p.LogTail(15))
		}
		if err := p.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, p.AwaitReady(ctx, ready))
}

// listens tells whether somebody listens at a port.
func listens(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", loopback(port))
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

func (i *installation) startRedis(t *testing.T) {
	t.Helper()
	i.start(t, "redis", listens(i.ports.redis), child.Command{
		Path: "/usr/bin/redis-server",
		Args: []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(i.ports.redis), "--save", "", "--appendonly", "no", "--dir", i.dir},
	})
}

// startArgo starts one of Argo CD's processes, which are one program. One with an account
// acts as that also where it says that it is in the cluster.
func (i *installation) startArgo(t *testing.T, name, account string, port int, args ...string) {
	t.Helper()
	tools, helm := filepath.Join(i.root, "bin", "argocd"), filepath.Join(i.root, "bin")
	temp := filepath.Join(i.dir, name)
	must(t, os.MkdirAll(temp, 0o700))
	env := []string{
		"ARGOCD_BINARY_NAME=" + name, "PATH=" + tools + ":" + helm + ":" + os.Getenv("PATH"), "HOME=" + temp, "TMPDIR=" + temp, "REDIS_SERVER=" + loopback(i.ports.redis),
		"ARGOCD_GPG_ENABLED=false", "ARGOCD_TLS_DATA_PATH=" + temp, "ARGOCD_SSH_DATA_PATH=" + temp, "ARGOCD_PLUGINSOCKFILEPATH=" + filepath.Join(temp, "plugins"),
		"ARGOCD_ASK_PASS_SOCK=" + filepath.Join(temp, "ask-pass.sock"),
	}
	if account != "" {
		cfg, err := i.cp.ServiceAccount(t.Context(), argoNamespace, account)
		must(t, err)
		kubeconfig := filepath.Join(temp, "kubeconfig")
		must(t, i.cp.WriteKubeconfig(kubeconfig, cfg))
		env = append(env, "ARGOCD_FAKE_IN_CLUSTER=true", "KUBECONFIG="+kubeconfig)
		server := "--repo-server="
		if name == "argocd-applicationset-controller" {
			server = "--argocd-repo-server="
		}
		args = append(args, "--namespace="+argoNamespace, server+loopback(i.ports.repoServer), "--repo-server-plaintext")
	}
	i.start(t, name, listens(port), child.Command{Path: filepath.Join(tools, "argocd"), Args: args, Env: env})
}

// letPeopleIn gives the accounts of argocd-cm tokens, as Argo CD's administrator does.
func (i *installation) letPeopleIn(t *testing.T) {
	t.Helper()
	var secret corev1.Secret
	eventually(t, "the administrator's password", func() string {
		if err := i.admin.Get(t.Context(), client.ObjectKey{Namespace: argoNamespace, Name: "argocd-initial-admin-secret"}, &secret); err != nil {
			return err.Error()
		}
		return ""
	})
	base := "http://" + loopback(i.ports.server)
	var session struct {
		Token string `json:"token"`
	}
	credentials := map[string]string{"username": "admin", "password": string(secret.Data["password"])}
	eventually(t, "Argo CD's server to let its administrator in", func() string {
		if err := (person{base: base}).call(t.Context(), http.MethodPost, "/api/v1/session", credentials, &session); err != nil {
			return err.Error()
		}
		return ""
	})
	administrator := person{base: base, token: session.Token}
	for name, p := range map[string]*person{"olu": &i.olu, "vera": &i.vera} {
		must(t, administrator.call(t.Context(), http.MethodPost, "/api/v1/account/"+name+"/token", map[string]string{"name": name}, &session))
		*p = person{base: base, token: session.Token}
	}
}

// startOperator starts the manager and the manifest service, as the accounts of the install.
func (i *installation) startOperator(t *testing.T) {
	t.Helper()
	registry := registrytest.Start(t, registrytest.Options{})
	kubeconfig := func(account string) string {
		cfg, err := i.cp.ServiceAccount(t.Context(), systemNamespace, account)
		must(t, err)
		path := filepath.Join(i.dir, account+".kubeconfig")
		must(t, i.cp.WriteKubeconfig(path, cfg))
		return "--kubeconfig=" + path
	}
	temp, keys, probes := filepath.Join(i.dir, "manager"), filepath.Join(i.dir, "keys"), freePort(t)
	must(t, os.MkdirAll(temp, 0o700))
	must(t, os.MkdirAll(keys, 0o700))
	url := "http://" + loopback(i.ports.service)
	i.start(t, "manager", answers(loopback(probes)), child.Command{Path: filepath.Join(i.root, "bin", "manager"), Args: []string{
		kubeconfig("miniprogram-manager"), "--leader-elect=false", "--registry=" + registry.Host(), "--registry-plain-http",
		"--manifest-url=" + url, "--manifest-replicas=" + loopback(i.ports.private), "--temp-dir=" + temp,
		"--metrics-bind-address=" + loopback(freePort(t)), "--health-probe-bind-address=" + loopback(probes),
	}})
	var trusted corev1.ConfigMap
	eventually(t, "the manager's public keys", func() string {
		err := i.admin.Get(t.Context(), client.ObjectKey{Namespace: systemNamespace, Name: "miniprogram-trusted-keys"}, &trusted)
		if err != nil || len(trusted.Data) == 0 {
			return fmt.Sprint(err, trusted.Data)
		}
		return ""
	})
	for name, key := range trusted.Data {
		must(t, os.WriteFile(filepath.Join(keys, name), []byte(key), 0o600))
	}
	i.start(t, "manifest-service", answers(loopback(i.ports.private)), child.Command{Path: filepath.Join(i.root, "bin", "manifest-service"), Args: []string{
		kubeconfig("miniprogram-manifest-service"), "--trusted-keys=" + keys, "--addr=" + loopback(i.ports.service), "--private-addr=" + loopback(i.ports.private),
		"--public-url=" + url, "--registry=" + registry.Host(), "--registry-plain-http", "--shutdown-delay=0s",
		"--state-dir=" + filepath.Join(i.dir, "service"), "--blob-cache-dir=" + filepath.Join(i.dir, "blobs"),
	}})
}

// answers tells whether what listens there is ready.
func answers(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		return person{base: "http://" + address}.call(ctx, http.MethodGet, "/readyz", nil, nil)
	}
}
