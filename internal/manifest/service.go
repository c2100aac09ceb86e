package manifest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
)

// BlobSource reads blobs of a registry: internal/registry's Client is one.
type BlobSource interface {
	// FetchBlob opens the blob of a digest "sha256:…" and tells its size in bytes.
	// The caller closes it and checks the digest.
	FetchBlob(ctx context.Context, repository, digest string) (io.ReadCloser, int64, error)
}

// Options say what a Service serves.
type Options struct {
	// Client may get, list and watch ConfigMaps in Namespace; nothing else is asked of it, but
	// to create TokenReviews and SubjectAccessReviews where Explain is set.
	Client kubernetes.Interface
	// From is a folder with published ConfigMaps as files. When it is set, the documents come from
	// there instead of a cluster: Client and Namespace may be unset.
	From string
	// Namespace is the publication namespace.
	Namespace string
	// TrustedKeys is a PEM file, or a folder of them, with the public keys whose
	// signatures count. It is read again every ReloadEvery.
	TrustedKeys string
	// StateDir holds the disk copy. Empty: there is none, and a start needs the Kubernetes API.
	StateDir string
	// Blobs is where blobs come from.
	Blobs BlobSource
	// CacheDir holds blobs; what is in it may be deleted while the service is stopped.
	CacheDir string
	// CacheBytes bounds the cache, apart from the blob that was fetched last. Zero: 4 GiB.
	CacheBytes int64
	// MaxBlobBytes bounds one blob. Zero: 1 GiB.
	MaxBlobBytes int64
	// PublicURL is how host apps reach the service, as "https://mini.example.com",
	// without a path. Empty: as the request at hand did.
	PublicURL string
	// RunURL is the host name of single files, as "https://run.example.com": nothing else
	// is served there, and they nowhere else. Empty: there are none.
	RunURL string
	// RunCacheBytes bounds what is unpacked for it, apart from two versions that are
	// being unpacked. Zero: 1 GiB.
	RunCacheBytes int64
	// Explain lets people with verb explain on a host app ask what one of its users gets, and why.
	Explain bool
	// Limits are for each client address. Zero: there are none.
	Limits Limits
	// TrustedProxies are believed when they say for whom they ask; they are not limited themselves.
	TrustedProxies []netip.Prefix
	// ProxyHeader is where they say it: X-Forwarded-For or Forwarded. Empty: X-Forwarded-For.
	ProxyHeader string
	// MaxStreams bounds how many host apps may listen for events at a time, and
	// MaxStreamsPerAddress how many from one client address. Zero: 5000 and 500.
	MaxStreams, MaxStreamsPerAddress int
	// MaxConnections bounds how many connections host apps may have open, and
	// MaxConnectionsPerAddress how many from one client address. Zero: 10000 and 2000.
	MaxConnections, MaxConnectionsPerAddress int
	// Profiles lets the private address serve profiles of the running program.
	Profiles bool
	// ReloadEvery is how often files are looked at for changes. Zero: 5 s.
	ReloadEvery time.Duration
	// Log gets structured lines; no line ever holds a user's key.
	Log logr.Logger
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// Service serves what is published. Make it with New, run it with Serve (or Run,
// with Handler and PrivateHandler behind servers of your own).
type Service struct {
	options Options
	log     logr.Logger
	metrics *metrics
	store   *store
	disk    *diskCopy // nil: none
	blobs   *blobCache
	run     *runHost // nil: none
	counts  *counts
	// instance and started tell this run from others.
	instance string
	started  time.Time
	ready    atomic.Bool
	// away: the publication namespace could not be read when it was last tried.
	away atomic.Bool
	// draining: every answer asks its client to close the connection.
	draining atomic.Bool
	// explainers has a place for each explanation that is allowed at a time.
	explainers chan struct{}
	addresses  addresses
	clients    *clients
	streams    *streams
	door       *door
	// toldProxy: the log has that there seems to be a proxy that is not trusted.
	toldProxy atomic.Bool
}

// New reads the trusted keys and the disk copy, and opens the blob cache. It does
// not yet talk to the Kubernetes API or the registry.
func New(o Options) (*Service, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	keys, err := loadKeys(o.TrustedKeys)
	if err != nil {
		return nil, err
	}
	s := &Service{options: o, log: o.Log, metrics: newMetrics(), explainers: make(chan struct{}, explainersAtOnce)}
	s.addresses = addresses{proxies: o.TrustedProxies, header: o.ProxyHeader}
	s.clients, s.streams = newClients(o.Limits), newStreams(o.MaxStreams, o.MaxStreamsPerAddress, s.metrics)
	s.door = newDoor(o.MaxConnections, o.MaxConnectionsPerAddress, s.addresses.trusts, s.metrics)
	s.store = newStore(o.Log, s.metrics, o.Now, keys)
	s.store.swapped = s.announce
	s.counts, s.instance, s.started = newCounts(s.store.current.Load), newInstance(), o.Now()
	s.blobs, err = openBlobCache(o.CacheDir, o.CacheBytes, o.MaxBlobBytes, o.Blobs, s.metrics)
	if err != nil {
		return nil, err
	}
	if err := s.startRun(); err != nil {
		return nil, err
	}
	if o.StateDir != "" {
		if err := s.loadDiskCopy(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (o *Options) complete() error {
	switch {
	case o.Client == nil && (o.From == "" || o.Explain):
		return errors.New("the manifest service needs a Kubernetes client")
	case o.Namespace == "" && o.From == "":
		return errors.New("the manifest service needs the publication namespace")
	case o.TrustedKeys == "":
		return errors.New("the manifest service needs the trusted keys")
	case o.Blobs == nil || o.CacheDir == "":
		return errors.New("the manifest service needs a source of blobs and a folder to cache them in")
	}
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("the public URL %q must be like https://mini.example.com, without a path", o.PublicURL)
		}
		o.PublicURL = u.Scheme + "://" + u.Host
	}
	var err error
	if o.ProxyHeader, err = checkHeader(o.ProxyHeader); err != nil {
		return err
	}
	o.CacheBytes = cmp.Or(o.CacheBytes, 4<<30)
	o.MaxBlobBytes = cmp.Or(o.MaxBlobBytes, 1<<30)
	o.MaxStreams, o.MaxStreamsPerAddress = cmp.Or(o.MaxStreams, 5000), cmp.Or(o.MaxStreamsPerAddress, 500)
	o.MaxConnections, o.MaxConnectionsPerAddress = cmp.Or(o.MaxConnections, 10_000), cmp.Or(o.MaxConnectionsPerAddress, 2000)
	o.ReloadEvery = cmp.Or(o.ReloadEvery, 5*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// loadDiskCopy takes over what the last run left, and from then on keeps the
// copy up to date.
func (s *Service) loadDiskCopy() error {
	var err error
	if s.disk, err = openDiskCopy(s.options.StateDir); err != nil {
		return err
	}
	updates, err := s.disk.load()
	if err != nil {
		s.log.Info("Part of the disk copy is not usable; the rest is.", "error", err.Error())
	}
	s.store.apply(updates)
	s.store.accepted, s.store.forgotten = s.disk.put, s.disk.drop
	if now := s.store.current.Load(); len(now.hosts) > 0 {
		s.becomeReady("the disk copy")
	}
	return nil
}

func (s *Service) becomeReady(by string) {
	if !s.ready.Swap(true) {
		now := s.store.current.Load()
		s.log.Info("Ready.", "by", by, "documents", now.documents, "hostApps", len(now.hosts))
	}
}

// Ready tells whether there is something to serve from: the first list or a disk
// copy was loaded, and the service is not about to end.
func (s *Service) Ready() bool { return s.ready.Load() && !s.draining.Load() }

// Run watches the publication namespace, or the folder, and the trusted keys, and writes the disk
// copy, until the context ends.
func (s *Service) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.reloadKeysUntil(ctx)
	}()
	written := make(chan struct{})
	// The disk copy ends last: the watch may still take something over.
	diskContext, endDisk := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(written)
		if s.disk != nil {
			s.disk.run(diskContext, func(err error) {
				s.metrics.diskFails.Inc()
				s.log.Error(err, "The disk copy is not up to date; it is tried again.")
			})
		}
	}()
	watch := s.watch
	if s.options.From != "" {
		watch = s.watchFolder
	}
	err := watch(ctx)
	<-stopped
	endDisk()
	<-written
	return err
}

func (s *Service) reloadKeysUntil(ctx context.Context) {
	tick := time.NewTicker(s.options.ReloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.reloadKeys()
		}
	}
}

// reloadKeys looks at the trusted keys again. If they cannot be read, those from
// before count on.
func (s *Service) reloadKeys() {
	keys, err := loadKeys(s.options.TrustedKeys)
	if err != nil {
		s.metrics.keyFails.Inc()
		s.log.Error(err, "The trusted keys cannot be read again; those from before count on.")
		return
	}
	if keys.equal(s.store.keys.Load()) {
		return
	}
	s.store.setKeys(keys)
	ids := make([]string, 0, len(keys.public))
	for _, key := range keys.public {
		ids = append(ids, key.KeyID)
	}
	s.log.Info("The trusted keys changed.", "keys", ids)
}
