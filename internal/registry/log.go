package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Record is bytes that are kept under a tag and never changed: an OCI artifact whose
// layers are these. The same record always has the same manifest.
type Record struct {
	// Repository is its name below the client's prefix.
	Repository string
	Tag        string
	// ArtifactType of the manifest.
	ArtifactType string
	// Layers, of which there is at least one. The first is the config too: a manifest must
	// have both, and both may be one.
	Layers []RecordLayer
}

// RecordLayer is one of a record's.
type RecordLayer struct {
	MediaType string
	Data      []byte
}

func (l RecordLayer) descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: l.MediaType, Digest: digest.FromBytes(l.Data), Size: int64(len(l.Data))}
}

// Append pushes a record and returns the digest of its manifest. Appending it again is a
// no-op. A tag that names anything else is a *TagTakenError, and stays as it is; two
// that append at one moment are beyond this promise, see Publish.
func (c *Client) Append(ctx context.Context, r Record) (string, error) {
	o, err := c.begin(ctx, r.Repository, "the push", c.options.Timeout)
	if err != nil {
		return "", err
	}
	defer o.end()
	raw, desc, err := recordManifest(r)
	if err != nil {
		return "", err
	}
	existing, err := o.manifest(r.Tag)
	switch {
	case err == nil && existing.Digest == desc.Digest.String():
		return existing.Digest, nil
	case err == nil:
		return "", &TagTakenError{
			Registry: o.repo.Reference.Registry, Repository: o.repo.Reference.Repository, Tag: r.Tag, Existing: existing.Digest,
		}
	case !errors.Is(err, ErrNotFound):
		return "", err
	}
	blobs := make([]content, 0, len(r.Layers))
	for _, l := range r.Layers {
		blobs = append(blobs, inMemory(l.descriptor(), l.Data))
	}
	if err := o.pushBlobs(o.ctx, blobs); err != nil {
		return "", err
	}
	return desc.Digest.String(), o.pushManifest(o.ctx, desc, raw, r.Tag)
}

func recordManifest(r Record) ([]byte, ocispec.Descriptor, error) {
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: r.ArtifactType,
		Config: r.Layers[0].descriptor(), Annotations: map[string]string{ocispec.AnnotationCreated: Created},
	}
	for _, l := range r.Layers {
		m.Layers = append(m.Layers, l.descriptor())
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, ocispec.Descriptor{}, fmt.Errorf("writing the manifest of a record: %w", err)
	}
	return raw, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}, nil
}

// maxTags bounds what is read of a list of tags, and maxLayers of a record's layers: others
// may be able to write there.
const (
	maxTags   = 200_000
	maxLayers = 200
)

// Tags lists the tags of a repository. One that does not exist has none.
func (c *Client) Tags(ctx context.Context, repository string) ([]string, error) {
	o, err := c.begin(ctx, repository, "the look-up", c.options.Timeout)
	if err != nil {
		return nil, err
	}
	defer o.end()
	var out []string
	err = o.repo.Tags(o.ctx, "", func(page []string) error {
		if out = append(out, page...); len(out) > maxTags {
			return fmt.Errorf("%s has more than %d tags", o.repo.Reference.Repository, maxTags)
		}
		return nil
	})
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok && answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, o.explain(err)
	}
	return out, nil
}

// ReadRecord reads what a tag or a digest names, with all layers, each of at most as much
// as a manifest may have. Without one the error is ErrNotFound; what is no record of the
// type is an *Error with reason RegistryInconsistent.
func (c *Client) ReadRecord(ctx context.Context, repository, reference, artifactType string) (*Record, string, error) {
	o, err := c.begin(ctx, repository, "the look-up", c.options.Timeout)
	if err != nil {
		return nil, "", err
	}
	defer o.end()
	e, err := o.manifest(reference)
	if err != nil {
		return nil, "", err
	}
	var m ocispec.Manifest
	if json.Unmarshal(e.Manifest, &m) != nil || m.ArtifactType != artifactType || len(m.Layers) == 0 || len(m.Layers) > maxLayers {
		return nil, "", &Error{Reason: RegistryInconsistent, Message: fmt.Sprintf(
			"%s/%s:%s is no artifact of type %s: somebody else has written there", o.repo.Reference.Registry, o.repo.Reference.Repository, reference, artifactType)}
	}
	r := &Record{Repository: repository, Tag: reference, ArtifactType: m.ArtifactType}
	for _, desc := range m.Layers {
		if desc.Digest.Validate() != nil {
			return nil, "", o.noRegistry(nil)
		}
		data, err := o.read(desc, o.repo.Blobs().Fetch)
		if err != nil {
			return nil, "", err
		}
		r.Layers = append(r.Layers, RecordLayer{MediaType: desc.MediaType, Data: data})
	}
	return r, e.Digest, nil
}

// RecordLayers returns the digest of what a tag names and those of its layers, without
// reading these.
func (c *Client) RecordLayers(ctx context.Context, repository, tag string) (string, []string, error) {
	o, err := c.begin(ctx, repository, "the look-up", c.options.Timeout)
	if err != nil {
		return "", nil, err
	}
	defer o.end()
	e, err := o.manifest(tag)
	if err != nil {
		return "", nil, err
	}
	var m ocispec.Manifest
	if json.Unmarshal(e.Manifest, &m) != nil {
		return e.Digest, nil, nil
	}
	var layers []string
	for _, l := range m.Layers {
		layers = append(layers, l.Digest.String())
	}
	return e.Digest, layers, nil
}
