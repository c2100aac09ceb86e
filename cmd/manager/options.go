package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source/cosign"
)

// options are the flags.
type options struct {
	namespace, publicationNamespace        string
	signingSecret, trustedKeys             string
	registry, registryPrefix, dockerConfig string
	registryCAFile                         string
	registryPlainHTTP                      bool
	manifestURL, runURL, manifestService   string
	manifestReplicas                       string
	prometheusURL, prometheusTokenFile     string
	prometheusCAFile, queryTemplates       string
	allowInsecureSources                   bool
	allowedNets, refusedNets               string
	sourceCAFile, sigstoreRoot             string
	requestsPerSecond                      int
	tempDir                                string
	concurrency                            int
	writesPerSecond                        int
	keyTimes                               signing.Times
	maxBundleBytes                         int64
	metricsAddr, probeAddr                 string
	leaderElect, journal                   bool
}

func (o *options) bind(fs *flag.FlagSet) {
	fs.StringVar(&o.namespace, "namespace", "miniprogram-system", "namespace of the manager: signing key, leader election")
	fs.StringVar(&o.publicationNamespace, "publication-namespace", "miniprogram-published", "namespace that documents are published in")
	fs.StringVar(&o.signingSecret, "signing-secret", "miniprogram-signing-key", "Secret that holds the signing key; made at the first start. While keys are rotated, the Secret of that name with -2 at its end holds the other")
	fs.DurationVar(&o.keyTimes.Announce, "signing-key-announce", 7*24*time.Hour, "how long a new signing key is announced before it signs: as long as host apps may go without asking for the keys")
	fs.DurationVar(&o.keyTimes.Overlap, "signing-key-overlap", 30*24*time.Hour, "how long the old signing key signs beside the new one: as long as builds of host apps are in use that follow no keys")
	fs.StringVar(&o.trustedKeys, "trusted-keys", "miniprogram-trusted-keys", "ConfigMap that the public keys are written to, for the manifest service")
	fs.StringVar(&o.registry, "registry", "", "host[:port] of the OCI registry that artifacts are pushed to (required)")
	fs.StringVar(&o.registryPrefix, "registry-prefix", "miniprograms", "part of the repositories' names before <namespace>/<mini program>")
	fs.StringVar(&o.dockerConfig, "registry-config", "", "file with the registry's credentials, as a Secret of type kubernetes.io/dockerconfigjson mounts it")
	fs.StringVar(&o.registryCAFile, "registry-ca-file", "", "PEM file with certificate authorities that are trusted for the registry, beside those of the system")
	fs.BoolVar(&o.registryPlainHTTP, "registry-plain-http", false, "speak http with the registry")
	fs.StringVar(&o.manifestURL, "manifest-url", "", "URL of the manifest service, for status.url of HostApps")
	fs.StringVar(&o.runURL, "run-url", "", "URL of the run host, the manifest service's flag of the same name, for status.runURL of HostApps")
	fs.StringVar(&o.manifestService, "manifest-service", "miniprogram-manifest-service-private", "Service in the manager's namespace whose endpoints are the replicas of the manifest service, with a port named private; what they count is what guardrails measure")
	fs.StringVar(&o.manifestReplicas, "manifest-replicas", "", "comma-separated host:port of the private ports of the manifest service's replicas, where they run outside of the cluster, instead of the endpoints of --manifest-service")
	fs.StringVar(&o.prometheusURL, "prometheus-url", "", "URL of the one Prometheus that guardrails may ask, such as http://prometheus.monitoring:9090; without it, guardrails measure what host apps report alone")
	fs.StringVar(&o.prometheusTokenFile, "prometheus-token-file", "", "file with a bearer token for it, read at each request")
	fs.StringVar(&o.prometheusCAFile, "prometheus-ca-file", "", "PEM file with certificate authorities that are trusted for it, beside those of the system")
	fs.StringVar(&o.queryTemplates, "query-templates", "", "file with the query templates that guardrails may name")
	fs.BoolVar(&o.allowInsecureSources, "allow-insecure-sources", false, "fetch bundles over http too")
	fs.StringVar(&o.allowedNets, "allowed-source-networks", "", "comma-separated CIDRs that bundles may be fetched from although they are not public")
	fs.StringVar(&o.refusedNets, "refused-source-networks", "", "comma-separated CIDRs that bundles may not be fetched from although they are public, as those of the cluster's own pods and services")
	fs.StringVar(&o.sourceCAFile, "source-ca-file", "", "PEM file with certificate authorities that are trusted for sources, beside those of the system")
	fs.StringVar(&o.sigstoreRoot, "sigstore-trusted-root", "", "trusted_root.json of a Sigstore; without it, signatures of identities (spec.verification.identities) cannot be checked")
	fs.IntVar(&o.requestsPerSecond, "source-requests-per-second", source.DefaultRequestsPerSecond, "how many requests for bundles go to one host in a second")
	fs.StringVar(&o.tempDir, "temp-dir", os.TempDir(), "directory for bundles while they are checked")
	fs.IntVar(&o.concurrency, "concurrency", 4, "how many versions are packaged at a time")
	fs.IntVar(&o.writesPerSecond, "step-writes-per-second", 20, "how many writes a second the steps of rollouts may cost the API server; aborts and what people do are not held back by it. 0: any number")
	fs.Int64Var(&o.maxBundleBytes, "max-bundle-bytes", bundle.DefaultLimits().ArchiveBytes, "largest bundle, in bytes")
	fs.StringVar(&o.metricsAddr, "metrics-bind-address", "127.0.0.1:8080", "address of the metrics; 0 turns them off")
	fs.StringVar(&o.probeAddr, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 turns them off")
	fs.BoolVar(&o.journal, "journal", true, "keep every document that is published in the registry too, below journal.v1 under the prefix, with who approved it; see docs/audit.md")
	fs.BoolVar(&o.leaderElect, "leader-elect", true, "work only while this replica holds the lease")
}

func (o *options) validate() error {
	if o.registry == "" {
		return errors.New("--registry is required: the host of the OCI registry that artifacts are pushed to")
	}
	if _, err := o.guard(); err != nil {
		return err
	}
	if _, err := o.signatures(); err != nil {
		return err
	}
	if _, err := o.prometheus(); err != nil {
		return err
	}
	if _, err := o.replicas(); err != nil {
		return err
	}
	if o.concurrency < 1 || o.maxBundleBytes < 1 || o.requestsPerSecond < 1 {
		return errors.New("--concurrency, --max-bundle-bytes and --source-requests-per-second must be at least 1")
	}
	if o.writesPerSecond < 0 {
		return errors.New("--step-writes-per-second must be 0 or more")
	}
	if o.keyTimes.Announce < 0 || o.keyTimes.Overlap < 0 {
		return errors.New("--signing-key-announce and --signing-key-overlap must be 0 or more")
	}
	return nil
}

// artifacts is the registry that is published to.
func (o *options) artifacts(userAgent string) (*registry.Client, error) {
	trusted, err := registry.RootCAs(o.registryCAFile)
	if err != nil {
		return nil, fmt.Errorf("--registry-ca-file: %w", err)
	}
	return registry.New(registry.Options{
		Host: o.registry, Prefix: o.registryPrefix, PlainHTTP: o.registryPlainHTTP, DockerConfig: o.dockerConfig, RootCAs: trusted, UserAgent: userAgent,
	}), nil
}

// guard says where sources may be fetched from.
func (o *options) guard() (source.Guard, error) {
	g := source.Guard{AllowInsecure: o.allowInsecureSources, RequestsPerSecond: o.requestsPerSecond}
	var err error
	if g.AllowedNets, err = parseNets("allowed-source-networks", o.allowedNets); err != nil {
		return g, err
	}
	if g.RefusedNets, err = parseNets("refused-source-networks", o.refusedNets); err != nil {
		return g, err
	}
	if g.RootCAs, err = registry.RootCAs(o.sourceCAFile); err != nil {
		return g, fmt.Errorf("--source-ca-file: %w", err)
	}
	return g, nil
}

// signatures checks those of sources. Nil: no identities.
func (o *options) signatures() (*cosign.Verifier, error) {
	if o.sigstoreRoot == "" {
		return nil, nil
	}
	data, err := os.ReadFile(o.sigstoreRoot)
	if err != nil {
		return nil, fmt.Errorf("--sigstore-trusted-root: %w", err)
	}
	verifier, err := cosign.NewVerifier(data)
	if err != nil {
		return nil, fmt.Errorf("--sigstore-trusted-root: %s: %w", o.sigstoreRoot, err)
	}
	return verifier, nil
}

func parseNets(flag, list string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--%s: %q is no CIDR such as 10.1.0.0/16", flag, text)
		}
		out = append(out, p)
	}
	return out, nil
}
