package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/miniprogram-dev/miniprogram-operator/internal/source/cosign"
)

const (
	ociRefField    = "spec.source.oci.ref"
	ociSecretField = "spec.source.oci.secretRef"
	// maxManifestBytes is what registries agree to hold (OCI distribution
	// specification, "Pushing manifests").
	maxManifestBytes = 4 << 20
)

// OCI fetches bundles from OCI registries. It speaks https, and http only to this
// machine and only where its Transport's Guard allows insecure sources. It is
// safe for concurrent use.
type OCI struct {
	transport *Transport
	limits    Limits
	userAgent string
	forbidden []string
}

// NewOCI returns an OCI that sends its requests through t. userAgent is how it
// introduces itself. forbidden are the places, as "registry/prefix", that are
// refused as sources: where the manager itself publishes, lest one group reads
// the artifacts of another.
func NewOCI(t *Transport, l Limits, userAgent string, forbidden ...string) *OCI {
	return &OCI{transport: t, limits: l.withDefaults(), userAgent: userAgent, forbidden: forbidden}
}

// Resolve returns the digest ("sha256:…") of the manifest that ref names now. It
// fails as Fetch does.
func (o *OCI) Resolve(ctx context.Context, ref string, cred *Credentials) (string, error) {
	s, err := o.open(ctx, ref, cred)
	if err != nil {
		return "", err
	}
	defer s.w.stop()
	m, err := s.rawManifest()
	if err != nil {
		return "", err
	}
	return m.digest.String(), nil
}

// Pin returns ref with the digest that Resolve found for it, so that fetching it
// reads those bytes whatever its tag names by then.
func Pin(ref, digest string) string {
	if IsPinned(ref) || digest == "" {
		return ref
	}
	return ref + "@" + digest
}

// IsPinned tells whether ref names a digest, so that there is nothing to resolve.
func IsPinned(ref string) bool { return strings.Contains(ref, "@") }

// Fetch reads the bundle that ref names: "registry/repository:tag", "…@digest", or
// both, where the digest alone counts. A tag is resolved once, and everything
// after that is read by digest. The bundle is the one layer that is a zip archive
// by its media type or its title, or where there is none, the one that is a tar;
// an archive is then made of it. cred may be nil; the credentials of the Secret
// go to the hosts that it names and to no other, also when a registry sends its
// clients elsewhere for a token. Unless trusted is nil, somebody whom it trusts
// must have signed the digest: that is verified before anything is read of what the
// digest names.
//
// It fails with a *PermanentError where only another spec can help, with a
// *TemporaryError, possibly inside a *RetryError, where the same spec can succeed
// later, with a *bundle.CheckError where a tar layer is not acceptable, and with the
// context's error when that has ended.
func (o *OCI) Fetch(ctx context.Context, ref string, cred *Credentials, trusted *cosign.Checker) (*Fetched, error) {
	s, err := o.open(ctx, ref, cred)
	if err != nil {
		return nil, err
	}
	defer s.w.stop()
	var by string
	if trusted != nil {
		if by, err = s.verifySigned(trusted); err != nil {
			return nil, err
		}
	}
	m, err := s.manifest()
	if err != nil {
		return nil, err
	}
	layer, err := s.bundleLayer(m)
	if err != nil {
		return nil, err
	}
	f, err := s.blob(layer)
	if err != nil {
		return nil, err
	}
	origin := fmt.Sprintf("oci://%s/%s@%s", s.repo.Reference.Registry, s.repo.Reference.Repository, m.digest)
	if p := packingOf(layer); p != packedZip {
		if f, err = s.convert(f, p); err != nil {
			return nil, err
		}
		f.MadeOf = string(p)
		origin += fromTar(p, layer)
	}
	f.Origin, f.Resolved, f.VerifiedBy = origin, m.digest.String(), by
	return f, nil
}

// convert makes an archive of a tar layer. That takes time, but nothing is waited
// for: only the limit on the whole fetch applies.
func (s *ociFetch) convert(layer *Fetched, p packing) (*Fetched, error) {
	s.w.idle.Stop()
	f, err := zipOfTar(s.w.ctx, layer, p, s.w.limits)
	if err != nil && s.w.ctx.Err() != nil {
		return nil, s.w.explain(s.what, err)
	}
	return f, err
}

// ociFetch is one fetch from a registry.
type ociFetch struct {
	w      *watchdog
	repo   *remote.Repository
	what   string
	scheme string
	cred   *Credentials
	// after is what the last answer that asked to wait said, in nanoseconds.
	after atomic.Int64
	next  http.RoundTripper
}

func (o *OCI) open(ctx context.Context, text string, cred *Credentials) (*ociFetch, error) {
	ref, err := registry.ParseReference(text)
	if err != nil || ref.Reference == "" {
		return nil, &PermanentError{SourceInvalid, fmt.Sprintf("%s %q is no reference with a tag or a digest: write it as registry/repository:tag or registry/repository@sha256:…", ociRefField, text)}
	}
	if strings.Contains(ref.Reference, ":") && !strings.HasPrefix(ref.Reference, sha256Prefix) {
		return nil, &PermanentError{SourceInvalid, fmt.Sprintf("%s %q has a digest that is no sha256: name the sha256 digest", ociRefField, text)}
	}
	scheme := "https"
	if o.transport.guard.AllowInsecure && IsThisMachine(ref.Registry) {
		scheme = "http"
	}
	if err := o.checkPlace(scheme, ref, text); err != nil {
		return nil, err
	}
	s := &ociFetch{w: watch(ctx, o.limits), what: text, scheme: scheme, cred: cred, next: o.transport}
	s.repo = &remote.Repository{
		Reference:        ref,
		PlainHTTP:        scheme == "http",
		MaxMetadataBytes: maxManifestBytes,
		// Of referrers that anybody may have pushed, so many pages are enough.
		ReferrerListMaxPages: maxReferrerPages,
		Client: &auth.Client{
			Client: &http.Client{Transport: s, CheckRedirect: checkRedirect},
			Header: http.Header{"User-Agent": {o.userAgent}},
			Cache:  auth.NewCache(),
			Credential: func(_ context.Context, host string) (auth.Credential, error) {
				login, _ := cred.find(scheme, host)
				return auth.Credential{Username: login.Username, Password: login.Password, AccessToken: login.Token}, nil
			},
			// The transport judges addresses where they are dialled.
			BlockedRealmPrefixes: []netip.Prefix{},
		},
	}
	return s, nil
}

// checkPlace refuses the references that nobody may name.
func (o *OCI) checkPlace(scheme string, ref registry.Reference, text string) error {
	host := canonicalHost(scheme, ref.Registry)
	for _, place := range o.forbidden {
		placeHost, prefix, _ := strings.Cut(place, "/")
		prefix = strings.Trim(prefix, "/")
		below := prefix == "" || strings.HasPrefix(ref.Repository+"/", prefix+"/")
		if below && canonicalHost(scheme, placeHost) == host {
			return &PermanentError{SourceForbidden, fmt.Sprintf("%s %q lies below %s, where the manager publishes the artifacts of all developer groups: name a registry or repository of your own", ociRefField, text, place)}
		}
	}
	u := url.URL{Host: ref.Registry}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && !o.transport.guard.allows(addr) {
		return &PermanentError{SourceForbidden, fmt.Sprintf("%s %q names the address %s, which is not public: use a public registry, or ask for the address to be added to the manager's allow-list", ociRefField, text, addr)}
	}
	return nil
}

// IsThisMachine reports whether a host, with or without a port, is this machine: the
// only one that plain http is spoken with.
func IsThisMachine(hostPort string) bool {
	host := (&url.URL{Host: hostPort}).Hostname()
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.Unmap().IsLoopback())
}

// RoundTrip keeps the Secret to the hosts that it names, and notes what the
// registry's client hides: when an answer came, and when to ask again.
func (s *ociFetch) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasPrefix(req.Header.Get("Authorization"), "Basic ") {
		if _, ok := s.cred.find(req.URL.Scheme, req.URL.Host); !ok {
			closeBody(req)
			return nil, &forbiddenError{fmt.Sprintf("its registry asks for the credentials to be sent to %s, which the Secret of %s does not name: add that host to the Secret if it may have them", req.URL.Host, ociSecretField)}
		}
	}
	resp, err := s.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	s.w.idle.Reset(s.w.limits.IdleTimeout)
	s.after.Store(int64(retryAfter(resp.Header, time.Now())))
	return resp, nil
}

// explain turns an error of the registry's client into one for people.
func (s *ociFetch) explain(err error) error {
	hint := s.cred.hint(s.scheme, s.repo.Reference.Host(), ociSecretField)
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		return refusal(s.what, answer.StatusCode, time.Duration(s.after.Load()), hint, ociRefField)
	}
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return refusal(s.what, http.StatusNotFound, 0, hint, ociRefField)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return refusal(s.what, http.StatusUnauthorized, 0, hint, ociRefField)
	}
	return s.w.explain(s.what, err)
}

// fetchedManifest is a manifest with the digest of its own bytes.
type fetchedManifest struct {
	ocispec.Manifest
	digest    digest.Digest
	mediaType string
	raw       []byte
}

// rawManifest reads the manifest and makes nothing of it but its digest.
func (s *ociFetch) rawManifest() (*fetchedManifest, error) {
	named := s.repo.Reference.Reference
	desc, body, err := s.repo.Manifests().FetchReference(s.w.ctx, named)
	if err != nil {
		return nil, s.explain(err)
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(s.w.reader(body), maxManifestBytes+1))
	if err != nil {
		return nil, s.explain(err)
	}
	if len(raw) > maxManifestBytes {
		return nil, later(SourceTooLarge, "the manifest of %s is larger than %d bytes, the most that is accepted: name another artifact", s.what, maxManifestBytes)
	}
	m := &fetchedManifest{digest: digest.FromBytes(raw), mediaType: desc.MediaType, raw: raw}
	if strings.HasPrefix(named, sha256Prefix) && named != m.digest.String() {
		return nil, later(SourceDigest, "the registry's answer for %s has digest %s: it hands out other bytes than were asked for", s.what, m.digest)
	}
	return m, nil
}

func (s *ociFetch) manifest() (*fetchedManifest, error) {
	m, err := s.rawManifest()
	if err != nil {
		return nil, err
	}
	switch m.mediaType {
	case ocispec.MediaTypeImageManifest, "application/vnd.docker.distribution.manifest.v2+json":
	default:
		return nil, s.unusable(m, "it is a "+m.mediaType+", and a bundle is in an OCI image manifest: name one by its digest")
	}
	if err := json.Unmarshal(m.raw, &m.Manifest); err != nil {
		return nil, s.unusable(m, "its manifest cannot be read: "+err.Error())
	}
	return m, nil
}

// unusable says that the artifact cannot be a source. What a digest names never
// changes, and a tag is resolved only once.
func (s *ociFetch) unusable(m *fetchedManifest, why string) error {
	return &PermanentError{SourceInvalid, fmt.Sprintf("%s (%s) cannot be used as a bundle: %s", s.what, m.digest, why)}
}

// bundleLayer picks the layer that is the bundle.
func (s *ociFetch) bundleLayer(m *fetchedManifest) (ocispec.Descriptor, error) {
	var zips, tars []ocispec.Descriptor
	var types []string
	for _, layer := range m.Layers {
		types = append(types, layer.MediaType)
		switch packingOf(layer) {
		case packedZip:
			zips = append(zips, layer)
		case packedTar, packedGzip, packedZstd:
			tars = append(tars, layer)
		}
	}
	found := zips // an artifact of ours has both, and they hold the same
	if len(zips) == 0 {
		found = tars
	}
	if len(found) != 1 {
		return ocispec.Descriptor{}, s.unusable(m, fmt.Sprintf(
			"it has %d zip and %d tar layers among its layers [%s], and must have exactly one zip, or no zip and exactly one tar: push the archive with media type application/zip, or application/vnd.oci.image.layer.v1.tar+gzip",
			len(zips), len(tars), strings.Join(types, ", ")))
	}
	layer := found[0]
	switch {
	case len(layer.URLs) > 0:
		return ocispec.Descriptor{}, s.unusable(m, "its bundle layer has urls, and layers are read from their own registry only: push the layer itself")
	case layer.Digest.Validate() != nil || layer.Digest.Algorithm() != digest.SHA256:
		return ocispec.Descriptor{}, s.unusable(m, fmt.Sprintf("its bundle layer has the digest %q, and only sha256 is supported", layer.Digest))
	case layer.Size < 0 || layer.Size > s.w.limits.MaxBytes:
		return ocispec.Descriptor{}, s.w.explain(s.what, errTooLarge)
	}
	return layer, nil
}

func (s *ociFetch) blob(layer ocispec.Descriptor) (*Fetched, error) {
	body, err := s.repo.Blobs().Fetch(s.w.ctx, layer)
	if err != nil {
		return nil, s.explain(err)
	}
	defer body.Close()
	f, err := spool(s.w.limits.Dir, s.w.reader(body), layer.Size, s.what)
	if err != nil && !errors.Is(err, errTooLarge) {
		return nil, s.explain(err)
	}
	if err == nil && f.SHA256 == layer.Digest.String() {
		return f, nil
	}
	if err == nil {
		_ = f.Close() // its bytes are of no use
	}
	return nil, later(SourceDigest, "the registry hands out other bytes for the layer %s of %s than its manifest names: have the registry checked, or push the artifact again", layer.Digest, s.what)
}
