// Command manifest-service hands host apps what rollouts published: it watches
// the publication namespace, checks every document against the trusted keys, and
// answers over HTTP. With -from it serves a folder instead of a cluster. It writes nothing to the cluster and holds no private key.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/miniprogram-dev/miniprogram-operator/internal/buildinfo"
	"github.com/miniprogram-dev/miniprogram-operator/internal/manifest"
	"github.com/miniprogram-dev/miniprogram-operator/internal/registry"
)

// garbagePercent is how much garbage there may be before it is collected, in percent of
// what is in use: that is mostly documents, which stay, so that garbage as large as they
// are would only double the memory. The environment's GOGC outranks it.
const garbagePercent = 40

// version is stamped in by the linker.
var version = "dev"

type flags struct {
	version       bool
	kubeconfig    string
	namespace     string
	from          string
	keys          string
	stateDir      string
	cacheDir      string
	cacheBytes    int64
	maxBlobBytes  int64
	addr          string
	privateAddr   string
	publicURL     string
	runURL        string
	runCacheBytes int64
	explain       bool
	limits        manifest.Limits
	proxies       []netip.Prefix
	proxyHeader   string
	streams       int
	streamsEach   int
	connections   int
	connectsEach  int
	profiles      bool
	tlsCert       string
	tlsKey        string
	registry      registry.Options
	shutdownDelay time.Duration
	logLevel      slog.Level
}

func parse(arguments []string) (*flags, error) {
	f := new(flags)
	fs := flag.NewFlagSet("manifest-service", flag.ContinueOnError)
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig `file`; unset: the environment's KUBECONFIG, else the pod's service account")
	fs.StringVar(&f.namespace, "publication-namespace", "miniprogram-published", "`namespace` of the published documents")
	fs.StringVar(&f.from, "from", "", "`folder` with published ConfigMaps as YAML or JSON files, to serve from instead of a cluster; read again when they change")
	fs.StringVar(&f.keys, "trusted-keys", "", "PEM `file`, or folder of files, with the public keys whose signatures count; read again when it changes")
	fs.StringVar(&f.stateDir, "state-dir", "", "`folder` for a copy of what is served, to start from while the Kubernetes API is away")
	fs.StringVar(&f.cacheDir, "blob-cache-dir", "", "`folder` for blobs of the registry")
	fs.Int64Var(&f.cacheBytes, "blob-cache-bytes", 4<<30, "size of that folder")
	fs.Int64Var(&f.maxBlobBytes, "max-blob-bytes", 1<<30, "size of the largest blob")
	fs.StringVar(&f.addr, "addr", ":8080", "`address` for host apps")
	fs.StringVar(&f.privateAddr, "private-addr", ":8081", "`address` for probes, metrics and profiles")
	fs.BoolVar(&f.profiles, "pprof", false, "serve profiles of the running program at -private-addr")
	fs.StringVar(&f.publicURL, "public-url", "", "`URL` by which host apps reach the service; unset: as each request did")
	fs.StringVar(&f.runURL, "run-url", "", "`URL` of the run host, such as https://run.example.net: requests to its host name get the single files of mini programs and nothing else, all others get no such file; unset: none does")
	fs.Int64Var(&f.runCacheBytes, "run-cache-bytes", 1<<30, "size of what is unpacked for it below -blob-cache-dir")
	fs.BoolVar(&f.explain, "explain", false, "answer POST /v1/hosts/{host}/explain for Kubernetes users with verb explain; needs the right to create tokenreviews and subjectaccessreviews")
	fs.TextVar(&f.limits, "address-limits", manifest.DefaultLimits(), "requests a second that one client address may make, as `resolve=N,explain=N,reports=N,events=N`; 0: any number")
	proxies := fs.String("trusted-proxies", "", "`networks` of the proxies that say for whom they ask, as 10.0.0.0/8,192.0.2.7; they are not limited themselves")
	fs.StringVar(&f.proxyHeader, "proxy-header", "X-Forwarded-For", "`header` in which they say it: X-Forwarded-For or Forwarded")
	fs.IntVar(&f.streams, "max-streams", 5000, "how many host apps may listen for events at a time")
	fs.IntVar(&f.streamsEach, "max-streams-per-address", 500, "how many of them from one client address")
	fs.IntVar(&f.connections, "max-connections", 10_000, "how many connections host apps may have open")
	fs.IntVar(&f.connectsEach, "max-connections-per-address", 2000, "how many of them from one client address; trusted proxies may have all")
	fs.StringVar(&f.tlsCert, "tls-cert", "", "PEM `file` with the certificate for -addr; unset: plain HTTP")
	fs.StringVar(&f.tlsKey, "tls-key", "", "PEM `file` with its key")
	fs.StringVar(&f.registry.Host, "registry", "", "`host` of the registry, such as registry.example.com:5000")
	fs.StringVar(&f.registry.Prefix, "registry-prefix", "", "`path` before the repositories that published ConfigMaps name: the manager's flag of the same name")
	registryCAs := fs.String("registry-ca-file", "", "PEM `file` with certificate authorities that are trusted for the registry, beside those of the system")
	fs.BoolVar(&f.registry.PlainHTTP, "registry-plain-http", false, "speak HTTP to the registry")
	fs.StringVar(&f.registry.DockerConfig, "registry-credentials", "", "`file` in the form of a dockerconfigjson Secret; unset: none")
	fs.DurationVar(&f.shutdownDelay, "shutdown-delay", 5*time.Second, "how long to go on serving, not ready, after SIGTERM")
	fs.TextVar(&f.logLevel, "log-level", slog.LevelInfo, "`level`: DEBUG, INFO, WARN or ERROR")
	fs.BoolVar(&f.version, "version", false, "print the version and exit")
	if err := fs.Parse(arguments); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag", fs.Arg(0))
	}
	if f.version {
		return f, nil
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	f.registry.UserAgent = "miniprogram-manifest-service/" + version
	var err error
	if f.proxies, err = manifest.ParseProxies(*proxies); err != nil {
		return nil, fmt.Errorf("-trusted-proxies: %w", err)
	}
	if f.registry.RootCAs, err = registry.RootCAs(*registryCAs); err != nil {
		return nil, fmt.Errorf("-registry-ca-file: %w", err)
	}
	return f, nil
}

// check is about what goes together.
func (f *flags) check() error {
	switch {
	case f.keys == "" || f.cacheDir == "" || f.registry.Host == "":
		return errors.New("-trusted-keys, -blob-cache-dir and -registry are needed")
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return errors.New("-tls-cert and -tls-key go together")
	case f.from != "" && (f.kubeconfig != "" || f.explain):
		return errors.New("-from is for serving without a cluster: -kubeconfig and -explain do not go with it")
	case f.streams < 1 || f.streamsEach < 1:
		return errors.New("-max-streams and -max-streams-per-address are at least 1")
	case f.connections < 1 || f.connectsEach < 1:
		return errors.New("-max-connections and -max-connections-per-address are at least 1")
	}
	return nil
}

func main() {
	f, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "manifest-service:", err)
		os.Exit(2)
	}
	if f.version {
		fmt.Println(buildinfo.Line("manifest-service", version))
		return
	}
	log := logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: f.logLevel}))
	klog.SetLogger(log)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err = run(ctx, f, log)
	stop()
	if err != nil {
		log.Error(err, "The manifest service failed.")
		os.Exit(1)
	}
}

func run(ctx context.Context, f *flags, log logr.Logger) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	options := manifest.Options{
		Namespace: f.namespace, From: f.from, TrustedKeys: f.keys, StateDir: f.stateDir,
		Blobs: registry.New(f.registry), CacheDir: f.cacheDir, CacheBytes: f.cacheBytes, MaxBlobBytes: f.maxBlobBytes,
		PublicURL: f.publicURL, RunURL: f.runURL, RunCacheBytes: f.runCacheBytes, Explain: f.explain, Profiles: f.profiles, Log: log,
		Limits: f.limits, TrustedProxies: f.proxies, ProxyHeader: f.proxyHeader,
		MaxStreams: f.streams, MaxStreamsPerAddress: f.streamsEach,
		MaxConnections: f.connections, MaxConnectionsPerAddress: f.connectsEach,
	}
	var err error
	if f.from == "" {
		if options.Client, err = connect(f.kubeconfig); err != nil {
			return fmt.Errorf("configuring the Kubernetes client: %w", err)
		}
	}
	service, err := manifest.New(options)
	if err != nil {
		return err
	}
	var listen net.ListenConfig
	public, err := listen.Listen(ctx, "tcp", f.addr)
	if err != nil {
		return err
	}
	private, err := listen.Listen(ctx, "tcp", f.privateAddr)
	if err != nil {
		return errors.Join(err, public.Close())
	}
	log.Info("Starting.", "version", version)
	return service.Serve(ctx, manifest.ServeOptions{
		Public: public, Private: private, TLSCert: f.tlsCert, TLSKey: f.tlsKey, ShutdownDelay: f.shutdownDelay,
	})
}
