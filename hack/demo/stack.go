package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registrytest"
)

// Names of the install (config/install) that the demo has to know.
const (
	systemNamespace      = "miniprogram-system"
	publicationNamespace = "miniprogram-published"
	managerAccount       = "miniprogram-manager"
	serviceAccount       = "miniprogram-manifest-service"
	trustedKeys          = "miniprogram-trusted-keys"
	registryPrefix       = "miniprograms"
)

// stack is all that runs, and where it lives.
type stack struct {
	root, dir string
	out       *printer

	cp       *controlplane.ControlPlane
	registry *registrytest.Registry
	manager  *supervisor
	service  *supervisor
	ports    ports

	// client and kubeconfig are the installer's, the only one of system:masters.
	client     client.WithWatch
	kubeconfig string
	// people maps users to kubeconfigs with their certificates.
	people map[string]string
	// keys are the public keys that the manager wrote, as a host app would pin them.
	keys string
	// unmountKeys ends what brings changed keys to the manifest service.
	unmountKeys func()
	// url is where host apps reach the manifest service.
	url string
}

// ports are kept from run to run, so that what was written down still works.
type ports struct {
	Registry       int `json:"registry"`
	Service        int `json:"service"`
	ServicePrivate int `json:"servicePrivate"`
	ManagerProbes  int `json:"managerProbes"`
	ManagerMetrics int `json:"managerMetrics"`
}

func (s *stack) path(names ...string) string {
	return filepath.Join(append([]string{s.dir}, names...)...)
}
func (s *stack) logs() string { return s.path("logs") }

// short names a path as seen from the root.
func (s *stack) short(path string) string {
	if rel, err := filepath.Rel(s.root, path); err == nil {
		return rel
	}
	return path
}

// startAll starts the parts in the order in which they need each other.
func (s *stack) startAll(ctx context.Context, f *figures) error {
	began := time.Now()
	if err := s.choosePorts(); err != nil {
		return err
	}
	for _, part := range []struct {
		name  string
		start func(context.Context) (string, error)
	}{
		{"controlPlane", s.startControlPlane},
		{"registry", s.startRegistry},
		{"install", s.install},
		{"manager", s.startManager},
		{"clean", s.clean},
		{"platform", s.applyPlatform},
		{"manifestService", s.startService},
	} {
		from := time.Now()
		told, err := part.start(ctx)
		if err != nil {
			return err
		}
		f.StartSeconds[part.name] = round(time.Since(from))
		if told != "" {
			s.out.say("%s", told)
		}
	}
	f.StartSeconds["total"] = round(time.Since(began))
	return nil
}

func (s *stack) startControlPlane(ctx context.Context) (string, error) {
	began := time.Now()
	var err error
	if s.cp, err = controlplane.Start(ctx, controlplane.Options{Dir: s.path("controlplane"), ControllerManager: true}); err != nil {
		return "", err
	}
	s.kubeconfig = s.path("kubeconfig")
	if err := s.cp.WriteKubeconfig(s.kubeconfig, s.cp.Admin()); err != nil {
		return "", err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return "", err
		}
	}
	config := s.cp.Admin()
	config.WarningHandler = rest.NoWarnings{}
	if s.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return "", fmt.Errorf("making the installer's client: %w", err)
	}
	return fmt.Sprintf("control plane: etcd, kube-apiserver, kube-controller-manager at %s (%s)", config.Host, seconds(time.Since(began))), nil
}

func (s *stack) startRegistry(ctx context.Context) (string, error) {
	var err error
	s.registry, err = registrytest.Run(ctx, registrytest.Options{Dir: s.path("registry"), Port: s.ports.Registry})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("registry: distribution at %s, data in %s", s.registry.Host(), s.short(s.path("registry", "data"))), nil
}

// install applies what a cluster gets, without the Deployments.
func (s *stack) install(ctx context.Context) (string, error) {
	if err := controlplane.Apply(ctx, s.cp.Admin(), filepath.Join(s.root, "config", "install")); err != nil {
		return "", err
	}
	err := until(ctx, "the kinds of miniprogram.dev to be served", time.Minute, s.tails(), func(ctx context.Context) error {
		for _, list := range []client.ObjectList{
			&v1alpha1.MiniProgramList{}, &v1alpha1.MiniProgramVersionList{}, &v1alpha1.ReviewList{},
			&v1alpha1.RolloutList{}, &v1alpha1.ReviewPolicyList{}, &v1alpha1.HostAppList{},
		} {
			if err := s.client.List(ctx, list); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = s.awaitAdmission(ctx)
	}
	return "installed config/install: namespaces, kinds, RBAC, admission (as the installer, system:masters)", err
}

// accountConfig writes a kubeconfig that acts as a service account of the install.
func (s *stack) accountConfig(ctx context.Context, name string) (string, error) {
	config, err := s.cp.ServiceAccount(ctx, systemNamespace, name)
	if err != nil {
		return "", err
	}
	path := s.path(name + ".kubeconfig")
	return path, s.cp.WriteKubeconfig(path, config)
}

func (s *stack) startManager(ctx context.Context) (string, error) {
	kubeconfig, err := s.accountConfig(ctx, managerAccount)
	if err != nil {
		return "", err
	}
	temp := s.path("manager")
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return "", fmt.Errorf("creating the manager's folder: %w", err)
	}
	s.manager, err = supervise(child.Command{
		Path: filepath.Join(s.root, "bin", "manager"), Log: s.path("logs", "manager.log"),
		Args: []string{
			"--kubeconfig=" + kubeconfig,
			// One process only ever runs here: after a kill the next need not wait for a lease to run out.
			"--leader-elect=false",
			"--registry=" + s.registry.Host(), "--registry-plain-http", "--registry-prefix=" + registryPrefix,
			"--manifest-url=" + s.url, "--temp-dir=" + temp,
			// No Service can have an endpoint at a loopback address.
			"--manifest-replicas=" + loopback(s.ports.ServicePrivate),
			"--allow-insecure-sources", "--allowed-source-networks=127.0.0.0/8,::1/128",
			"--metrics-bind-address=" + loopback(s.ports.ManagerMetrics),
			"--health-probe-bind-address=" + loopback(s.ports.ManagerProbes),
		},
	})
	if err != nil {
		return "", err
	}
	return "manager: acts as " + systemNamespace + "/" + managerAccount, s.awaitManager(ctx)
}

func (s *stack) awaitManager(ctx context.Context) error {
	return until(ctx, "the manager to be ready", time.Minute, s.tails(), func(ctx context.Context) error {
		return isOK(ctx, "http://"+loopback(s.ports.ManagerProbes)+"/readyz")
	})
}

func (s *stack) startService(ctx context.Context) (string, error) {
	if err := s.mountKeys(ctx); err != nil {
		return "", err
	}
	kubeconfig, err := s.accountConfig(ctx, serviceAccount)
	if err != nil {
		return "", err
	}
	s.service, err = supervise(child.Command{
		Path: filepath.Join(s.root, "bin", "manifest-service"), Log: s.path("logs", "manifest-service.log"),
		Args: []string{
			"--kubeconfig=" + kubeconfig, "--trusted-keys=" + s.keysDir(),
			"--addr=" + loopback(s.ports.Service), "--private-addr=" + loopback(s.ports.ServicePrivate), "--public-url=" + s.url,
			"--registry=" + s.registry.Host(), "--registry-plain-http", "--registry-prefix=" + registryPrefix,
			"--state-dir=" + s.serviceState(), "--blob-cache-dir=" + s.path("manifest-service", "blobs"),
			// A thousand users ask from this one machine.
			"--address-limits=resolve=0", "--shutdown-delay=0s", "--explain",
		},
	})
	if err != nil {
		return "", err
	}
	err = until(ctx, "the manifest service to be ready", time.Minute, s.tails(), func(ctx context.Context) error {
		return isOK(ctx, "http://"+loopback(s.ports.ServicePrivate)+"/readyz")
	})
	return fmt.Sprintf("manifest service: acts as %s/%s, answers host apps at %s", systemNamespace, serviceAccount, s.url), err
}

func (s *stack) keysDir() string      { return s.path("manifest-service", "keys") }
func (s *stack) serviceState() string { return s.path("manifest-service", "state") }

// stopAll ends everything, what was started last first.
func (s *stack) stopAll() error {
	var errs []error
	if s.unmountKeys != nil {
		s.unmountKeys()
	}
	for _, part := range []*supervisor{s.service, s.manager} {
		if part != nil {
			errs = append(errs, part.stop())
		}
	}
	if s.client != nil {
		errs = append(errs, s.forgetPoliciesWithParameters())
	}
	if s.registry != nil {
		errs = append(errs, s.registry.Stop())
	}
	if s.cp != nil {
		errs = append(errs, s.cp.Stop())
	}
	return errors.Join(errs...)
}

// choosePorts takes those of the last run where they are free.
func (s *stack) choosePorts() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("creating the state folder: %w", err)
	}
	file := s.path("ports.json")
	if data, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(data, &s.ports); err != nil {
			return fmt.Errorf("reading %s (make demo-clean removes it): %w", file, err)
		}
	}
	for _, port := range []*int{&s.ports.Registry, &s.ports.Service, &s.ports.ServicePrivate, &s.ports.ManagerProbes, &s.ports.ManagerMetrics} {
		var err error
		if *port, err = child.KeepPort(*port); err != nil {
			return err
		}
	}
	s.url = "http://" + loopback(s.ports.Service)
	data, err := json.Marshal(s.ports)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// tails gives the ends of the logs for an error's message.
func (s *stack) tails() func() string {
	return func() string {
		var b strings.Builder
		for _, part := range []*supervisor{s.manager, s.service} {
			if part != nil {
				fmt.Fprintf(&b, "\n--- the end of %s\n%s", s.short(part.command.Log), part.tail(15))
			}
		}
		return b.String()
	}
}
