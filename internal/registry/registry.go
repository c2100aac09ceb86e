// Package registry publishes bundles as OCI artifacts, and finds, checks and
// reads what was published.
//
// An artifact is an OCI image manifest (image specification 1.1) with an
// artifactType, a config and two layers: the archive as it came, byte for byte,
// and a compressed tar of its files. The same artifact always has the same
// manifest, byte for byte: keys are sorted and the creation time is fixed.
//
// What the checks of the bundle found refers to the artifact as a manifest of its
// own, so that another release of the checks does not make another artifact. It is
// pushed also where nothing was found, which is a statement too. Registries without
// the referrers API get the tag that stands in for it; one that refuses manifests with
// a subject gets the artifact all the same.
//
// Publishing goes blobs, manifest by digest, a check by reading it back, tag. So
// a tag never names anything half-pushed, whatever moment a crash chooses, and
// publishing again repeats only what is missing. A tag that names another
// artifact is never moved.
package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// Media types of an artifact and its parts.
const (
	ArtifactType     = "application/vnd.miniprogram.package.v1"
	ConfigMediaType  = "application/vnd.miniprogram.config.v1+json"
	ArchiveMediaType = "application/vnd.miniprogram.archive.v1+zip"
	ContentMediaType = "application/vnd.miniprogram.content.v1.tar+zstd"
)

// Annotations of this project on an artifact's manifest, beside those of the OCI
// image specification.
const (
	AnnotationAppID         = "dev.miniprogram.app-id"
	AnnotationContentDigest = "dev.miniprogram.content-digest"
)

// Created is the value of org.opencontainers.image.created of every artifact. It
// is fixed, so that publishing the same bundle again has the same digest.
const Created = "1970-01-01T00:00:00Z"

const (
	// DefaultTimeout bounds each call but FetchBlob.
	DefaultTimeout = 5 * time.Minute
	// downloadTimeout bounds FetchBlob and the reading of what it returns.
	downloadTimeout = time.Hour
	// maxMetadataBytes is what registries agree to hold as a manifest (OCI
	// distribution specification, "Pushing manifests"). The config has the same
	// bound.
	maxMetadataBytes = 4 << 20
)

// Options say which registry a Client uses, and how.
type Options struct {
	// Host is the registry, as "registry.example.com" or "localhost:5000".
	Host string
	// Prefix is the part of every repository that comes before the names of this
	// project, without slashes at its ends. It may be empty.
	Prefix string
	// PlainHTTP speaks http instead of https.
	PlainHTTP bool
	// DockerConfig is the path of a file in the form of a dockerconfigjson Secret.
	// It is read whenever the registry asks for credentials, so a new one counts
	// from the next time that the old is refused. Empty: there are none.
	DockerConfig string
	// Credentials are asked instead of DockerConfig, where they are set.
	Credentials auth.CredentialFunc
	// RootCAs are trusted for https. Nil: those of the system.
	RootCAs *x509.CertPool
	// UserAgent is how the client introduces itself.
	UserAgent string
	// Timeout bounds each call but FetchBlob. Zero: DefaultTimeout.
	Timeout time.Duration
	// Retry repeats requests a few times where the registry is busy or fails for a moment: for
	// callers that are not called again.
	Retry bool
}

// Client publishes to one registry below one prefix. It is safe for concurrent
// use.
type Client struct {
	options Options
	auth    *auth.Client
}

// New returns a client. It does not yet talk to the registry.
func New(o Options) *Client {
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	if o.Credentials == nil {
		o.Credentials = credentialsFrom(o.DockerConfig)
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   10,
	}
	var through http.RoundTripper = &retryAfterRecorder{next: transport}
	if o.Retry {
		through = retry.NewTransport(through)
	}
	return &Client{
		options: o,
		auth: &auth.Client{
			Client:     &http.Client{Transport: through},
			Header:     http.Header{"User-Agent": {o.UserAgent}},
			Cache:      auth.NewCache(),
			Credential: o.Credentials,
		},
	}
}

// RepositoryName returns the full name, without the registry, of a repository
// that is named below the prefix.
func (c *Client) RepositoryName(repository string) string {
	return path.Join(c.options.Prefix, repository)
}

// FullName returns the name of such a repository with its registry, as Published has it.
func (c *Client) FullName(repository string) string { return path.Join(c.Place(), repository) }

// Place returns "registry/prefix": where this client publishes.
func (c *Client) Place() string { return path.Join(c.options.Host, c.options.Prefix) }

// Tag returns the tag of a version: a semantic version with "+" as "_", for tags
// have no "+". No two versions share a tag, for versions have no "_".
func Tag(version string) string { return strings.ReplaceAll(version, "+", "_") }

// call is one call of a method: its context, its repository, and what its errors
// are about.
type call struct {
	ctx    context.Context
	repo   *remote.Repository
	cancel context.CancelFunc
	parent context.Context
	client *Client
	// what is what is tried, as "the push".
	what string
	note *retryNote
}

// begin prepares a call, which must be ended.
func (c *Client) begin(ctx context.Context, repository, what string, timeout time.Duration) (*call, error) {
	ref := registry.Reference{Registry: c.options.Host, Repository: c.RepositoryName(repository)}
	if err := errors.Join(ref.ValidateRegistry(), ref.ValidateRepository()); err != nil {
		return nil, &Error{Reason: RegistryRefused, Message: "the repository " + ref.String() + " has no valid name: correct the manager's registry and prefix", Err: err}
	}
	note := &retryNote{}
	inner, cancel := context.WithTimeout(context.WithValue(ctx, retryNoteKey{}, note), timeout)
	return &call{
		ctx: inner, cancel: cancel, parent: ctx, client: c, what: what, note: note,
		repo: &remote.Repository{
			Client:           Rewinder{c.auth},
			Reference:        ref,
			PlainHTTP:        c.options.PlainHTTP,
			MaxMetadataBytes: maxMetadataBytes,
			// Deleting old lists of referrers is a right that publishing does not need.
			SkipReferrersGC: true,
		},
	}, nil
}

func (o *call) end() { o.cancel() }
