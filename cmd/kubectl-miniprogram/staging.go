package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	publishing "github.com/miniprogram-dev/miniprogram-operator/internal/registry"
)

const (
	stagedArtifactType = "application/vnd.miniprogram.bundle.v1"
	stagedLayerType    = "application/zip" // what internal/source looks for
	// stagedCreated is fixed, so that the same bundle always has the same manifest.
	stagedCreated = "1970-01-01T00:00:00Z"
)

// staging is the repository from which the operator will fetch a bundle.
type staging struct {
	repo     *remote.Repository
	progress *progress
}

// staged is what the repository is to hold of one bundle.
type staged struct {
	layer, config, manifest ocispec.Descriptor
	raw                     []byte // of the manifest
	tag                     string
	// ref names it by tag and digest; the digest counts.
	ref string
}

func newStaging(to string, plainHTTP bool, status io.Writer) (*staging, error) {
	ref, err := registry.ParseReference(to)
	if err != nil || ref.Reference != "" {
		return nil, fmt.Errorf("--to is %q: write registry/repository without a tag, for every push sets its own", to)
	}
	if err := checkPlainHTTP(ref.Registry, plainHTTP); err != nil {
		return nil, err
	}
	login, err := dockerLogin()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 2 * time.Minute,
	}
	client := &auth.Client{
		Client: &http.Client{Transport: transport}, Header: http.Header{"User-Agent": {userAgent()}},
		Cache: auth.NewCache(), Credential: login,
		BlockedRealmPrefixes: []netip.Prefix{}, // here private addresses are as good as public ones
	}
	return &staging{
		repo:     &remote.Repository{Client: publishing.Rewinder{Auth: client}, Reference: ref, PlainHTTP: plainHTTP},
		progress: newProgress(status),
	}, nil
}

// plan says what a bundle becomes in the repository. The tag is made of the
// version and the content: no push takes another's tag, which keeps what an older
// version names from being collected as untagged.
func (s *staging) plan(b *bundle.Bundle, title string) (staged, error) {
	p := staged{
		layer: ocispec.Descriptor{
			MediaType: stagedLayerType, Digest: digest.Digest(b.ArchiveSHA256), Size: b.ArchiveBytes,
			Annotations: map[string]string{ocispec.AnnotationTitle: title},
		},
		config: ocispec.DescriptorEmptyJSON,
		tag:    strings.ReplaceAll(b.Version, "+", "_") + "_" + digest.Digest(b.ArchiveSHA256).Encoded()[:12],
	}
	p.config.Data = nil // strict registries know no inline data
	var err error
	p.raw, err = json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: stagedArtifactType,
		Config: p.config, Layers: []ocispec.Descriptor{p.layer},
		Annotations: map[string]string{ocispec.AnnotationCreated: stagedCreated},
	})
	if err != nil {
		return staged{}, fmt.Errorf("writing the manifest: %w", err)
	}
	p.manifest = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(p.raw), Size: int64(len(p.raw))}
	ref := s.repo.Reference
	p.ref = fmt.Sprintf("%s/%s:%s@%s", ref.Registry, ref.Repository, p.tag, p.manifest.Digest)
	return p, nil
}

// push sends what the repository lacks, the tag last.
func (s *staging) push(ctx context.Context, p staged, a *archive) error {
	sent, err := s.pushBlob(ctx, p.layer, func() (io.ReadCloser, error) {
		return s.progress.track(ctx, io.NewSectionReader(a, 0, a.size), a.size)
	})
	if err != nil {
		return s.explain(err)
	}
	if _, err := s.pushBlob(ctx, p.config, func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(ocispec.DescriptorEmptyJSON.Data)), nil
	}); err != nil {
		return s.explain(err)
	}
	there, err := s.repo.Manifests().Resolve(ctx, p.tag)
	if errors.Is(err, errdef.ErrNotFound) || err == nil && there.Digest != p.manifest.Digest {
		err = s.repo.Manifests().PushReference(ctx, p.manifest, bytes.NewReader(p.raw), p.tag)
	}
	if err != nil {
		return s.explain(err)
	}
	s.progress.done(sent, p.ref, a.size)
	return nil
}

// pushBlob reports whether anything had to be sent.
func (s *staging) pushBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) (bool, error) {
	there, err := s.repo.Blobs().Exists(ctx, desc)
	if err != nil || there {
		return false, err
	}
	body, err := open()
	if err != nil {
		return false, err
	}
	defer body.Close()
	return true, s.repo.Blobs().Push(publishing.WithBody(ctx, open), desc, body)
}

// explain turns an error of the registry's client into one for people.
func (s *staging) explain(err error) error {
	host, repository := s.repo.Reference.Registry, s.repo.Reference.Registry+"/"+s.repo.Reference.Repository
	const again = "; what has arrived is not sent again when you repeat the command"
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		status := fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
		switch answer.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return s.unauthorized(status)
		case http.StatusNotFound:
			return fmt.Errorf("pushing to %s: the registry answers %s: create the repository, or correct --to", repository, status)
		}
		return fmt.Errorf("pushing to %s: the registry answers %s%s", repository, status, again)
	}
	if errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return s.unauthorized("401 Unauthorized")
	}
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		err = urlErr.Err // without the address, which may hold a secret in its query
		if !s.repo.PlainHTTP {
			return fmt.Errorf("pushing to %s: the registry %s does not answer as one: %w%s (for a registry on this machine that has no certificate, add --plain-http)", repository, host, err, again)
		}
	}
	return fmt.Errorf("pushing to %s: %w%s", repository, err, again)
}

func (s *staging) unauthorized(status string) error {
	ref := s.repo.Reference
	return fmt.Errorf("pushing to %s/%s: the registry answers %s: log in with `docker login %s` as somebody who may push there", ref.Registry, ref.Repository, status, ref.Registry)
}
