package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
)

// options are the flags.
type options struct {
	namespace, publicationNamespace        string
	signingSecret, trustedKeys             string
	registry, registryPrefix, dockerConfig string
	registryPlainHTTP                      bool
	manifestURL                            string
	allowInsecureSources                   bool
	allowedNets                            string
	requestsPerSecond                      int
	tempDir                                string
	concurrency                            int
	maxBundleBytes                         int64
	metricsAddr, probeAddr                 string
	leaderElect                            bool
}

func (o *options) bind(fs *flag.FlagSet) {
	fs.StringVar(&o.namespace, "namespace", "miniprogram-system", "namespace of the manager: signing key, leader election")
	fs.StringVar(&o.publicationNamespace, "publication-namespace", "miniprogram-published", "namespace that documents are published in")
	fs.StringVar(&o.signingSecret, "signing-secret", "miniprogram-signing-key", "Secret that holds the signing key; made at the first start")
	fs.StringVar(&o.trustedKeys, "trusted-keys", "miniprogram-trusted-keys", "ConfigMap that the public keys are written to, for the manifest service")
	fs.StringVar(&o.registry, "registry", "", "host[:port] of the OCI registry that artifacts are pushed to (required)")
	fs.StringVar(&o.registryPrefix, "registry-prefix", "miniprograms", "part of the repositories' names before <namespace>/<mini program>")
	fs.StringVar(&o.dockerConfig, "registry-config", "", "file with the registry's credentials, as a Secret of type kubernetes.io/dockerconfigjson mounts it")
	fs.BoolVar(&o.registryPlainHTTP, "registry-plain-http", false, "speak http with the registry")
	fs.StringVar(&o.manifestURL, "manifest-url", "", "URL of the manifest service, for status.url of HostApps")
	fs.BoolVar(&o.allowInsecureSources, "allow-insecure-sources", false, "fetch bundles over http too")
	fs.StringVar(&o.allowedNets, "allowed-source-networks", "", "comma-separated CIDRs that bundles may be fetched from although they are not public")
	fs.IntVar(&o.requestsPerSecond, "source-requests-per-second", source.DefaultRequestsPerSecond, "how many requests for bundles go to one host in a second")
	fs.StringVar(&o.tempDir, "temp-dir", os.TempDir(), "directory for bundles while they are checked")
	fs.IntVar(&o.concurrency, "concurrency", 4, "how many versions are packaged at a time")
	fs.Int64Var(&o.maxBundleBytes, "max-bundle-bytes", bundle.DefaultLimits().ArchiveBytes, "largest bundle, in bytes")
	fs.StringVar(&o.metricsAddr, "metrics-bind-address", "127.0.0.1:8080", "address of the metrics; 0 turns them off")
	fs.StringVar(&o.probeAddr, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 turns them off")
	fs.BoolVar(&o.leaderElect, "leader-elect", true, "work only while this replica holds the lease")
}

func (o *options) validate() error {
	if o.registry == "" {
		return errors.New("--registry is required: the host of the OCI registry that artifacts are pushed to")
	}
	if _, err := o.nets(); err != nil {
		return err
	}
	if o.concurrency < 1 || o.maxBundleBytes < 1 || o.requestsPerSecond < 1 {
		return errors.New("--concurrency, --max-bundle-bytes and --source-requests-per-second must be at least 1")
	}
	return nil
}

func (o *options) nets() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for text := range strings.SplitSeq(o.allowedNets, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--allowed-source-networks: %q is no CIDR such as 10.1.0.0/16", text)
		}
		out = append(out, p)
	}
	return out, nil
}
