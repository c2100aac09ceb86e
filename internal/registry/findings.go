package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// FindingsMediaType is the artifactType of what refers to an artifact and says
// what the checks of its bundle found, and the media type of its one layer.
const FindingsMediaType = "application/vnd.miniprogram.findings.v1+json"

// findingsOf is the manifest that refers to subject and has findings as its
// layer. It holds no times: the same findings have the same digest. Findings are
// its config too, so that there is one blob to push and not two: a manifest must have
// both, and both may be one (image specification, "Guidelines for Artifact Usage").
func findingsOf(subject ocispec.Descriptor, findings []byte) ([]byte, ocispec.Descriptor, error) {
	raw, err := json.Marshal(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: FindingsMediaType,
		Config:       findingsLayer(findings),
		Layers:       []ocispec.Descriptor{findingsLayer(findings)},
		Subject:      &subject,
		Annotations:  map[string]string{ocispec.AnnotationCreated: Created},
	})
	if err != nil {
		return nil, ocispec.Descriptor{}, fmt.Errorf("writing the manifest of the findings: %w", err)
	}
	return raw, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}, nil
}

func findingsLayer(findings []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: FindingsMediaType, Digest: digest.FromBytes(findings), Size: int64(len(findings))}
}

// pushFindings makes findings refer to subject, which need not be there yet. It
// returns the digest of the manifest that does. A registry that refuses manifests
// with a subject gets no artifact refused for that: the digest is empty then, and
// refused says what the registry answered.
func (o *call) pushFindings(ctx context.Context, subject ocispec.Descriptor, findings []byte) (manifest, refused string, err error) {
	raw, desc, err := findingsOf(subject, findings)
	if err != nil {
		return "", "", err
	}
	blob := inMemory(findingsLayer(findings), findings)
	if err := o.pushBlob(ctx, blob.desc, blob.open); err != nil {
		return "", "", err
	}
	err = o.repo.Manifests().Push(ctx, desc, bytes.NewReader(raw))
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok && refuses(answer.StatusCode) {
		return "", statusText(answer), nil
	}
	if err != nil {
		return "", "", o.explain(err)
	}
	return desc.Digest.String(), "", nil
}

// refuses tells an answer about the request from one about the moment or the
// credentials.
func refuses(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

// ensureFindings is pushFindings where the findings may be there already.
func (o *call) ensureFindings(subject ocispec.Descriptor, findings []byte) (manifest, refused string, err error) {
	_, desc, err := findingsOf(subject, findings)
	if err != nil {
		return "", "", err
	}
	there, err := o.referrers(subject, FindingsMediaType, maxReferrers)
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); err != nil && (!ok || !refuses(answer.StatusCode)) {
		return "", "", err
	}
	if slices.ContainsFunc(there, func(d ocispec.Descriptor) bool { return d.Digest == desc.Digest }) {
		return desc.Digest.String(), "", nil
	}
	return o.pushFindings(o.ctx, subject, findings)
}

// referrers lists the manifests of a type that refer to subject (of any where the type is
// empty), through the referrers API or, without one, the tag that stands in for it.
func (o *call) referrers(subject ocispec.Descriptor, artifactType string, most int) (out []ocispec.Descriptor, err error) {
	err = o.repo.Referrers(o.ctx, subject, artifactType, func(page []ocispec.Descriptor) error {
		out = append(out, page...)
		if len(out) > most {
			return fmt.Errorf("more than %d manifests refer to %s", most, subject.Digest)
		}
		return nil
	})
	if err != nil {
		return nil, o.explain(err)
	}
	return out, nil
}

// maxReferrers bounds what is read of a list that others can write to as well.
const maxReferrers = 100

// Findings returns the findings that Publish kept with an artifact, as they were
// pushed: those of the manifest that Published.Findings names, and no others. Whoever
// may push to the registry can have any manifest refer to the artifact, so what refers to
// it is not asked for. Where there are none the error is ErrNotFound; what is there
// and is not what Publish pushed is an *Error with reason RegistryInconsistent.
func (c *Client) Findings(ctx context.Context, repository, artifact, findings string) ([]byte, error) {
	o, err := c.begin(ctx, repository, "the look-up", c.options.Timeout)
	if err != nil {
		return nil, err
	}
	defer o.end()
	if findings == "" {
		return nil, &Error{Reason: RegistryRefused, Err: ErrNotFound, Message: fmt.Sprintf(
			"the registry %s was given no findings about %s@%s", o.repo.Reference.Registry, o.repo.Reference.Repository, artifact)}
	}
	ref := o.repo.Reference
	ref.Reference = findings
	if err := ref.ValidateReferenceAsDigest(); err != nil {
		return nil, &Error{Reason: RegistryRefused, Err: err, Message: fmt.Sprintf("%q names no findings in a registry: it must be a digest", findings)}
	}
	return o.readFindings(artifact, findings)
}

func (o *call) readFindings(artifact, findings string) ([]byte, error) {
	_, body, err := o.repo.Manifests().FetchReference(o.ctx, findings)
	if err != nil {
		return nil, o.explain(err)
	}
	defer body.Close()
	raw, err := readAll(body)
	if err != nil {
		return nil, o.explain(err)
	}
	if got := digest.FromBytes(raw); got.String() != findings {
		return nil, o.inconsistent(findings, got)
	}
	var m ocispec.Manifest
	if json.Unmarshal(raw, &m) != nil || len(m.Layers) != 1 || m.Layers[0].MediaType != FindingsMediaType ||
		m.Subject == nil || m.Subject.Digest.String() != artifact {
		return nil, &Error{Reason: RegistryInconsistent, Message: fmt.Sprintf(
			"%s/%s@%s holds no findings about %s", o.repo.Reference.Registry, o.repo.Reference.Repository, findings, artifact)}
	}
	return o.read(m.Layers[0], o.repo.Blobs().Fetch)
}

// read fetches what desc names, of at most maxMetadataBytes.
func (o *call) read(desc ocispec.Descriptor, fetch func(context.Context, ocispec.Descriptor) (io.ReadCloser, error)) ([]byte, error) {
	body, err := fetch(o.ctx, desc)
	if err != nil {
		return nil, o.explain(err)
	}
	defer body.Close()
	raw, err := readAll(body)
	if err != nil {
		return nil, o.explain(err)
	}
	if got := digest.FromBytes(raw); got != desc.Digest {
		return nil, o.inconsistent(desc.Digest.String(), got)
	}
	return raw, nil
}
