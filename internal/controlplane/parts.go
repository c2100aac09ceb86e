package controlplane

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
)

// startTimeout bounds the start of each part. On two busy cores the API server
// needs about ten seconds.
const startTimeout = 2 * time.Minute

// portAttempts is how often a part is tried on another port when somebody took
// the one that was free a moment ago.
const portAttempts = 3

func (c *ControlPlane) startEtcd(ctx context.Context) error {
	p, err := c.startOnPort(ctx, "etcd", &c.state.ports.Etcd, c.etcdArgs, func(ctx context.Context) error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", loopback(c.state.ports.Etcd))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	c.etcd = p
	return err
}

func (c *ControlPlane) etcdArgs() []string {
	s := c.state
	url := "https://" + loopback(s.ports.Etcd)
	return []string{
		"--data-dir=" + filepath.Join(s.dir, "etcd"),
		"--listen-client-urls=" + url,
		"--advertise-client-urls=" + url,
		"--listen-peer-urls=http://127.0.0.1:0", // nobody joins
		"--cert-file=" + s.pki("etcd") + ".crt",
		"--key-file=" + s.pki("etcd") + ".key",
		"--trusted-ca-file=" + s.pki("etcd-ca") + ".crt",
		"--client-cert-auth",
		// What is written survives a kill of the process, not a crash of the machine.
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

func (c *ControlPlane) startAPIServer(ctx context.Context) error {
	p, err := c.startOnPort(ctx, "kube-apiserver", &c.state.ports.APIServer, c.apiServerArgs, func(ctx context.Context) error {
		// The port, and with it the configuration, may change with each attempt.
		c.admin = c.User("admin", "system:masters")
		return c.apiServerReady(ctx)
	})
	c.apiServer = p
	return err
}

func (c *ControlPlane) apiServerArgs() []string {
	s := c.state
	return []string{
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(s.ports.APIServer),
		// There is no node to reach the API server through a Service.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--tls-cert-file=" + s.pki("apiserver") + ".crt",
		"--tls-private-key-file=" + s.pki("apiserver") + ".key",
		"--client-ca-file=" + s.pki("ca") + ".crt",
		"--etcd-servers=https://" + loopback(s.ports.Etcd),
		"--etcd-cafile=" + s.pki("etcd-ca") + ".crt",
		"--etcd-certfile=" + s.pki("etcd-client") + ".crt",
		"--etcd-keyfile=" + s.pki("etcd-client") + ".key",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + s.pki("service-account") + ".crt",
		"--service-account-signing-key-file=" + s.pki("service-account") + ".key",
		"--authorization-mode=RBAC",
	}
}

// apiServerReady asks for what everything needs. /readyz waits for the start of
// the hooks that write roles and namespaces and for the roles themselves, not for
// the namespaces.
func (c *ControlPlane) apiServerReady(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return err
	}
	if err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return err
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Get(ctx, "cluster-admin", metav1.GetOptions{}); err != nil {
		return err
	}
	_, err = client.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{})
	return err
}

// controllers are those that something here relies on.
var controllers = []string{
	"clusterrole-aggregation-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"resourcequota-controller",
	"root-ca-certificate-publisher-controller",
	"serviceaccount-controller",
	"validatingadmissionpolicy-status-controller",
}

func (c *ControlPlane) startControllerManager(ctx context.Context) error {
	kubeconfig := filepath.Join(c.options.Dir, "kube-controller-manager.kubeconfig")
	if err := c.WriteKubeconfig(kubeconfig, c.User("system:kube-controller-manager")); err != nil {
		return err
	}
	s := c.state
	p, err := c.startPart(ctx, "kube-controller-manager", []string{
		"--kubeconfig=" + kubeconfig,
		"--controllers=" + strings.Join(controllers, ","),
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + s.pki("service-account") + ".key",
		"--root-ca-file=" + s.pki("ca") + ".crt",
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=500",
		// Quotas of kinds that came after this process count soon.
		"--resource-quota-sync-period=5s",
		"--kube-api-burst=1000",
	}, c.controllersReady)
	c.controllerManager = p
	return err
}

// controllersReady looks at the work of two controllers: the stock role admin
// has no rules of its own, and service accounts of namespaces are not made by the API
// server.
func (c *ControlPlane) controllersReady(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return err
	}
	role, err := client.RbacV1().ClusterRoles().Get(ctx, "admin", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if len(role.Rules) == 0 {
		return fmt.Errorf("the %s admin is not aggregated yet", rbacv1.GroupName)
	}
	_, err = client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
	return err
}

// startOnPort starts a part on the port of the last start, or on another one
// when that is taken, and stores which it is.
func (c *ControlPlane) startOnPort(ctx context.Context, name string, port *int, args func() []string, ready func(context.Context) error) (*child.Process, error) {
	for attempt := 1; ; attempt++ {
		var err error
		if *port, err = child.KeepPort(*port); err != nil {
			return nil, err
		}
		p, err := c.startPart(ctx, name, args(), ready)
		if err == nil || attempt == portAttempts || p == nil || !strings.Contains(p.LogTail(50), "address already in use") {
			return p, err
		}
		*port = 0
	}
}

// startPart starts a part and waits until it is ready. The process is also
// returned with an error, to be stopped and read.
func (c *ControlPlane) startPart(ctx context.Context, name string, args []string, ready func(context.Context) error) (*child.Process, error) {
	path, err := asset(c.options.Assets, name)
	if err != nil {
		return nil, err
	}
	p, err := child.Start(child.Command{Path: path, Args: args, Log: c.logFile(name)})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = p.AwaitReady(ctx, ready)
	return p, err
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
