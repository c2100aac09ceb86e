// Package controlplane runs a real Kubernetes control plane on the loopback
// address for tests and for the demo: etcd, kube-apiserver and, when wanted,
// kube-controller-manager, with RBAC and admission policies on. It hands out
// identities (certificates of users, tokens of service accounts), so that who acts
// has exactly the rights that the project's manifests give.
//
// There are no nodes: pods can be created and never run.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"

	"github.com/miniprogram-dev/miniprogram-operator/internal/controlplane/child"
)

// Options says where a control plane lives and what belongs to it.
type Options struct {
	// Dir keeps certificates, etcd's data, ports and logs. It is created. A second
	// Start on the same folder goes on with the same objects and identities and, where they
	// are free, the same ports.
	Dir string
	// Assets is the folder with the binaries. Empty: the environment's
	// KUBEBUILDER_ASSETS, and for what is not there bin/controlplane of this repository.
	Assets string
	// ControllerManager adds garbage collection, the deletion of namespaces, service
	// accounts and the aggregation of ClusterRoles.
	ControllerManager bool
}

// ControlPlane is a running control plane. Its methods may be called
// concurrently, but for Stop.
type ControlPlane struct {
	options Options
	state   *state
	admin   *rest.Config

	etcd, apiServer, controllerManager *child.Process
}

// stopGrace is how long each part may take to end by itself.
const stopGrace = 10 * time.Second

// Start starts a control plane and returns when it can be worked with: the API
// server is ready, the bootstrap roles and the default namespace are there and, with a
// controller manager, ClusterRoles are aggregated. The context ends the
// starting, not what was started; after an error nothing is left running. All parts are
// killed when this process ends (see package child).
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	c := &ControlPlane{options: o}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the control plane: %w", err), c.Stop())
	}
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context) error {
	var err error
	if c.state, err = openState(c.options.Dir); err != nil {
		return err
	}
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	if err := c.startAPIServer(ctx); err != nil {
		return err
	}
	if err := c.state.save(); err != nil { // the ports are known to be good now
		return err
	}
	if !c.options.ControllerManager {
		return nil
	}
	return c.startControllerManager(ctx)
}

// Stop ends all parts, the last started first, and gives the folder free. What
// was stored stays in it. Stopping twice does nothing.
func (c *ControlPlane) Stop() error {
	var errs []error
	for _, p := range []*child.Process{c.controllerManager, c.apiServer, c.etcd} {
		if p != nil {
			errs = append(errs, p.Stop(stopGrace))
		}
	}
	if c.state != nil {
		errs = append(errs, c.state.close())
		c.state = nil
	}
	return errors.Join(errs...)
}

// logFile names the log of one part.
func (c *ControlPlane) logFile(part string) string {
	return filepath.Join(c.options.Dir, "logs", part+".log")
}
