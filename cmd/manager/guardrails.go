package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/miniprogram-dev/miniprogram-operator/internal/analysis"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
)

// prometheus is the server that guardrails ask. Nil: there is none.
func (o *options) prometheus() (*analysis.Prometheus, error) {
	if (o.prometheusURL == "") != (o.queryTemplates == "") {
		return nil, errors.New("--prometheus-url and --query-templates go together")
	}
	if o.prometheusURL == "" {
		return nil, nil
	}
	trusted, err := registry.RootCAs(o.prometheusCAFile)
	if err != nil {
		return nil, fmt.Errorf("--prometheus-ca-file: %w", err)
	}
	return analysis.NewPrometheus(analysis.PrometheusOptions{
		URL: o.prometheusURL, TokenFile: o.prometheusTokenFile, RootCAs: trusted, Templates: o.queryTemplates,
	}, time.Now)
}

// replicas are the addresses of --manifest-replicas. Nil: the Service's endpoints are asked.
func (o *options) replicas() ([]string, error) {
	if o.manifestReplicas == "" {
		return nil, nil
	}
	addresses := strings.Split(o.manifestReplicas, ",")
	for _, a := range addresses {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("--manifest-replicas: %q is not of the form host:port", a)
		}
	}
	return addresses, nil
}

// guardrails measures them. The client may list the endpoints of the manifest service.
func (o *options) guardrails(direct client.Reader) (*analysis.Watcher, error) {
	prometheus, err := o.prometheus()
	if err != nil {
		return nil, err
	}
	addresses, err := o.replicas()
	if err != nil {
		return nil, err
	}
	replicas := &analysis.Replicas{Client: direct, Namespace: o.namespace, Service: o.manifestService, Addresses: addresses, Now: time.Now}
	return analysis.NewWatcher(replicas, prometheus, time.Now), nil
}
